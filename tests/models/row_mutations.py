"""Faults that a hook in a detector could have: each is one line of the way back, done otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openvino_xai.locate.rows.table import Level, RowTable
from openvino_xai.tail.rows.reverse_mode import RowStream
from openvino_xai.tail.rows.windows import Cells, Window


def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward values are gathered one cell ahead."""
    real = Cells.entries
    monkeypatch.setattr(Cells, "entries", lambda self, table, place: real(self, np.maximum(table - 1, 0), place))


def all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of other levels are not left out of a level's stream."""
    real = RowStream.__init__

    def init(self: Any, graph: Any, xp: Any, table: RowTable, level: Level, *operands: Any) -> None:
        row, column = (np.minimum(place, size - 1) for place, size in zip((table.row, table.column), level.grid, strict=True))
        everywhere = np.full_like(table.level, table.levels.index(level))
        real(self, graph, xp, replace(table, level=everywhere, row=row, column=column), level, *operands)

    monkeypatch.setattr(RowStream, "__init__", init)


def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows begin an item later than what they hold."""
    real = Window.around.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Window, "around", classmethod(lambda cls, size, start, length: real(cls, size, start + 1, length)))


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {"beside": beside, "all levels": all_levels, "late": late}
