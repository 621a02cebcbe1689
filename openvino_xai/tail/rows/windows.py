"""Windows: the part of a value that one row of a detector depends on, in static shapes.

The score of a row at cell p of a head reaches, at each value, a window around what p sees. The window's length is the same for
all p, and where it starts is a table over p, so that only a gather is left for when the model runs. At the border of a value a
window is moved inside. Where it is as long as the value, it is the value: nothing is special about rows that see everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size, concrete
from openvino_xai.graph.trace import Trace, as_value, shape_of


@dataclass(frozen=True, eq=False)
class Window:
    """Along one axis of `size` items, `length` of them for each place of a head, from `start` [places] on."""

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
        """Items from `start` on, which may begin or end outside: moved inside, and no longer than the axis."""
        inside = min(length, size)
        return cls(size, inside, np.clip(start, 0, size - inside))

    @property
    def is_whole(self) -> bool:
        """Whether it is the axis itself."""
        return self.length == self.size

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
        items, others = self.start[:, None] + np.arange(self.length), start[:, None] + np.arange(length)
        return np.asarray(items[:, :, None] == others[:, None, :])


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

    @property
    def count(self) -> Size:
        """R."""
        return self.batch * self.each

    def gathered(self, x: Value, patch: Patch) -> Value:
        """[R, C, h, w] of x [B, C, H, W], or of one that is the same for all images; [R, C, 1, 1] of one without cells."""
        xp, shape = self.xp, shape_of(x)
        channels, height, width = concrete(shape[1:], f"the channels and cells of '{x.name}'")
        if shape[0] == 1 and self.batch != 1 and height == width == 1:
            return x
        if (height, width) == (1, 1) or patch.is_whole:
            spread = xp.broadcast_to(xp.reshape(x, (shape[0], 1, *shape[1:])), (self.batch, self.each, *shape[1:]))
            return xp.reshape(spread, (self.count, *shape[1:])) if self.each != 1 else x
        tall, wide = patch.sides
        first = xp.add(
            xp.multiply(self._of(patch.rows.start, self.row), np.int64(width)), self._of(patch.columns.start, self.column)
        )
        offsets = (np.arange(tall)[:, None] * width + np.arange(wide)).reshape(1, -1)
        places = xp.add(xp.reshape(first, (self.count, 1)), offsets.astype(np.int64))
        count = self.each * tall * wide
        indices = xp.broadcast_to(xp.reshape(places, (self.batch, 1, count)), (self.batch, channels, count))
        flat = xp.broadcast_to(xp.reshape(x, (shape[0], channels, height * width)), (self.batch, channels, height * width))
        parts = xp.reshape(xp.take_along_axis(flat, indices, axis=2), (self.batch, channels, self.each, tall, wide))
        return xp.reshape(xp.permute_dims(parts, (0, 2, 1, 3, 4)), (self.count, channels, tall, wide))

    def moved(self, x: Value, before: Patch, after: Patch) -> Value:
        """[R, C, h, w] of what `after` holds, of x that `before` holds; 0 where that is nothing."""
        return x if before.same(after) else self.placed(x, (before.rows.start, before.columns.start), after)

    def placed(self, x: Value, starts: tuple[np.ndarray, np.ndarray], after: Patch) -> Value:
        """As `moved`, of x [R, C, h, w] of which the first item lies at `starts`, inside the value or not."""
        _, _, tall, wide = shape_of(x)
        assert isinstance(tall, int) and isinstance(wide, int)
        down = after.rows.placing(starts[0], tall).astype(x.dtype)
        across = after.columns.placing(starts[1], wide).astype(x.dtype).transpose(0, 2, 1)
        return self.times(down, across, x)

    def times(self, down: np.ndarray, across: np.ndarray, x: Value) -> Value:
        """[R, C, h', w']: `down` [places, h', h] of the row's place, times x [R, C, h, w], times `across` [places, w, w']."""
        left, right = self._matrix(down, self.row), self._matrix(across, self.column)
        y = x if left is None else self.xp.matmul(left, x)
        return y if right is None else self.xp.matmul(y, right)

    def _matrix(self, table: np.ndarray, place: Value) -> Any:
        """[R, 1, a, b], or [1, 1, a, b] where it is the same at all places; None where it changes nothing."""
        if (table == table[:1]).all():
            matrix = table[0]
            return (
                None
                if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))
                else matrix[None, None]
            )
        _, a, b = table.shape
        flat = np.ascontiguousarray(table.reshape(len(table), a * b))
        return self.xp.reshape(self.xp.take(as_value(flat, []), place, axis=0), (self.count, 1, a, b))

    def _of(self, table: np.ndarray, place: Value) -> Value:
        """[R]: an entry of a table [places] for each row."""
        return self.xp.take(as_value(table.astype(np.int64), []), place, axis=0)
