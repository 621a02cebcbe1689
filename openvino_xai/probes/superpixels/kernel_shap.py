"""KernelSHAP: Shapley values of superpixels, by a regression.

Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, theorem 2: the values that add up to
score(image) - score(nothing) and make least the sum over masks z, |z| of M superpixels kept, of
(M - 1) / (C(M, |z|) |z| (M - |z|)) * (score(z) - score(nothing) - values z)^2.

Where `masks` suffice for all coalitions, all are asked, and these are the Shapley values. Else coalitions are drawn as often as
that weight says, each with its complement (Covert and Lee, "Improving KernelSHAP: practical Shapley value estimation via linear
regression", 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings
from openvino_xai.probes.superpixels.coalitions import Coalitions


def kernel_shap(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the Shapley value of the superpixel that a pixel is in.

    Raises InputError where masks are fewer than superpixels.
    """
    coalitions = Coalitions.of(model, image, classes, settings)
    return coalitions.drawn(shapley_values(coalitions))


def shapley_values(coalitions: Coalitions) -> np.ndarray:
    """[M, K], f64: the value of each superpixel; they add up to what the image has more than one that is covered."""
    count, settings = coalitions.count, coalitions.settings
    nothing, image = coalitions.scores(np.array([[False] * count, [True] * count]))
    possible = 2**count - 2
    exact = possible <= settings.masks
    source = all_coalitions(count) if exact else random_pairs(count, settings.seed)
    gram, moments = np.zeros((count, count)), np.zeros((count, len(coalitions.classes)))
    for masks, scores in coalitions.answers(source, possible if exact else settings.masks):
        share = masks.mean(axis=1, keepdims=True)
        rows = masks - share  # so that what is fitted adds up to 0, and the rest is shared
        weighed = rows * weights(masks)[:, None] if exact else rows
        gram += weighed.T @ rows
        moments += weighed.T @ (scores - nothing - share * (image - nothing))
    return np.asarray(np.linalg.lstsq(gram, moments)[0] + (image - nothing) / count)


def weights(masks: np.ndarray) -> np.ndarray:
    """[N]: the Shapley kernel of coalitions [N, M]."""
    count = masks.shape[1]
    return np.array([(count - 1) / (comb(count, size) * size * (count - size)) for size in masks.sum(axis=1).tolist()])


def all_coalitions(count: int) -> Iterator[np.ndarray]:
    """All coalitions [M] of `count` superpixels, but for none and all of them."""
    for number in range(1, 2**count - 1):
        yield np.array([number >> bit & 1 for bit in range(count)], bool)


def random_pairs(count: int, seed: int) -> Iterator[np.ndarray]:
    """Coalitions [M] of `count` superpixels, without end, as often as the kernel weighs them; after each, its complement."""
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, count)
    shares = 1 / (sizes * (count - sizes))
    while True:
        mask = np.zeros(count, bool)
        mask[rng.permutation(count)[: rng.choice(sizes, p=shares / shares.sum())]] = True
        yield mask
        yield ~mask
