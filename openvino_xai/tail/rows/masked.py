"""Rows under masks, window by window: the log-odds of a few rows where only some cells of all layers are left.

Copy n of a row's window is the window of each layer times mask n. It is followed forward to the heads, through the windows that
the way back has found: all that a row depends on, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.resizing import weights_along
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.reverse_mode import PatchAdjoint, RowStream
from openvino_xai.tail.rows.windows import Cells, Patch, Window, weighed
from openvino_xai.tail.walk import forward, refused

FOLLOWED = "followed in windows"


@dataclass(frozen=True)
class MaskGrid:
    """Masks, one for each of `rows` x `columns` image cells: the product of what `profile` keeps along either axis.

    `profile(masks, size)` is [masks, size], in [0, 1], of an axis of `size` items. A part has the masks of some rows, from the
    `first` of `total` on.
    """

    rows: int
    columns: int
    profile: Callable[[int, int], np.ndarray]
    first: int = 0
    total: int | None = None

    def parts(self, chunks: int) -> list[MaskGrid]:
        """The same masks in so many parts, row by row, or one of each row."""
        ends = np.linspace(0, self.rows, min(chunks, self.rows) + 1).astype(int)
        pairs = list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
        return [MaskGrid(stop - start, self.columns, self.profile, start, self.rows) for start, stop in pairs]

    @property
    def count(self) -> int:
        """N."""
        return self.rows * self.columns

    def weights(self, cells: Cells, patch: Patch) -> Value:
        """[R, N, 1, h, w], f32: what each mask keeps of a row's window."""
        xp, (tall, wide) = cells.xp, patch.sides
        of_rows = self.profile(self.total or self.rows, patch.rows.size)[self.first : self.first + self.rows]
        down = cells.entries(_in_window(of_rows, patch.rows), cells.row)
        across = cells.entries(_in_window(self.profile(self.columns, patch.columns.size), patch.columns), cells.column)
        by_row = xp.reshape(down, (cells.count, self.rows, 1, tall, 1))
        by_column = xp.reshape(across, (cells.count, 1, self.columns, 1, wide))
        return xp.reshape(xp.multiply(by_row, by_column), (cells.count, self.count, 1, tall, wide))


def _in_window(profile: np.ndarray, window: Window) -> np.ndarray:
    """[places, masks, length], f32: a profile [masks, size] at the items of a window."""
    return np.asarray(profile[:, np.clip(window.items, 0, window.size - 1)].transpose(1, 0, 2), np.float32)


