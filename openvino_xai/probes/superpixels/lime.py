"""LIME: a linear model of which superpixels the score needs, fitted to random ones.

Ribeiro, Singh and Guestrin, '"Why should I trust you?" Explaining the predictions of any classifier', 2016, equation 2: each
superpixel is kept with probability 1/2, and the sum over masks z of exp(-D(z)^2 / s^2) (score(z) - b - w z)^2 + |w|^2 is made
least. The image itself is the first mask. D is the cosine distance between z and the image, and s^2 = 2 * 0.25^2, which are
what the authors' package takes.

All superpixels have a weight: the paper's choice of the K largest is left to who looks. That package covers a superpixel with
its own mean colour, which leaves the image's shapes in place; here it is covered with 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings
from openvino_xai.probes.superpixels.coalitions import Coalitions

WIDTH = 0.25  # of the Gaussian over distances
RIDGE = 1.0


def lime(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the weight of the superpixel that a pixel is in.

    Raises InputError where masks are fewer than superpixels.
    """
    coalitions = Coalitions.of(model, image, classes, settings)
    count = coalitions.count
    gram, moments = np.diag([0.0] + [RIDGE] * count), np.zeros((count + 1, len(classes)))  # the first of each is b's
    for masks, scores in coalitions.answers(random_coalitions(count, settings.seed), settings.masks):
        rows = np.column_stack([np.ones(len(masks)), masks])
        weighed = rows * closeness(masks)[:, None]
        gram += weighed.T @ rows
        moments += weighed.T @ scores
    return coalitions.drawn(np.linalg.solve(gram, moments)[1:])


def random_coalitions(count: int, seed: int) -> Iterator[np.ndarray]:
    """Coalitions [M] of `count` superpixels, without end: all of them, then each with probability 1/2."""
    rng = np.random.default_rng(seed)
    yield np.ones(count, bool)
    while True:
        yield rng.random(count) < 0.5


def closeness(masks: np.ndarray) -> np.ndarray:
    """[N] in (0, 1]: how much coalitions [N, M] count, by their cosine distance from the image."""
    distances = 1 - np.sqrt(masks.mean(axis=1))
    return np.asarray(np.exp(-((distances / WIDTH) ** 2) / 2))
