"""Pixels removed so that what is left does not tell which they were.

Rong et al., "A consistent and efficient evaluation strategy for attribution methods" (ROAD), 2022: a removed pixel becomes the
mean of its neighbours, weighed as in their equation 3 (1/6 for those at its sides, 1/12 at its corners), solved for all removed
pixels at once, and a little noise. A covered square, on the contrary, shows a network its own outline.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Case

SHARES = (0.2, 0.4, 0.6, 0.8)
NOISE = 0.01  # the deviation, of the image's own
NEIGHBOURS = {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12, (1, -1): 1 / 12}  # the other four by symmetry


def road(case: Case) -> float:
    """The mean of o - u over 20, 40, 60 and 80 % of the pixels; more is better.

    o is the score where the least important pixels are removed, u where the most important are: in [-1, 1] of probabilities,
    0 for a map that tells nothing. Needs SciPy, raises InputError without it.
    """
    order = case.order
    rng = np.random.default_rng(case.choices.seed)
    counts = [round(share * order.size) for share in SHARES]
    removed = [pixels for count in counts for pixels in (order[order.size - count :], order[:count])]
    images = [imputed(case.image[0], pixels, rng) for pixels in removed]
    scores = case.checked(case.network.predict(np.stack(images), logits=case.logits), "scores")[:, case.target]
    return float((scores[0::2] - scores[1::2]).mean(dtype=np.float64))


def imputed(image: np.ndarray, removed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[C, H, W], f32: an image [C, H, W] in which the pixels `removed`, places in a row, come from their neighbours."""
    channels, height, width = image.shape
    flat, removed = image.reshape(channels, -1).astype(np.float64), np.sort(removed)
    result = flat.copy()
    if removed.size == height * width:
        result[:] = flat.mean(axis=1, keepdims=True)  # nothing is left to come from
    elif removed.size:
        result[:, removed] = _solved(flat, removed, (height, width))
    noise = rng.normal(0, NOISE, (channels, removed.size)) * flat.std()
    result[:, removed] += noise
    return result.reshape(image.shape).astype(np.float32)


def _solved(flat: np.ndarray, removed: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[C, R]: the removed pixels, whose places rise, each the weighed mean of its neighbours in the image."""
    sparse, factorised = _scipy()
    rows = _weights(sparse, size)[removed]
    left = np.setdiff1d(np.arange(flat.shape[1]), removed, assume_unique=True)
    totals = np.asarray(rows.sum(axis=1)).reshape(-1)  # less than 1 at the border, where neighbours are missing
    solve = factorised((sparse.diags(totals) - rows[:, removed]).tocsc())
    return np.stack([solve(rows[:, left] @ channel[left]) for channel in flat])


def _weights(sparse: Any, size: tuple[int, int]) -> Any:
    """A sparse matrix [H * W, H * W]: how much each pixel counts for each other."""
    places = np.arange(size[0] * size[1]).reshape(size)
    parts = []
    for (down, right), weight in NEIGHBOURS.items():
        first = places[: size[0] - down, max(0, -right) : size[1] - max(0, right)].reshape(-1)
        second = places[down:, max(0, right) : size[1] + min(0, right)].reshape(-1)
        parts.append(sparse.coo_matrix((np.full(first.size, weight), (first, second)), shape=(places.size, places.size)))
    upper = sum(parts[1:], parts[0])
    return (upper + upper.T).tocsr()


def _scipy() -> tuple[Any, Any]:
    try:
        from scipy import sparse
        from scipy.sparse.linalg import factorized
    except ImportError as error:
        raise InputError("road needs SciPy, which is not installed: pip install 'ovxai[evaluate]'") from error
    return sparse, factorized
