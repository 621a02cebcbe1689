"""How badly a map tells by how much the score drops where a part of the image is covered.

Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019, equation 1, with the perturbation of their section 2.3:
squares of the image that are removed. A saliency map tells no unit, so it is scaled as fits best, as they do.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.evaluate.classes.case import Case

SQUARES = 64
SIDES = (1 / 16, 1 / 3)  # of the shorter side of the image: the least and the largest square


def infidelity(case: Case) -> float:
    """E[(b m - d)^2] / E[d^2], in [0, 1], less is better: the share of the drops that the map does not tell.

    A square of the image is covered: d is what the score drops by, m what the map has there, and b the factor that fits best.
    0 where the map tells each drop exactly, 1 where it tells nothing. Where no square changes the score it is 0.
    """
    squares = _squares(case)
    images = np.where(squares[:, None], case.cover, case.image).astype(np.float32)
    scores = case.checked(case.network.predict(images, logits=case.logits), "scores")[:, case.target]
    drops = case.score - scores.astype(np.float64)
    expected = (squares * case.mask).sum(axis=(1, 2), dtype=np.float64)
    if not drops.any():
        return 0.0
    norm = (expected**2).sum()
    fit = (expected * drops).sum() / norm if norm else 0.0
    return float(((fit * expected - drops) ** 2).sum() / (drops**2).sum())


def _squares(case: Case) -> np.ndarray:
    """[N, H, W], bool: squares at random places, of random sides."""
    rng = np.random.default_rng(case.choices.seed)
    height, width = case.mask.shape
    shorter = min(height, width)
    least, largest = (max(1, round(share * shorter)) for share in SIDES)
    squares = np.zeros((SQUARES, height, width), bool)
    for square in squares:
        side = int(rng.integers(least, largest + 1))
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        square[top : top + side, left : left + side] = True
    return squares
