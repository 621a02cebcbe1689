"""Boxes from the numbers that detectors return for their rows: one function a format, of `(xp, numbers, grid)`.

`numbers` are [B, A, n], n of 4 or, for distances as distributions, 4 * m. The result is [B, A, 4], xyxy in pixels of the
model's input. Boxes may reach beyond the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from openvino_xai.choices import quoted, suggestion
from openvino_xai.errors import InputError
from openvino_xai.graph.vocabulary import Array, Namespace

BINS = range(8, 34)  # of a distance that is a distribution, on each side
FIRST, LAST = np.array([0, 1]), np.array([2, 3])


@dataclass(frozen=True, eq=False)
class Grid:
    """Where A rows stand in an image of `size` (W, H) pixels.

    `centres` [A, 2] are the middles (x, y) of the rows' cells and `strides` [A, 2] the cells' sizes, in pixels. They are None
    for queries, which have no cells.
    """

    size: tuple[int, int]
    centres: np.ndarray | None = None
    strides: np.ndarray | None = None

    @property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """`centres` and `strides`, f32, which must be there."""
        assert self.centres is not None
        assert self.strides is not None
        return self.centres.astype(np.float32), self.strides.astype(np.float32)

    @property
    def pixels(self) -> np.ndarray:
        """[2], f32: the width and the height."""
        return np.array(self.size, np.float32)


@dataclass(frozen=True)
class Format:
    """What numbers of a row mean. One that is `absolute` is decoded in the file, and needs no cells."""

    name: str
    meaning: str
    decode: Callable[[Namespace, Array, Grid], Array]
    absolute: bool = False
    distributed: bool = False

    def width(self, available: int) -> int | None:
        """How many numbers a row's box takes of those `available`; None where they do not fit."""
        if not self.distributed:
            return 4 if available >= 4 else None
        return available if available % 4 == 0 and available // 4 in BINS else None


def _corners(xp: Namespace, numbers: Array, grid: Grid, *, relative: bool, rows_first: bool = False) -> Array:
    if rows_first:
        numbers = xp.take(numbers, np.array([1, 0, 3, 2]), axis=2)
    return xp.multiply(numbers, np.tile(grid.pixels, 2)) if relative else numbers


def _centred(xp: Namespace, numbers: Array, grid: Grid, *, relative: bool) -> Array:
    scale = grid.pixels if relative else np.ones(2, np.float32)
    return _around(xp, xp.multiply(_first(xp, numbers), scale), xp.multiply(_last(xp, numbers), scale))


def _yolox(xp: Namespace, numbers: Array, grid: Grid) -> Array:
    """Ge et al., "YOLOX: Exceeding YOLO series in 2021": offsets from a cell's corner and logarithms of sizes, in strides."""
    centres, strides = grid.cells
    centre = xp.add(xp.multiply(_first(xp, numbers), strides), centres - strides / 2)
    return _around(xp, centre, xp.multiply(xp.exp(_last(xp, numbers)), strides))


def _fastestdet(xp: Namespace, numbers: Array, grid: Grid) -> Array:
    """Offsets from a cell's corner as tanh, in strides, and sizes as a sigmoid, in images."""
    centres, strides = grid.cells
    centre = xp.add(xp.multiply(xp.tanh(_first(xp, numbers)), strides), centres - strides / 2)
    return _around(xp, centre, xp.multiply(xp.sigmoid(_last(xp, numbers)), grid.pixels))


def _offsets(xp: Namespace, numbers: Array, grid: Grid) -> Array:
    """Bazarevsky et al., "BlazeFace", 2019: anchors of the image's size, so that offsets and sizes are in pixels."""
    centres, _ = grid.cells
    return _around(xp, xp.add(_first(xp, numbers), centres), _last(xp, numbers))


def _distances(xp: Namespace, numbers: Array, grid: Grid, *, in_strides: bool) -> Array:
    """Tian et al., "FCOS: Fully convolutional one-stage object detection", 2019: to the left, top, right and bottom."""
    centres, strides = grid.cells
    return _reaching(xp, numbers, centres, strides if in_strides else np.ones_like(strides))


def _distributed(xp: Namespace, numbers: Array, grid: Grid, *, from_corners: bool = False) -> Array:
    """Li et al., "Generalized focal loss", 2020: each distance is the mean of a softmax over whole strides."""
    batch, rows, width = numbers.shape
    bins = width // 4
    centres, strides = grid.cells
    shares = xp.softmax(xp.reshape(numbers, (batch, rows, 4, bins)), axis=3)
    means = xp.sum(xp.multiply(shares, np.arange(bins, dtype=np.float32)), axis=3)
    return _reaching(xp, means, centres - strides / 2 if from_corners else centres, strides)


def _first(xp: Namespace, numbers: Array) -> Array:
    return xp.take(numbers, FIRST, axis=2)


def _last(xp: Namespace, numbers: Array) -> Array:
    return xp.take(numbers, LAST, axis=2)


def _around(xp: Namespace, centre: Array, size: Array) -> Array:
    half = xp.multiply(size, np.float32(0.5))
    return xp.concat([xp.subtract(centre, half), xp.add(centre, half)], axis=2)


def _reaching(xp: Namespace, distances: Array, points: np.ndarray, unit: np.ndarray) -> Array:
    before, behind = (xp.multiply(part, unit) for part in (_first(xp, distances), _last(xp, distances)))
    return xp.concat([xp.subtract(points, before), xp.add(points, behind)], axis=2)


FORMATS = {
    entry.name: entry
    for entry in (
        Format("xyxy", "two corners, in pixels", partial(_corners, relative=False), absolute=True),
        Format("xywh", "centre and size, in pixels", partial(_centred, relative=False), absolute=True),
        Format("xyxy01", "two corners, as shares of the image", partial(_corners, relative=True), absolute=True),
        Format("xywh01", "centre and size, as shares of the image", partial(_centred, relative=True), absolute=True),
        Format("yxyx", "two corners, rows first, in pixels", partial(_corners, relative=False, rows_first=True), absolute=True),
        Format("yxyx01", "the same, as shares of the image", partial(_corners, relative=True, rows_first=True), absolute=True),
        Format("yolox", "offsets in cells and logarithms of sizes, as YOLOX", _yolox),
        Format("fastestdet", "tanh of offsets in cells and sigmoid of sizes, as FastestDet", _fastestdet),
        Format("offsets", "offsets from the cell's middle and sizes, in pixels, as BlazeFace", _offsets),
        Format("distances", "distances to four sides, in cells", partial(_distances, in_strides=True)),
        Format("distances_pixels", "distances to four sides, in pixels, as FCOS", partial(_distances, in_strides=False)),
        Format("dfl", "distributions of four distances from the cell's middle", _distributed, distributed=True),
        Format(
            "dfl_corner",
            "distributions of four distances from the cell's corner, as NanoDet-Plus",
            partial(_distributed, from_corners=True),
            distributed=True,
        ),
    )
}


def check_format(name: object) -> None:
    """Raise InputError for what is no name of a format, and not None, which is for the model to tell."""
    if name is None or (isinstance(name, str) and name in FORMATS):
        return
    raise InputError(
        f"format {quoted(name)} of boxes is not known: one of {', '.join(FORMATS)} is expected{suggestion(name, FORMATS)}",
        options=("boxes",),
    )
