"""A map over the photo it explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np

from openvino_xai.choices import check_choice, quoted
from openvino_xai.errors import InputError

Box: TypeAlias = "tuple[float, float, float, float]"

COLORMAPS = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name) for name in sorted(dir(cv2)) if name.startswith("COLORMAP_")
}


def stretch(saliency: np.ndarray) -> np.ndarray:
    """The map [H, W], min-max scaled to [0, 1], f32; a constant map is 0. Raises InputError for NaN and infinite values."""
    if not np.isfinite(saliency).all():
        raise InputError("the map holds NaN or infinite values, which cannot be scaled: run the model with precision f32")
    low, high = float(saliency.min()), float(saliency.max())
    return np.asarray((saliency.astype(np.float64) - low) / (high - low or 1), np.float32)


Smoothing: TypeAlias = Literal["bilinear", "nearest"]
Kind: TypeAlias = Literal["overlay", "heatmap", "contours"]
Format: TypeAlias = Literal["png", "jpg", "webp", "none"]
LEVELS = (0.25, 0.5, 0.75)  # of the map, at which contours are drawn


@dataclass(frozen=True)
class Style:
    """How a map is drawn: over the photo with an `opacity` in [0, 1], alone, or as contours at a quarter, a half and three
    quarters of its height; `colormap` is one of matplotlib's names that OpenCV has, `smoothing` how cells become pixels.
    `each` asks for a picture of each box beside that of all. `file_format` is what pictures are written as; `none` is for maps
    alone.

    Raises InputError for what is not known.
    """

    kind: Kind = "overlay"
    colormap: str = "jet"
    opacity: float = 0.5
    smoothing: Smoothing = "bilinear"
    each: bool = False
    file_format: Format = "png"

    def __post_init__(self) -> None:
        words = (
            ("style", self.kind, get_args(Kind)),
            ("smoothing", self.smoothing, get_args(Smoothing)),
            ("file format", self.file_format, get_args(Format)),
        )
        for word, value, choices in (*words, ("colour map", self.colormap, tuple(COLORMAPS))):
            check_choice(word, value, choices)
        if not isinstance(self.opacity, (int, float)) or not 0 <= self.opacity <= 1:
            raise InputError(f"opacity is {quoted(self.opacity)}; a number from 0 to 1 is expected", options=("opacity",))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of a picture, where one is written."""
        return () if self.file_format == "none" else (f".{self.file_format}",)


OVERLAY = Style()


BAND = 2**18  # pixels that are worked on at a time: pictures of any size need little beside themselves


class Spread:
    """A map [H, W], laid over a photo of `size` (height, width): `box` shows its `region`, a slice of rows and one of columns.

    Cells are spread over the box, and cut off at the photo's edge: bilinear between their centres, with the outermost going on
    to the edge of the box; or `nearest`. In double precision, so that what is computed from it is the same on any machine.
    """

    def __init__(self, saliency: np.ndarray, size: tuple[int, int], box: Box, smoothing: Smoothing = "bilinear") -> None:
        x0, y0, x1, y1 = box
        self._saliency = saliency.astype(np.float64)
        self._down = _Side.of(size[0], (y0, y1), saliency.shape[0], smoothing)
        self._across = _Side.of(size[1], (x0, x1), saliency.shape[1], smoothing)
        self.region = self._down.extent, self._across.extent

    def bands(self) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
        """Rows and columns of the photo, and the map's values there [h, w], f64; together all of its `region`."""
        rows, columns = self.region
        wide = columns.stop - columns.start
        tall = max(1, BAND // max(1, wide))
        for start in range(rows.start, rows.stop if wide else rows.start, tall):
            band = slice(start, min(start + tall, rows.stop))
            part = self._down.part(slice(band.start - rows.start, band.stop - rows.start))
            yield (band, columns), self._across.mixed(part.mixed(self._saliency, 0), 1)


class _Side(NamedTuple):
    """For each pixel in the `extent` of one side that cells cover: the two cells around it, and the weight of the second."""

    extent: slice
    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, length: int, edges: tuple[float, float], cells: int, smoothing: Smoothing) -> _Side:
        """For `length` pixels, of which those between two edges are covered by cells."""
        places = (np.arange(length) + 0.5 - edges[0]) / (edges[1] - edges[0]) * cells  # of pixels' centres, in cells
        inside = np.flatnonzero((places >= 0) & (places < cells))
        extent = slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)
        if smoothing == "nearest":
            cell = places[extent].astype(np.int64)
            return cls(extent, cell, cell, np.zeros(len(cell)))
        between = np.clip(places[extent] - 0.5, 0, cells - 1)
        first = between.astype(np.int64)
        return cls(extent, first, np.minimum(first + 1, cells - 1), between - first)

    def part(self, pixels: slice) -> _Side:
        """The same for some of the pixels."""
        return _Side(self.extent, self.first[pixels], self.second[pixels], self.weight[pixels])

    def mixed(self, values: np.ndarray, axis: int) -> np.ndarray:
        """Values [H, W] with an axis of pixels in place of cells."""
        weight = self.weight[:, None] if axis == 0 else self.weight
        here, beyond = values.take(self.first, axis), values.take(self.second, axis)
        here *= 1 - weight
        beyond *= weight
        here += beyond
        return np.asarray(here)


