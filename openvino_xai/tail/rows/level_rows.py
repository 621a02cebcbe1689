"""The rows of one level, among those that are explained.

Apart from those of other levels they take the fewest operations, but how many there are, only a run knows. For an image that
has none the first stands in, so that no operation is carried out on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Dim, Size
from openvino_xai.graph.trace import Trace, as_value, shape_of
from openvino_xai.locate.rows.table import RowTable


@dataclass(frozen=True, eq=False)
class Picked:
    """The rows that are explained: `anchor` and `label` [B * D], i64, the indices of a row and of its class.

    Where they are not `apart`, each level is run for all of them, in sizes that are known before the model runs.
    """

    anchor: Value
    label: Value
    batch: Size
    each: int
    apart: bool = True


@dataclass(frozen=True, eq=False)
class LevelRows:
    """R rows of one level: `anchor`, `label` and `image` [R], i64; `here` [R], f32, 0 for one of another level.

    `place` [R, 1], i64, is where they stand among all that are explained, None where they are all. `origin` is a value that R
    is the last size of, where only a run knows it.
    """

    anchor: Value
    label: Value
    image: Value
    here: Value
    count: Size
    place: Value | None
    origin: Value | None

    @classmethod
    def of(cls, xp: Trace, table: RowTable, index: int, picked: Picked) -> LevelRows:
        """The rows of the level at an index."""
        batch, each = picked.batch, picked.each
        level = xp.take(as_value(table.level.astype(np.int32), []), picked.anchor, axis=0)
        here = xp.astype(xp.equal(level, np.int32(index)), np.float32)
        if isinstance(batch, int) and (len(table.levels) == 1 or not picked.apart):
            if len(table.levels) == 1:
                here = xp.broadcast_to(np.ones(1, np.float32), (batch * each,))
            image = as_value(np.repeat(np.arange(batch), each), [])
            return cls(picked.anchor, picked.label, image, here, batch * each, None, None)
        count = Dim(1, (f"ovxai_rows_{index}",))
        by_image = xp.reshape(here, (batch, each))
        none = xp.subtract(np.float32(1), xp.max(by_image, axis=1, keepdims=True))
        first = (np.arange(each) == 0).astype(np.float32).reshape(1, each)
        places = xp.record("non_zero", [xp.maximum(by_image, xp.multiply(none, first))], (2, count), np.int64)
        image, rank = (xp.reshape(xp.take(places, np.array([axis]), axis=0), (count,)) for axis in (0, 1))
        place = rank if batch == 1 else xp.add(xp.multiply(image, np.int64(each)), rank)
        anchor, label, there = (xp.take(value, place, axis=0) for value in (picked.anchor, picked.label, here))
        return cls(anchor, label, image, there, count, xp.reshape(place, (count, 1)), places)

    def among_all(self, xp: Trace, values: Value, picked: Picked) -> Value:
        """[B * D, ...] of values [R, ...]: where the rows stand, and 0 for those of other levels."""
        if self.place is None:
            return values
        assert values.dtype is not None
        shape = (picked.batch * picked.each, *shape_of(values)[1:])
        zeros = xp.broadcast_to(np.zeros((1,) * len(shape), values.dtype), shape)
        return xp.record("scatter_rows", [zeros, self.place, values], shape, values.dtype)
