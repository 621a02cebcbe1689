"""Opti-CAM, slowly: a weight moved at a time, and Adam written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

STEP = 1e-6


def weighed_sum(u: list[float], channels: np.ndarray) -> np.ndarray:
    """[h, w]: the sum of what is positive of channels [C, h, w], by a softmax of `u`."""
    total = sum(math.exp(weight) for weight in u)
    return sum(math.exp(weight) / total * np.maximum(channel, 0) for weight, channel in zip(u, channels, strict=True))


def slow_opti_cam(logit: Callable[[np.ndarray], float], channels: np.ndarray, steps: int) -> np.ndarray:
    """[h, w]: the sum of channels after steps up the slope of `logit`, which tells that of the image under a sum."""
    count = len(channels)
    u, means, squares = [0.5] * count, [0.0] * count, [0.0] * count
    for step in range(1, steps + 1):
        slopes = []
        for k in range(count):
            higher, lower = ([weight + (STEP * sign if k == at else 0) for at, weight in enumerate(u)] for sign in (1, -1))
            slopes.append((logit(weighed_sum(higher, channels)) - logit(weighed_sum(lower, channels))) / (2 * STEP))
        for k, slope in enumerate(slopes):
            means[k] = 0.9 * means[k] + 0.1 * slope
            squares[k] = 0.999 * squares[k] + 0.001 * slope**2
            u[k] += 0.1 * (means[k] / (1 - 0.9**step)) / (math.sqrt(squares[k] / (1 - 0.999**step)) + 1e-8)
    return weighed_sum(u, channels)