def on_photo(
    saliency: np.ndarray, size: tuple[int, int], box: Box, smoothing: Smoothing = "bilinear"
) -> tuple[np.ndarray, np.ndarray]:
    """The map [H, W] in a photo's pixels, [h, w] in f32, 0 where the model saw nothing, and where it did, [h, w] bool."""
    spread = Spread(saliency, size, box, smoothing)
    values, coverage = np.zeros(size, np.float32), np.zeros(size, bool)
    coverage[spread.region] = True
    for place, band in spread.bands():
        values[place] = band
    return values, coverage


def colour(saliency: np.ndarray, colormap: str = "jet") -> np.ndarray:
    """[H, W, 3] RGB bytes for a map in [0, 1]."""
    levels = np.clip(saliency, 0, 1)
    levels *= 255
    np.rint(levels, out=levels)
    return np.asarray(cv2.applyColorMap(levels.astype(np.int32).astype(np.uint8), _shades(colormap)))


@cache
def _shades(colormap: str) -> np.ndarray:
    """[256, 1, 3] RGB bytes."""
    levels = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(levels, COLORMAPS[colormap])[..., ::-1])


def _mixed(below: np.ndarray, above: np.ndarray, opacity: float) -> np.ndarray:
    """Bytes [h, w, 3] under others, rounded to even from double precision."""
    if opacity == 1:
        return above
    if opacity == 0.5:  # of which no sum is rounded, whatever precision a machine adds in
        return np.asarray(cv2.addWeighted(below, 0.5, above, 0.5, 0))
    pairs = below.astype(np.uint16)
    pairs <<= 8
    pairs += above
    return _mixtures(opacity).take(pairs)


@lru_cache(maxsize=8)
def _mixtures(opacity: float) -> np.ndarray:
    """[65536] bytes: at 256 p + c a byte p under a byte c."""
    below, above = np.arange(256.0)[:, None], np.arange(256.0)
    return np.rint(below * (1 - opacity) + above * opacity).astype(np.uint8).ravel()


def drawn(photo: np.ndarray, saliency: np.ndarray, box: Box, style: Style = OVERLAY) -> np.ndarray:
    """[h, w, 3] RGB bytes, in the photo's size: the map, drawn over the part of the photo that the model saw.

    Takes 1.3 times the photo's memory beside the photo, twice of it for contours. Raises InputError for a map with NaN.
    """
    spread = Spread(stretch(saliency), photo.shape[:2], box, style.smoothing)
    if style.kind == "contours":
        return _contours(photo, spread, style)
    opacity = 1.0 if style.kind == "heatmap" else style.opacity
    picture = np.zeros(photo.shape, np.uint8) if style.kind == "heatmap" else np.array(photo, order="C")
    for place, band in spread.bands():
        picture[place] = _mixed(photo[place], colour(band, style.colormap), opacity)
    return picture


def _contours(photo: np.ndarray, spread: Spread, style: Style) -> np.ndarray:
    lined = np.array(photo, order="C")
    passed = np.zeros(photo.shape[:2], np.uint8)  # how many of the levels the map is above
    for place, band in spread.bands():
        passed[place] = np.searchsorted(LEVELS, band, side="right")
    width = max(1, round(max(photo.shape[:2]) / 250))
    for count, level in enumerate(LEVELS):
        lines, _ = cv2.findContours((passed > count).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        shade = colour(np.array([[level]]), style.colormap)[0, 0].tolist()
        cv2.drawContours(lined, lines, -1, shade, width, cv2.LINE_AA)
    return lined
