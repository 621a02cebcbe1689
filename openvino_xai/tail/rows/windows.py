"""Windows: the part of a value that one row of a detector depends on, in static shapes.

The score of a row at cell p of a head reaches, at each value, a window around what p sees. The window's length is the same for
all p, and where it starts is a table over p, so that only a gather is left for when the model runs. A window may reach beyond
the value: what it holds there is 0. One that is as long as the value or longer is the value: nothing is special about rows that
see everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size, concrete
from openvino_xai.graph.trace import Trace, as_value, shape_of


@dataclass(frozen=True, eq=False)
class Window:
    """Along one axis of `size` items, `length` of them for each place of a head, from `start` [places] on, there or not."""

    size: int
    length: int
    start: np.ndarray

    @classmethod
    def single(cls, size: int) -> Window:
        """The place itself."""
        return cls(size, 1, np.arange(size))

    @classmethod
    def full(cls, size: int, places: int) -> Window:
        """All items, for every place."""
        return cls(size, size, np.zeros(places, np.int64))

    @classmethod
    def around(cls, size: int, start: np.ndarray, length: int) -> Window:
        """Items from `start` on; all there are, where these are as many or more."""
        return cls(size, length, start) if length < size else cls.full(size, len(start))

    @property
    def is_whole(self) -> bool:
        """Whether it is the axis itself."""
        return self.length == self.size and not self.start.any()

    @property
    def items(self) -> np.ndarray:
        """[places, length]: which items it holds."""
        return np.asarray(self.start[:, None] + np.arange(self.length))

    @property
    def inside(self) -> np.ndarray:
        """[places, length], boolean: which of its items there are."""
        return np.asarray((self.items >= 0) & (self.items < self.size))

    def joined(self, other: Window) -> Window:
        """The least window that holds both."""
        start = np.minimum(self.start, other.start)
        end = np.maximum(self.start + self.length, other.start + other.length)
        return Window.around(self.size, start, int((end - start).max()))

    def same(self, other: Window) -> bool:
        """Whether both hold the same items at every place."""
        return self.length == other.length and np.array_equal(self.start, other.start)

    def placing(self, start: np.ndarray, length: int) -> np.ndarray:
        """[places, window, length], 0 or 1: which item of the window each of `length` items from `start` on is."""
        others = start[:, None] + np.arange(length)
        return np.asarray((self.items[:, :, None] == others[:, None, :]) & self.inside[:, :, None])


@dataclass(frozen=True, eq=False)
class Patch:
    """The rows and columns that a value [R, C, h, w] holds of a value [B, C, H, W], for each of R rows of a detector."""

    rows: Window
    columns: Window

    @property
    def sides(self) -> tuple[int, int]:
        """(h, w)"""
        return self.rows.length, self.columns.length

    @property
    def is_whole(self) -> bool:
        """Whether it is all rows and columns."""
        return self.rows.is_whole and self.columns.is_whole

    def joined(self, other: Patch) -> Patch:
        """The least patch that holds both."""
        return Patch(self.rows.joined(other.rows), self.columns.joined(other.columns))

    def same(self, other: Patch) -> bool:
        """Whether both hold the same cells."""
        return self.rows.same(other.rows) and self.columns.same(other.columns)

    def filled(self) -> Patch:
        """All rows and columns."""
        return Patch(*(Window.full(window.size, len(window.start)) for window in (self.rows, self.columns)))


@dataclass(frozen=True, eq=False)
class Cells:
    """Where each of R rows lies: the `row` and `column` of its cell in a head, and its `image`, each [R], i64."""

    xp: Trace
    row: Value
    column: Value
    image: Value
    count: Size
    _memory: dict[tuple[str, Patch], Value] = field(default_factory=dict)

    def gathered(self, x: Value, patch: Patch) -> Value:
        """[R, C, h, w] of x [B, C, H, W]; [1, ...] where x is the same for all rows, and all of it is read.

        Beyond the value is what is nearest in it.
        """
        xp, shape = self.xp, shape_of(x)
        channels, height, width = concrete(shape[1:], f"the channels and cells of '{x.name}'")
        if (height, width) == (1, 1) or patch.is_whole:
            return self.of_images(x)
        # cell by cell, all channels at once: runtimes copy single elements far slower, even with the permutations
        by_cell = xp.permute_dims(xp.reshape(x, (shape[0], channels, height * width)), (0, 2, 1))
        places, flat = self._places(patch), xp.reshape(by_cell, (shape[0] * (height * width), channels))
        if shape[0] != 1:
            first = xp.multiply(xp.astype(self.image, np.int32), np.int32(height * width))
            places = xp.add(places, xp.reshape(first, (self.count, 1, 1)))
        return xp.permute_dims(xp.take(flat, places, axis=0), (0, 3, 1, 2))

    def of_images(self, x: Value, axis: int = 0) -> Value:
        """x of each row's own image, along an axis; as it is, where it is the same for all images."""
        return x if shape_of(x)[axis] == 1 else self.xp.take(x, self.image, axis=axis)

    def _places(self, patch: Patch) -> Value:
        """[R, h, w], i32: where in its value, of which the rows stand one behind the other, each cell of a patch is."""
        key = ("places", patch)
        if key not in self._memory:
            xp, width = self.xp, patch.columns.size
            down = (np.clip(patch.rows.items, 0, patch.rows.size - 1) * width).astype(np.int32)
            across = np.clip(patch.columns.items, 0, width - 1).astype(np.int32)
            rows, columns = self.entries(down[:, :, None], self.row), self.entries(across[:, None, :], self.column)
            self._memory[key] = xp.add(rows, columns)
        return self._memory[key]

    def within(self, x: Value, patch: Patch) -> Value:
        """x [R, C, h, w], 0 where its patch reaches beyond the value."""
        if patch.rows.inside.all() and patch.columns.inside.all():
            return x
        xp, key = self.xp, ("inside", patch)
        if key not in self._memory:
            down, across = (window.inside.astype(np.float32) for window in (patch.rows, patch.columns))
            rows = self.entries(down[:, None, :, None], self.row)
            self._memory[key] = xp.multiply(rows, self.entries(across[:, None, None, :], self.column))
        return xp.multiply(x, xp.astype(self._memory[key], x.dtype))

    def moved(self, x: Value, before: Patch, after: Patch) -> Value:
        """[R, C, h, w] of what `after` holds, of x that `before` holds; 0 where that is nothing."""
        for axis, start, window in ((2, before.rows.start, after.rows), (3, before.columns.start, after.columns)):
            x = self._moved(x, axis, start, window)
        return x

    def placed(self, x: Value, starts: tuple[np.ndarray, np.ndarray], after: Patch) -> Value:
        """As `moved`, of x [R, C, h, w] of which the first item lies at `starts`, and which may hold anything beyond."""
        for axis, start, window in ((2, starts[0], after.rows), (3, starts[1], after.columns)):
            x = self._moved(x, axis, start, window)
        return self.within(x, after)

    def _moved(self, x: Value, axis: int, start: np.ndarray, after: Window) -> Value:
        """x along one axis: the items of a window, of items from `start` on."""
        length = shape_of(x)[axis]
        assert isinstance(length, int)
        by = after.start - start
        if (by == by[0]).all():
            return _shifted(self.xp, x, axis, int(by[0]), after.length)
        table, xp = after.placing(start, length), self.xp
        if axis == 2:
            return xp.matmul(self._matrix(table, self.row, x.dtype), x)
        return xp.matmul(x, _transposed(xp, self._matrix(table, self.column, x.dtype)))

    def times(self, down: np.ndarray, across: np.ndarray, x: Value) -> Value:
        """[R, C, h', w']: `down` [places, h', h] of the row's place, times x [R, C, h, w], times `across` [places, w, w']."""
        xp, rows = self.xp, self._matrix(down, self.row, x.dtype)
        return xp.matmul(xp.matmul(rows, x), _transposed(xp, self._matrix(across.transpose(0, 2, 1), self.column, x.dtype)))

    def _matrix(self, table: np.ndarray, place: Value, dtype: Any) -> Any:
        """[R, 1, a, b] of a table [places, a, b], or [1, 1, a, b] where it is the same at all places."""
        if (table == table[:1]).all():
            return np.ascontiguousarray(table[:1, None].astype(dtype))
        return self.xp.astype(self.entries(table[:, None], place), dtype)  # of 0 and 1, a byte each in the file

    def entries(self, table: np.ndarray, place: Value) -> Value:
        """[R, ...]: an entry of a table [places, ...] for each row."""
        return self.xp.take(as_value(np.ascontiguousarray(table), []), place, axis=0)


