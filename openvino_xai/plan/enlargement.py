"""Cells enlarged to pixels, as a matrix."""

from __future__ import annotations

import numpy as np


def enlarging(cells: int, pixels: int) -> np.ndarray:
    """[pixels, cells], f32: what each pixel takes of each cell, bilinear between their centres."""
    centres = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(centres[:, None] - np.arange(cells)), 0), np.float32)
