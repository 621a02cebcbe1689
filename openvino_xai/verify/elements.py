"""What a hook tells of each element of the image, held to the original model's own scores on the way from a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openvino_xai.errors import VerificationError
from openvino_xai.verify.masks import Reference

ROUNDING = 1e-6  # of a score, in f32
SMALLEST = 1e-30
NEAR = 0.125  # of a step: how far from its middle scores are read


def on_the_way(original: Reference, image: np.ndarray, share: float) -> np.ndarray:
    """[B, ...]: what lies at a share of the way from the baseline to images, as the layer holds it."""
    baseline = np.array(original.decision.baseline, np.float64)
    start = baseline.reshape([-1 if axis == original.layer.channels else 1 for axis in range(image.ndim)])
    return start + share * (image.astype(np.float64) - start)


def hold_completeness(
    original: Reference,
    inputs: Mapping[str, np.ndarray],
    attributions: np.ndarray,
    chosen: Sequence[Sequence[tuple[int, int]]],
) -> float:
    """Hold attributions [B, K, ...] to completeness: how far they miss `f(x) - f(x')`, as a share of it.

    Sundararajan et al., 2017, proposition 1. With the gradient in the middle of each of S steps, attributions add up to the
    mean of the slopes there. These slopes are read of the original model's scores beside the middle of each step: the sum may
    miss their mean by as much as they change there, and the difference by what S steps leave. `chosen` are the maps of each
    image, as (index, class). The share is of all images and maps together. Raises VerificationError.
    """
    image, scores_at, steps = original.features(inputs), original.tail(inputs), original.decision.steps

    def scores(shares: np.ndarray) -> np.ndarray:
        return np.stack([scores_at(on_the_way(original, image, share)) for share in shares])

    middles = (np.arange(steps) + 0.5) / steps
    before, here, after = (scores(middles + side * NEAR / steps) for side in (-1, 0, 1))  # [S, B, K]
    start, end = scores(np.array([0.0, 1.0]))
    slopes = (after - before) / (2 * NEAR)  # as the score moves in a step
    change = (np.abs(after - 2 * here + before) / NEAR).sum(axis=0)
    size = np.maximum(np.abs([before, here, after]).max(axis=(0, 1)), SMALLEST)  # [B, K]
    missed, moved = 0.0, 0.0
    for number, pairs in enumerate(chosen):
        for index, k in pairs:
            added, true = float(attributions[number, index].sum(dtype=np.float64)), float(slopes[:, number, k].sum())
            allowed = change[number, k] + ROUNDING * size[number, original.target.terms(k)].max() * (1 + steps / NEAR)
            if not abs(added - true) <= allowed:  # so that NaN is refused, too
                raise VerificationError(
                    f"the attributions of class {original.target.alone([k])} add up to {added:.4g}, and the slopes of the "
                    f"score on the way from the baseline to {true:.4g} (within {allowed:.2g}): they cannot be trusted"
                )
            difference = float(end[number, k] - start[number, k])
            missed, moved = missed + abs(added - difference), moved + abs(difference)
    return missed / max(moved, SMALLEST)
