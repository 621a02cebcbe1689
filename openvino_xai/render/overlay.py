"""A map over the photo it explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

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


Smoothing: TypeAlias = Literal["bilinear", "nearest"]
Kind: TypeAlias = Literal["overlay", "heatmap", "contours"]
LEVELS = (0.25, 0.5, 0.75)  # of the map, at which contours are drawn


@dataclass(frozen=True)
class Style:
    """How a map is drawn: over the photo with an `opacity` in [0, 1], alone, or as contours at a quarter, a half and three
    quarters of its height; `colormap` is one of matplotlib's names that OpenCV has, `smoothing` how cells become pixels.

    Raises InputError for what is not known.
    """

    kind: Kind = "overlay"
    colormap: str = "jet"
    opacity: float = 0.5
    smoothing: Smoothing = "bilinear"

    def __post_init__(self) -> None:
        words = (("style", self.kind, get_args(Kind)), ("smoothing", self.smoothing, get_args(Smoothing)))
        for word, told, known in (*words, ("colour map", self.colormap, tuple(COLORMAPS))):
            if told not in known:
                raise InputError(f"{word} '{told}' is not known: one of {', '.join(known)} is expected")
        if not 0 <= self.opacity <= 1:
            raise InputError(f"opacity is {self.opacity}; a number from 0 to 1 is expected")


OVERLAY = Style()


def on_photo(
    saliency: np.ndarray, size: tuple[int, int], box: Box, smoothing: Smoothing = "bilinear"
) -> tuple[np.ndarray, np.ndarray]:
    """The map [H, W] in a photo's pixels, [h, w] in [0, 1], and where the model saw the photo, [h, w] bool.

    `box` is what the model's input shows of the photo; cells are spread over it and cut off at the photo's edge.
    """
    height, width = size
    x0, y0, x1, y1 = box
    rows, columns = saliency.shape
    # pixel centres of the photo in the map's cells
    xs = ((np.arange(width) + 0.5 - x0) / (x1 - x0) * columns - 0.5).astype(np.float32)
    ys = ((np.arange(height) + 0.5 - y0) / (y1 - y0) * rows - 0.5).astype(np.float32)
    grid_x, grid_y = np.meshgrid(np.clip(xs, 0, columns - 1), np.clip(ys, 0, rows - 1))
    how = cv2.INTER_LINEAR if smoothing == "bilinear" else cv2.INTER_NEAREST
    spread = cv2.remap(saliency.astype(np.float32), grid_x, grid_y, how, borderMode=cv2.BORDER_REPLICATE)
    seen = ((ys >= -0.5) & (ys < rows - 0.5))[:, None] & ((xs >= -0.5) & (xs < columns - 0.5))[None]
    return np.where(seen, spread, 0), seen


def colour(saliency: np.ndarray, colormap: str = "jet") -> np.ndarray:
    """[H, W, 3] RGB bytes for a map in [0, 1]."""
    levels = np.round(np.clip(saliency, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, COLORMAPS[colormap])[..., ::-1])


def drawn(photo: np.ndarray, saliency: np.ndarray, box: Box, style: Style = OVERLAY) -> np.ndarray:
    """[h, w, 3] RGB bytes, in the photo's size: the map, drawn over the part of the photo that the model saw."""
    spread, seen = on_photo(stretch(saliency), photo.shape[:2], box, style.smoothing)
    if style.kind == "contours":
        return _contours(photo, np.where(seen, spread, 0), style)
    opacity = 1.0 if style.kind == "heatmap" else style.opacity
    mixed = photo * (1 - opacity) + colour(spread, style.colormap) * opacity
    unseen = np.zeros_like(photo) if style.kind == "heatmap" else photo
    return np.where(seen[..., None], np.round(mixed), unseen).astype(np.uint8)


def _contours(photo: np.ndarray, spread: np.ndarray, style: Style) -> np.ndarray:
    lined = np.ascontiguousarray(photo)
    width = max(1, round(max(photo.shape[:2]) / 250))
    for level in LEVELS:
        found, _ = cv2.findContours((spread >= level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        shade = colour(np.array([[level]]), style.colormap)[0, 0].tolist()
        lined = cv2.drawContours(lined.copy(), found, -1, shade, width, cv2.LINE_AA)
    return np.asarray(lined)
