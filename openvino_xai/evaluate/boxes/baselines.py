"""Maps that explain nothing, which stand beside every method: what they reach, a method has to exceed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openvino_xai.evaluate.boxes.case import BoxCase


def gaussian(case: BoxCase, _: np.random.Generator) -> np.ndarray:
    """[H, W] in [0, 1], on the image's pixels: a Gaussian at the centre of the box, its sigmas a quarter of the box's sides.

    It says where the box is, and nothing else. It is not cut off at the box's edges.
    """
    x0, y0, x1, y1 = case.box
    y, x = case.scene.centres
    down, across = (y - (y0 + y1) / 2) / ((y1 - y0) / 4), (x - (x0 + x1) / 2) / ((x1 - x0) / 4)
    return np.outer(np.exp(-(down**2) / 2), np.exp(-(across**2) / 2))


def random(case: BoxCase, rng: np.random.Generator) -> np.ndarray:
    """[h, w] in [0, 1): a number drawn evenly for each cell that the method's own map has."""
    return rng.random(case.saliency.shape)


BASELINES: dict[str, Callable[[BoxCase, np.random.Generator], np.ndarray]] = {"gaussian": gaussian, "random": random}
