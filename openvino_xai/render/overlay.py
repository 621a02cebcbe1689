"""A map over the photo it explains."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np

from openvino_xai.errors import InputError

Box: TypeAlias = "tuple[float, float, float, float]"

COLORMAPS = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name) for name in sorted(dir(cv2)) if name.startswith("COLORMAP_")
}


def stretch(saliency: np.ndarray) -> np.ndarray:
    """The map [H, W], min-max scaled to [0, 1]; a constant map is 0."""
    low, high = float(saliency.min()), float(saliency.max())
    return ((saliency - low) / (high - low or 1)).astype(np.float32)


def on_photo(saliency: np.ndarray, size: tuple[int, int], box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The map [H, W] in a photo's pixels, [h, w] in [0, 1], and where the model saw the photo, [h, w] bool.

    `box` is what the model's input shows of the photo; cells are spread over it bilinearly and cut off at the photo's edge.
    """
    height, width = size
    x0, y0, x1, y1 = box
    rows, columns = saliency.shape
    # pixel centres of the photo in the map's cells
    xs = ((np.arange(width) + 0.5 - x0) / (x1 - x0) * columns - 0.5).astype(np.float32)
    ys = ((np.arange(height) + 0.5 - y0) / (y1 - y0) * rows - 0.5).astype(np.float32)
    grid_x, grid_y = np.meshgrid(np.clip(xs, 0, columns - 1), np.clip(ys, 0, rows - 1))
    spread = cv2.remap(saliency.astype(np.float32), grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = ((ys >= -0.5) & (ys < rows - 0.5))[:, None] & ((xs >= -0.5) & (xs < columns - 0.5))[None]
    return np.where(seen, spread, 0), seen


def colour(saliency: np.ndarray, colormap: str = "jet") -> np.ndarray:
    """[H, W, 3] RGB bytes for a map in [0, 1]. Raises InputError for an unknown colour map."""
    if colormap not in COLORMAPS:
        raise InputError(f"colour map '{colormap}' is not known: one of {', '.join(COLORMAPS)} is expected")
    levels = np.round(np.clip(saliency, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, COLORMAPS[colormap])[..., ::-1])


def overlay(
    photo: np.ndarray,
    saliency: np.ndarray,
    box: Box,
    *,
    colormap: str = "jet",
    opacity: float = 0.5,
) -> np.ndarray:
    """[h, w, 3] RGB bytes, in the photo's size: the coloured map over the part of the photo that the model saw."""
    spread, seen = on_photo(stretch(saliency), photo.shape[:2], box)
    mixed = photo * (1 - opacity) + colour(spread, colormap) * opacity
    return np.where(seen[..., None], np.round(mixed), photo).astype(np.uint8)
