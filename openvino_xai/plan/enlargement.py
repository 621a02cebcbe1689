"""Cells enlarged to pixels, as a matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace


def enlarging(cells: int, pixels: int) -> np.ndarray:
    """[pixels, cells], f32: what each pixel takes of each cell, bilinear between their centres."""
    centres = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(centres[:, None] - np.arange(cells)), 0), np.float32)


def resampled(
    xp: Namespace, maps: Array, grid: tuple[int, int], weights: Callable[[int, int], np.ndarray] = enlarging
) -> Array:
    """[B, D, *grid], of maps [B, D, h, w]; `weights` tell what each row or column takes of those of the maps."""
    (height, width), (h, w) = grid, maps.shape[2:]
    if (h, w) == (height, width):
        return maps
    # the smaller product first; a matrix of two axes makes it one product for all maps
    wide = xp.matmul(maps, np.ascontiguousarray(weights(w, width).T))
    return xp.matmul(weights(h, height), wide)
