"""Where each row of a detector lies: its level, its cell there, and the channels of the head that its scores are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.rows.record import Factor, Head, Rows


@dataclass(frozen=True, eq=False)
class HeadTable:
    """A head, and which of its channels the scores of a row are: `channels` [slots, C] of the row's slot, -1 for none.

    A slot is one anchor of a cell. `slot` is [A].
    """

    value: Value
    squash: str
    channels: np.ndarray
    slot: np.ndarray


@dataclass(frozen=True, eq=False)
class Level:
    """The heads of one level: of classes, and of objectness where there is one; `grid` is (H, W) of its cells."""

    grid: tuple[int, int]
    heads: tuple[HeadTable, ...]


@dataclass(frozen=True, eq=False)
class RowTable:
    """For each of A rows: its `level`, and the `row` and `column` of its cell there, each [A]."""

    levels: tuple[Level, ...]
    level: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, rows: Rows) -> RowTable:
        """The table of a detector's rows. Raises PlanError where a head is no map of channels."""
        first = rows.of_classes
        places = [_cells(factor) for factor in rows.factors]
        level, row, column = first.level, *places[0]
        levels = []
        for index, head in enumerate(first.heads):
            there = level == index
            tables = []
            for factor, (y, x) in zip(rows.factors, places, strict=True):
                (of_factor,) = np.unique(factor.level[there])
                if (y[there] != row[there]).any() or (x[there] != column[there]).any():
                    raise PlanError(f"'{head.value.name}' and its objectness lie at other cells", node=head.value.name)
                tables.append(_table(factor, int(of_factor), there))
            levels.append(Level(_grid(head), tuple(tables)))
        return cls(tuple(levels), level, row, column)


def _place(head: Head) -> Place:
    """Where a head's cells are. Raises PlanError unless it is [B, C, H, W]."""
    if head.place is None or head.place.cells != (2, 3) or head.value.rank != 4:
        raise PlanError(f"head '{head.value.name}' is no map [B, C, H, W] of cells", node=head.value.name)
    return head.place


def _grid(head: Head) -> tuple[int, int]:
    height, width = concrete(_place(head).grid, f"the cells of head '{head.value.name}'")
    return height, width


def _cells(factor: Factor) -> tuple[np.ndarray, np.ndarray]:
    """[A], [A]: the row and the column of each row's cell in its head."""
    row, column = np.zeros(len(factor.level), np.int64), np.zeros(len(factor.level), np.int64)
    for index, head in enumerate(factor.heads):
        there = factor.level == index
        height, width = _grid(head)
        cell = factor.element[there, 0] % (height * width)
        row[there], column[there] = cell // width, cell % width
    return row, column


def _table(factor: Factor, index: int, there: np.ndarray) -> HeadTable:
    head = factor.heads[index]
    height, width = _grid(head)
    channels = factor.element[there] // (height * width)
    slots, slot_of = np.unique(channels, axis=0, return_inverse=True)
    slot = np.zeros(len(factor.level), np.int64)
    slot[there] = slot_of.reshape(-1)
    assert shape_of(head.value)[1:] is not None
    return HeadTable(head.value, factor.squash, slots, slot)
