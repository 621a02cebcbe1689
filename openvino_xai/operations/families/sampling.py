"""What is sampled between elements, at places that the model computes itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations import axes
from openvino_xai.operations.adjoint import Step, refused
from openvino_xai.operations.record import IN_FIRST, Contents, Operation, each

PADDINGS = ("zeros", "border")


class _Along(NamedTuple):
    """One coordinate of S places along an axis of `size` elements: each lies between two.

    `first` [R, S] is the nearer of the two to the start, a whole number that may lie outside, and `share` [R, S], in [0, 1),
    how far a place lies beyond it. `slope` is how far a place moves with its coordinate: a number, or [R, S].
    """

    size: int
    first: Value
    share: Value
    slope: Value | float

    @classmethod
    def of(cls, at: Step, coordinate: Value, size: int) -> _Along:
        """Of coordinates [R, S] in [-1, 1], as PyTorch's `grid_sample` reads them."""
        xp, dtype = at.xp, coordinate.dtype
        slope = (size - 1) / 2 if at.node.attributes["align_corners"] else size / 2
        place = xp.add(xp.multiply(coordinate, slope), (size - 1) / 2)
        moves: Value | float = slope
        if at.node.attributes["padding"] == "border":
            low, high = np.zeros((), dtype), np.array(size - 1, dtype)
            inside = xp.multiply(xp.astype(xp.greater(place, low), dtype), xp.astype(xp.greater(high, place), dtype))
            moves = xp.multiply(inside, slope)
            place = xp.minimum(xp.maximum(place, low), high)
        else:  # further out all is 0; whole numbers of any size are no indices
            place = xp.minimum(xp.maximum(place, -2.0), float(size + 1))
        rounded = xp.round(place)
        first = xp.subtract(rounded, xp.astype(xp.greater(rounded, place), dtype))
        return cls(size, first, xp.subtract(place, first), moves)

    def corner(self, xp: Trace, step: int) -> tuple[Value, Value]:
        """The index [R, S], i64, of the element before (0) or behind (1) each place, and 1 where there is one, else 0."""
        place = xp.add(self.first, float(step))
        nearest = xp.minimum(xp.maximum(place, 0.0), float(self.size - 1))
        return xp.astype(nearest, np.int64), xp.astype(xp.equal(nearest, place), place.dtype)

    def weight(self, xp: Trace, step: int) -> Value:
        """[R, S]: how much of that element is in what is sampled."""
        return self.share if step else xp.subtract(np.ones((), self.share.dtype), self.share)


def _sampled(at: Step, index: int, g: Value) -> Value:
    """The derivative of bilinear samples, by what is sampled or by the places.

    With the four elements v around a place, that of element ij is g w_i w_j, and that of the column is g sum_ij (+-1)_j w_i
    v_ij (Jaderberg et al., "Spatial transformer networks", 2015, equations 6 and 7). Where a place is an element, it is that of
    the side behind.
    """
    xp, a = at.xp, at.node.attributes
    if a["mode"] != "bilinear" or a["padding"] not in PADDINGS or len(at.operand_shape(0)) != 4:
        raise refused(at, f"it samples by '{a['mode']}' and pads by '{a['padding']}', and bilinear with zeros is expected")
    rows, channels, *cells = at.operand_shape(0)
    height, width = concrete(cells, f"the cells of what {at.node} samples")
    tall, wide = concrete(at.output_shape()[2:], f"the places of {at.node}")
    count = tall * wide
    grid = xp.reshape(at.operand(1), (rows, count, 2))
    x, y = (
        _Along.of(at, xp.reshape(xp.take(grid, np.array([i]), axis=2), (rows, count)), size)
        for i, size in ((0, width), (1, height))
    )
    g = xp.reshape(at.full(g), (rows, channels, count))
    if index == 0:
        return xp.reshape(_by_elements(xp, g, x, y, (rows, channels, height * width)), (rows, channels, height, width))
    v = xp.reshape(at.operand(0), (rows, channels, height * width))
    return xp.reshape(_by_places(xp, g, v, x, y), (rows, tall, wide, 2))


def _corners(xp: Trace, x: _Along, y: _Along) -> list[tuple[int, int, Value, Value]]:
    """The steps down and across to each of the four elements around a place, its index [R, S], and where it is there."""
    corners = []
    for down in (0, 1):
        row, row_there = y.corner(xp, down)
        for across in (0, 1):
            column, column_there = x.corner(xp, across)
            place = xp.add(xp.multiply(row, np.int64(x.size)), column)
            corners.append((down, across, place, xp.multiply(row_there, column_there)))
    return corners


def _by_elements(xp: Trace, g: Value, x: _Along, y: _Along, shape: Shape) -> Value:
    """[R, C, H * W], of g [R, C, S]."""
    rows, channels, count = shape_of(g)
    parts, places = [], []
    for down, across, place, there in _corners(xp, x, y):
        weight = xp.multiply(xp.multiply(y.weight(xp, down), x.weight(xp, across)), there)
        parts.append(xp.multiply(g, xp.reshape(weight, (rows, 1, count))))
        places.append(xp.broadcast_to(xp.reshape(place, (rows, 1, count)), (rows, channels, count)))
    nothing = xp.broadcast_to(np.zeros((1, 1, 1), g.dtype), shape)
    return xp.scatter_add(nothing, xp.concat(places, axis=2), xp.concat(parts, axis=2), axis=2)


def _by_places(xp: Trace, g: Value, v: Value, x: _Along, y: _Along) -> Value:
    """[R, S, 2], of g [R, C, S] and what is sampled, v [R, C, H * W]."""
    rows, channels, count = shape_of(g)
    slopes: list[Value | None] = [None, None]
    for down, across, place, there in _corners(xp, x, y):
        spread = xp.broadcast_to(xp.reshape(place, (rows, 1, count)), (rows, channels, count))
        weight = xp.multiply(xp.sum(xp.multiply(g, xp.take_along_axis(v, spread, axis=2)), axis=1), there)
        for axis, step, other in ((0, across, y.weight(xp, down)), (1, down, x.weight(xp, across))):
            part = xp.multiply(weight, other)
            part = part if step else xp.multiply(part, -1.0)
            total = slopes[axis]
            slopes[axis] = part if total is None else xp.add(total, part)
    moved = [xp.multiply(total, along.slope) for total, along in zip(slopes, (x, y), strict=True) if total is not None]
    return xp.concat([xp.reshape(part, (rows, count, 1)) for part in moved], axis=2)


def _shape(node: Node, content: Contents) -> list[Shape]:
    """Images and channels of what is sampled, and the rows and columns of places."""
    return [(*shape_of(node.operand(0))[:2], *shape_of(node.operand(1))[1:3])]


OPERATIONS = (
    Operation(
        name="grid_sample",
        axes=axes.sampled,
        factors=(IN_FIRST,),
        equal_batches=True,
        macs=each,
        shape=_shape,
        adjoint=_sampled,
    ),
)
