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
    """The cell of a head that each of R rows lies at, `row` and `column` [R], i64; there are D rows for each of B images."""

    xp: Trace
    row: Value
    column: Value
    batch: Size
    each: int
    _memory: dict[tuple[str, Patch], Value] = field(default_factory=dict)

    @property
    def count(self) -> Size:
        """R."""
        return self.batch * self.each

    def gathered(self, x: Value, patch: Patch) -> Value:
        """[R, C, h, w] of x [B, C, H, W], or of one that is the same for all images; [R, C, 1, 1] of one without cells.

        Beyond the value is what is nearest in it.
        """
        xp, shape = self.xp, shape_of(x)
        channels, height, width = concrete(shape[1:], f"the channels and cells of '{x.name}'")
        if shape[0] == 1 and self.batch != 1 and height == width == 1:
            return x
        if (height, width) == (1, 1) or patch.is_whole:
            spread = xp.broadcast_to(xp.reshape(x, (shape[0], 1, *shape[1:])), (self.batch, self.each, *shape[1:]))
            return xp.reshape(spread, (self.count, *shape[1:])) if self.each != 1 else x
        tall, wide = patch.sides
        count, places = self.each * tall * wide, self._places(patch)
        flat = xp.reshape(x, (shape[0], channels, height * width))
        flat = xp.broadcast_to(flat, (self.batch, channels, height * width))
        # an index for every element: runtimes copy single elements by one index for all channels far slower
        indices = xp.broadcast_to(xp.reshape(places, (self.batch, 1, count)), (self.batch, channels, count))
        parts = xp.take_along_axis(flat, indices, axis=2)
        by_row = xp.reshape(parts, (self.batch, channels, self.each, tall, wide))
        return xp.reshape(xp.permute_dims(by_row, (0, 2, 1, 3, 4)), (self.count, channels, tall, wide))

    def _places(self, patch: Patch) -> Value:
        """[R, h, w], i64: where in its value, of which the rows stand one behind the other, each cell of a patch is."""
        key = ("places", patch)
        if key not in self._memory:
            xp, (tall, wide), width = self.xp, patch.sides, patch.columns.size
            down = np.clip(patch.rows.items, 0, patch.rows.size - 1) * width
            across = np.clip(patch.columns.items, 0, width - 1)
            rows = xp.reshape(self.entries(down, self.row), (self.count, tall, 1))
            columns = xp.reshape(self.entries(across, self.column), (self.count, 1, wide))
            self._memory[key] = xp.add(rows, columns)
        return self._memory[key]

    def within(self, x: Value, patch: Patch) -> Value:
        """x [R, C, h, w], 0 where its patch reaches beyond the value."""
        if patch.rows.inside.all() and patch.columns.inside.all():
            return x
        xp, (tall, wide), key = self.xp, patch.sides, ("inside", patch)
        if key not in self._memory:
            rows = xp.reshape(self.entries(patch.rows.inside.astype(np.float32), self.row), (self.count, 1, tall, 1))
            columns = xp.reshape(self.entries(patch.columns.inside.astype(np.float32), self.column), (self.count, 1, 1, wide))
            self._memory[key] = xp.multiply(rows, columns)
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
        table = after.placing(start, length).astype(x.dtype)
        if axis == 2:
            return self.xp.matmul(self._matrix(table, self.row), x)
        return self.xp.matmul(x, self._matrix(table.transpose(0, 2, 1), self.column))

    def times(self, down: np.ndarray, across: np.ndarray, x: Value) -> Value:
        """[R, C, h', w']: `down` [places, h', h] of the row's place, times x [R, C, h, w], times `across` [places, w, w']."""
        return self.xp.matmul(self.xp.matmul(self._matrix(down, self.row), x), self._matrix(across, self.column))

    def _matrix(self, table: np.ndarray, place: Value) -> Any:
        """[R, 1, a, b], or [1, 1, a, b] where it is the same at all places."""
        if (table == table[:1]).all():
            return np.ascontiguousarray(table[:1, None])
        _, a, b = table.shape
        return self.xp.reshape(self.entries(table.reshape(len(table), a * b), place), (self.count, 1, a, b))

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