def weighed(weights: np.ndarray, window: Window, reading: Window) -> np.ndarray:
    """[places, window, reading]: what each item of a window takes of those of another, by `weights` [size, size of that].

    0 for items that are not there.
    """
    taken = np.where(window.inside[:, :, None], weights[np.clip(window.items, 0, window.size - 1)], 0)
    items = np.clip(reading.items, 0, reading.size - 1)[:, None, :]
    return np.asarray(np.where(reading.inside[:, None, :], np.take_along_axis(taken, items, axis=2), 0))


def reach_of(weights: np.ndarray, window: Window) -> Window:
    """The window of all that a window takes, by `weights` [size, size of that]."""
    taken = weights[np.clip(window.items, 0, window.size - 1)] != 0
    used = (taken & window.inside[:, :, None]).any(axis=1)
    first, last = used.argmax(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1)
    return Window.around(weights.shape[1], first, int((last - first).max()))


def _transposed(xp: Trace, matrix: Any) -> Any:
    """[R, 1, b, a] of [R, 1, a, b]."""
    return matrix.transpose(0, 1, 3, 2) if isinstance(matrix, np.ndarray) else xp.permute_dims(matrix, (0, 1, 3, 2))


def _shifted(xp: Trace, x: Value, axis: int, by: int, length: int) -> Value:
    """`length` items of x along an axis, from item `by` on; 0 for those that are not there."""
    shape = shape_of(x)
    size = shape[axis]
    assert isinstance(size, int)
    items = np.arange(by, by + length)
    if np.array_equal(items, np.arange(size)):
        return x
    if axis == len(shape) - 1:  # one product of matrices; to pick along memory is slow
        return xp.matmul(x, (np.arange(size)[:, None] == items).astype(x.dtype))
    there = (items >= 0) & (items < size)
    if not there.all():
        zero = xp.broadcast_to(np.zeros((1,) * len(shape), x.dtype), (*shape[:axis], 1, *shape[axis + 1 :]))
        x = xp.concat([x, zero], axis=axis)
    return xp.take(x, np.where(there, items, size), axis=axis)