class MaskedRows:
    """The log-odds of a stream's rows under masks; the stream has been followed back, so that its windows are known."""

    def __init__(self, stream: RowStream, windows: Mapping[Value, PatchAdjoint], copies: int) -> None:
        self._stream, self._windows, self._copies = stream, windows, copies
        xp, cells = stream.xp, stream.cells
        rows = (cells.count * copies,)
        row, column, image = (
            xp.reshape(xp.broadcast_to(xp.reshape(place, (cells.count, 1)), (cells.count, copies)), rows)
            for place in (cells.row, cells.column, cells.image)
        )
        self._cells = Cells(xp, row, column, image, rows[0])

    def log_odds(self, weights: Callable[[Patch], Value], *, drop: bool) -> Value:
        """[R, N]: of features times `weights` [R, N, 1, h, w] of a patch, or times 1 less these; 0 for rows of other levels."""
        start = {value: self._masked(value, weights, drop=drop) for value in self._windows_of_cut()}
        values = forward(self._stream.nodes, start, self._forward)
        return self._stream.log_odds({head.value: values[head.value] for head in self._stream.heads}, self._copies)

    def _windows_of_cut(self) -> Sequence[Value]:
        return [value for value in self._stream.cut if value in self._windows]

    def _patch(self, value: Value) -> Patch:
        """The window of a value."""
        return self._windows[value].patch or self._stream.full(value)

    def _masked(self, value: Value, weights: Callable[[Patch], Value], *, drop: bool) -> Value:
        """[R * N, C, h, w]: a layer's window, masked."""
        xp, cells, patch = self._stream.xp, self._stream.cells, self._patch(value)
        features = cells.within(cells.gathered(tapped(xp, value), patch), patch)
        rows, channels, tall, wide = shape_of(features)
        mask = weights(patch)
        if drop:
            mask = xp.subtract(np.float32(1), mask)
        masked = xp.multiply(xp.reshape(features, (rows, 1, channels, tall, wide)), xp.astype(mask, value.dtype))
        masked = xp.broadcast_to(masked, (cells.count, *shape_of(masked)[1:]))
        return xp.reshape(masked, (self._cells.count, channels, tall, wide))

    def _forward(self, node: Node, operands: Mapping[int, Value]) -> Sequence[Value] | None:
        """What a node makes of windows."""
        outputs = [value for value in node.outputs if value in self._windows]
        if not outputs:
            return None
        if "kernel" in node.attributes and operation_of(node).weights is not None:
            return [self._convolved(node, operands)]
        if operation_of(node).name == "resize":
            return [self._resized(node, operands[0])]
        if not self._stream.by_cell(node):
            raise refused(node, FOLLOWED, "it mixes cells")
        patch = reduce(Patch.joined, map(self._patch, outputs))  # parts of a split are read in windows of their own
        inputs = [None if value is None else self._read(value, operands.get(i), patch) for i, value in enumerate(node.inputs)]
        shapes = [(self._cells.count, *shape_of(value)[1:2], *patch.sides) for value in node.outputs]
        copies = self._stream.xp.repeat(node, inputs, shapes)
        return [
            self._cells.moved(copy, patch, self._patch(value)) if value in outputs else copy
            for value, copy in zip(node.outputs, copies, strict=True)
        ]

    def _read(self, value: Value, masked: Value | None, patch: Patch) -> Value:
        """An operand in the window of what is made of it: followed, or as the model computes it."""
        if masked is None:
            return self._stream.as_operand(value, patch, self._cells)
        if shape_of(masked)[2:] == (1, 1) and patch.sides != (1, 1):
            return masked
        return self._cells.moved(masked, self._patch(value), patch)

    def _convolved(self, node: Node, operands: Mapping[int, Value]) -> Value:
        """The window of a convolution, of the window that it reads, 0 beyond the value."""
        x = node.operand(0)
        if list(operands) != [0] or operation_of(node).name != "conv":
            raise refused(node, FOLLOWED, "it is no convolution by constant weights")
        before, region = self._patch(x), self._stream.reading(node, self._patch(node.outputs[0]))
        inside = self._cells.within(self._cells.moved(operands[0], before, region), region)
        return self._stream.convolved(node, inside)

    def _resized(self, node: Node, x: Value) -> Value:
        """The window of what is resized: the weights of each of its items, by the window that it reads."""
        patch, before, tables = self._patch(node.outputs[0]), self._patch(node.operand(0)), []
        for axis, window, reading in ((2, patch.rows, before.rows), (3, patch.columns, before.columns)):
            weights = weights_along(node, axis)
            if weights is None:
                raise refused(node, FOLLOWED, "how it resizes is not known")
            tables.append(weighed(weights, window, reading).astype(x.dtype))
        return self._cells.times(tables[0], tables[1].transpose(0, 2, 1), x)


def gaussian(masks: int, size: int) -> np.ndarray:
    """[masks, size]: 1 at the middle of a mask's cell, falling as a Gaussian with a deviation of 1.5 cells."""
    centres = (np.arange(size) + 0.5) * masks / size - 0.5
    return np.asarray(np.exp(-((centres - np.arange(masks)[:, None]) ** 2) / (2 * 1.5**2)))


def cell(masks: int, size: int) -> np.ndarray:
    """[masks, size]: 1 at the items whose middle lies in a mask's cell."""
    lies_in = (np.arange(size) * 2 + 1) * masks // (2 * size)
    return np.asarray(lies_in == np.arange(masks)[:, None], float)


PROFILES: dict[str, Callable[[int, int], np.ndarray]] = {"gaussian": gaussian, "cell": cell}
