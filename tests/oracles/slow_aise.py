"""AISE, slowly: one mask at a time, in loops over pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import direct


def slow_gaussian(x: float, y: float, sigma: float, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width))
    for h, w in np.ndindex(height, width):
        across, down = (w + 0.5) / width - x, (h + 0.5) / height - y
        mask[h, w] = math.exp(-(across**2 + down**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    return mask / mask.max()


def slow_aise(
    image: np.ndarray,
    widths: Sequence[float],
    plane: Sequence[tuple[float, float]],
    epsilon: float,
    evaluations: int,
    value: Callable[[np.ndarray], float],
) -> np.ndarray:
    """[H, W]: the mean over widths of the first `evaluations` masks that DIRECT asks about, times their values."""
    total = np.zeros(image.shape[1:])
    for sigma in widths:
        masks: list[tuple[float, np.ndarray]] = []

        def loss(point: np.ndarray, sigma: float = sigma, masks: list = masks) -> float:
            mask = slow_gaussian(point[0], point[1], sigma, *image.shape[1:])
            masks.append((value(mask), mask))
            return -masks[-1][0]

        direct(loss, list(plane), eps=epsilon, maxfun=evaluations, maxiter=evaluations, locally_biased=False)
        density = sum(worth * mask for worth, mask in masks[:evaluations])
        total += density / density.max() if density.max() > 0 else density
    return total / len(widths)
