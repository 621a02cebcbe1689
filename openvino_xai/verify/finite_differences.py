"""Gradients, held to differences of scores.

The gradient of a score is stepped along, in full, in random halves, and in its means over the cells, and the model is asked how
far the score moves. A gradient that is wrong somewhere promises another distance. Steps are tried in several lengths: long ones
meet corners, short ones rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from openvino_xai.errors import VerificationError

HALVES = 2  # random halves of the elements that are stepped along
STEPS = (0.01, 0.003, 0.03, 0.001, 0.1, 0.0003)  # how far the score is to move, as a share of its scale, tried in turn
TOLERANCE = 0.1  # of the distance: corners of ReLUs and pools lie in the way
QUANTISED_TOLERANCE = 0.3  # what is passed straight through is no slope: steps of a quantiser lie in the way
NOISE = 1e-3  # of the squared gradient: a direction with less of it cannot be told from rounding
SMALLEST = 1e-30
ROUNDING = 1e-6  # of a score's scale, in f32


def step_along(
    scores_at: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    slopes: np.ndarray,
    classes: Sequence[int],
    *,
    cells: tuple[int, ...],
    where: str,
    reads: str = "logit",
    terms: Sequence[Sequence[int]] | None = None,
    names: Sequence[object] | None = None,
    quantised: bool = False,
    beside: np.ndarray | None = None,
) -> None:
    """Raise VerificationError where the score of a class does not move as its gradient says.

    `scores_at` tells the scores [B, K] for features [B, ...]; `slopes` are the gradients of one class of each, and `cells` the
    axes that are averaged over; where `beside` is true there are none, and nothing is moved. `terms` are the columns of scores
    that each of them is a difference of, itself for None, and `names` what they are called.
    """
    tolerance = QUANTISED_TOLERANCE if quantised else TOLERANCE
    images, here = range(len(features)), scores_at(features)
    if reads in ("softmax", "sigmoid"):
        scale = (here * (1 - here))[np.arange(len(here))[:, None], terms or np.reshape(classes, (-1, 1))].max(axis=1)
    else:
        scale = np.abs(here).max(axis=1)
    scale = np.maximum(scale, SMALLEST)
    rng = np.random.default_rng(2)
    flat = (len(features), -1)
    nowhere = ~slopes.reshape(flat).any(axis=1)  # no slope at all: then the score does not move along the features, either
    slopes_or_features = np.where(nowhere.reshape(-1, *[1] * (features.ndim - 1)), features, slopes)
    squares = (slopes**2).reshape(flat).sum(axis=1)
    means = np.broadcast_to(slopes.mean(axis=cells, keepdims=True), slopes.shape)
    halves = [slopes * (rng.random(slopes.shape) < 0.5) for _ in range(HALVES)]
    for straight in (slopes_or_features, means, *halves):
        direction = straight if beside is None else np.where(beside, 0, straight)
        promised = (slopes * direction).reshape(flat).sum(axis=1)
        if (promised < NOISE * squares).any():
            continue
        worst = np.full(len(features), np.inf)
        for share in STEPS:
            length = np.where(nowhere, share, share * scale / np.where(nowhere, 1, promised))
            step = direction * length.reshape(-1, *[1] * (features.ndim - 1))
            moved = (scores_at(features + step) - scores_at(features - step))[images, classes] / 2
            error = np.abs(moved - promised * length) / (share * scale) - ROUNDING / share
            worst = np.minimum(worst, error)
            if (worst <= tolerance).all():
                break
        else:
            image = int(worst.argmax())
            raise VerificationError(
                f"the gradient of class {(names or classes)[image]} at {where} is not the slope of its score: along "
                f"it the score moves by {worst[image]:.2g} of the way more or less; the method cannot be trusted there"
            )
