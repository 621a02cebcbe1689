"""Masks: what copy n of the features is multiplied by, laid out beside them.

A mask `m` is one of three: one cell, or a block of cells, of a grid; a real number for each cell; channels that are kept. The
definition multiplies the features by it. Where that is put off, `rest + m (v - rest)` takes its place (`algebra`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Dim, Size, at_one, concrete, product, text
from openvino_xai.graph.trace import Trace, as_value, shape_of
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.positions import Place
from openvino_xai.tail.masked import MaskedCells


def in_image(cells: np.ndarray, place: Place) -> np.ndarray:
    """What belongs to each cell [H, W] of a value, from what belongs to the cells of the image; or the other way."""
    down, right = (-1 if is_mirrored else 1 for is_mirrored in place.mirrored)
    return cells[::down, ::right]


class Mask(Protocol):
    """N masks."""

    @property
    def count(self) -> Size:
        """N."""

    def beside(self, xp: Trace, features: MaskedCells) -> Value:
        """The masks in the order of the features' axes, of size 1 along those that are no cells; N stands behind the batch."""


@dataclass(frozen=True)
class BlockMask:
    """Mask n is 1 at cell n, or at block n of a `grid` (H, W) of blocks that divide the cells, and 0 elsewhere."""

    grid: tuple[Size, Size]

    @property
    def count(self) -> Size:
        """N = H * W."""
        return product(self.grid)

    def beside(self, xp: Trace, features: MaskedCells) -> Value:
        """[1, N, 1, H, W], boolean: tokens that are no cells are kept by all masks.

        Raises PlanError if the number of cells is open, or if masks do not divide the cells.
        """
        shape, place = shape_of(features.value), features.place
        cells = [shape[axis] for axis in place.cells] if len(place.cells) == 2 else place.grid
        named = f"'{layer_name(features.value)}' {text(shape)}"
        if any(isinstance(size, Dim) for size in (*cells, *self.grid)):
            raise PlanError(
                f"layer {named} has to be masked cell by cell, and the number of its cells depends on the input: "
                "give the model a fixed height and width, or choose a layer from which only a pool leads to the scores"
            )
        (height, width), (rows, columns) = (concrete(sizes, f"the cells of layer {named}") for sizes in (cells, self.grid))
        if height % rows or width % columns:
            raise PlanError(
                f"layer {named} has {height} x {width} cells where there are {rows} x {columns} masks: the "
                "shapes that the model tells contradict each other"
            )
        blocks = np.arange(rows)[:, None] * columns + np.arange(columns)
        index = in_image(blocks.repeat(height // rows, axis=0).repeat(width // columns, axis=1), place)
        if place.cells != tuple(sorted(place.cells)):  # the value has its width ahead of its height
            index = index.T
        # compared in the graph: the file has an index for each cell, and not N masks of all cells
        masks = np.arange(rows * columns).reshape([-1 if axis == place.batch + 1 else 1 for axis in range(len(shape) + 1)])
        outside = place.beside(shape)
        if outside is None:
            return xp.equal(masks, _with_masks(index, features))
        tokens = np.zeros(outside.size, index.dtype)
        tokens[place.tokens(tokens.size)] = index.reshape(-1)
        return xp.equal(masks, xp.where(np.expand_dims(outside, place.batch + 1), masks, _with_masks(tokens, features)))


@dataclass(frozen=True, eq=False)
class WeightMask:
    """Mask n is `weights[n, i]` at cell i, or at token i, of any real numbers: 1 keeps it, 0 takes it out."""

    weights: np.ndarray

    @property
    def count(self) -> int:
        """N."""
        return len(self.weights)

    def beside(self, xp: Trace, features: MaskedCells) -> Value:
        """[1, N, 1, H, W], real, in the type of the features. Raises PlanError if the number of cells is open."""
        shape, cells = shape_of(features.value), features.place.cells
        sizes = concrete((shape[axis] for axis in cells), f"the cells of layer '{layer_name(features.value)}'")
        weights = self.weights.reshape(-1, *sizes)
        if cells != tuple(sorted(cells)):
            weights = weights.swapaxes(1, 2)
        beside = np.stack([_with_masks(mask, features) for mask in weights], axis=features.place.batch + 1)
        return as_value(np.squeeze(beside, features.place.batch + 2).astype(features.value.dtype), ())


def _with_masks(numbers: np.ndarray, features: MaskedCells) -> np.ndarray:
    """A number for each cell, in the order of the features' axes, with an axis of masks behind the batch."""
    shape, place = shape_of(features.value), features.place
    laid = numbers.reshape([at_one(size) if axis in place.cells else 1 for axis, size in enumerate(shape)])
    return np.expand_dims(laid, place.batch + 1)


@dataclass(frozen=True, eq=False)
class ChannelMask:
    """Mask m of image b is 1 at the channels that are true in `masks[b, m]`, of [B, M, C], and 0 at the others."""

    masks: Value

    @property
    def count(self) -> Size:
        """M."""
        return shape_of(self.masks)[1]

    def beside(self, xp: Trace, features: MaskedCells) -> Value:
        """[B, M, 1 ... C ... 1], boolean: C on the axis that holds the channels, which takes the place of the cells."""
        (axis,) = features.place.cells
        batch, masks, channels = shape_of(self.masks)
        sizes = (channels if a == axis else 1 for a in range(1, len(shape_of(features.value))))
        return xp.reshape(self.masks, (batch, masks, *sizes))
