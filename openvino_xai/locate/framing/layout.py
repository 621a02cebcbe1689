"""Layouts: where the cells of a part of the image lie on a map of the whole image.

Cells are equal parts of what a network looks at. Where that is a crop of the image, or a canvas around it, they are no equal
parts of the image. A map of the image has finer rows and columns, so many that each cell is a whole number of them and begins
where one begins: for 7 cells of 32 pixels that begin at pixel 16 of 256 these are 16 of 16 pixels, of which a cell has two.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.sizes import Size, concrete

MOST_PARTS = 128  # of a side of a map, or twice as many as there are cells
MOST_PLACES = 2**22  # of a map
NONE = -1  # what lies on a part of the map that no cell is of


@dataclass(frozen=True)
class Extent:
    """Along a side of the image, from where to where something goes, in shares of the side: all of it is from 0 to 1."""

    start: Fraction = Fraction(0)
    end: Fraction = Fraction(1)

    def of_items(self, first: int, last: int, count: int) -> Extent:
        """Where the items from `first` up to `last` go, of `count` that lie here; with some ahead of these, or behind."""
        step = (self.end - self.start) / count
        return Extent(self.start + first * step, self.start + last * step)

    @property
    def crops(self) -> bool:
        """Whether some of the image lies outside."""
        return self.start > 0 or self.end < 1


@dataclass(frozen=True)
class Side:
    """Along a side of a map, how many `parts` it has, how many of them `each` of the `cells` is, and where the `first` begins.

    That may be ahead of the map.
    """

    parts: int
    each: int
    first: int
    cells: int

    @classmethod
    def of(cls, extent: Extent, cells: int) -> Side | None:
        """The side with the fewest parts on which so many cells lie exactly; None where these would be too many."""
        step = (extent.end - extent.start) / cells
        parts = lcm(extent.start.denominator, step.denominator)
        if parts > max(MOST_PARTS, 2 * cells):
            return None
        return cls(parts, int(step * parts), int(extent.start * parts), cells)

    @property
    def sources(self) -> np.ndarray:
        """[parts], i64: the cell that lies at each part of the map, -1 where none does."""
        cells = (np.arange(self.parts) - self.first) // self.each
        return np.where((cells >= 0) & (cells < self.cells), cells, NONE)

    @property
    def shown(self) -> np.ndarray:
        """[m], i64: the cells that lie on the map, and not ahead of it or behind it alone."""
        return np.unique(self.sources[self.sources != NONE])

    @property
    def text(self) -> str:
        """From which part of the map on, and up to which, the cells go."""
        return f"{self.first}:{self.first + self.each * self.cells}"


@dataclass(frozen=True)
class Layout:
    """Where rows and columns of cells lie on a map of the image."""

    rows: Side
    columns: Side

    @property
    def grid(self) -> tuple[int, int]:
        """The rows and columns of the map."""
        return self.rows.parts, self.columns.parts

    @property
    def visible(self) -> np.ndarray:
        """[M], i64: which cells, counted row by row, lie on the image at all, and not on a canvas around it alone."""
        return np.asarray((self.rows.shown[:, None] * self.columns.cells + self.columns.shown).reshape(-1))

    @property
    def sources(self) -> np.ndarray:
        """[H * W], i64: which of the visible cells lies at each place of the map, -1 where none does."""
        rows, columns = self.rows.sources[:, None], self.columns.sources
        cells = np.where((rows == NONE) | (columns == NONE), NONE, rows * self.columns.cells + columns).reshape(-1)
        return np.where(cells == NONE, NONE, np.searchsorted(self.visible, cells))

    @property
    def text(self) -> str:
        """The rows and columns of the map that the cells go over."""
        return f"{self.rows.text},{self.columns.text}"


def layout_of(rows: Extent, columns: Extent, cells: tuple[Size, Size], where: str) -> Layout:
    """Where so many rows and columns of cells, equal parts of these extents, lie. Raises PlanError, naming `where`."""
    sizes = concrete(cells, f"the cells of {where}")
    sides = [Side.of(extent, size) for extent, size in zip((rows, columns), sizes, strict=True)]
    for name, size, extent, side in zip(("rows", "columns"), sizes, (rows, columns), sides, strict=True):
        if side is None:
            raise PlanError(
                f"{where} has {size} {name} of cells from {float(extent.start):.4g} to {float(extent.end):.4g} of the image's "
                f"side, which no map of at most {max(MOST_PARTS, 2 * size)} {name} shows exactly"
            )
    down, across = sides
    assert down is not None and across is not None
    if down.parts * across.parts > MOST_PLACES:
        raise PlanError(f"{where} has cells that a map of {down.parts} x {across.parts} shows, which is too large")
    if (count := len(down.shown) * len(across.shown)) < 2:
        raise PlanError(f"of {where}, {count} cells lie on the image: there is nothing to tell apart")
    return Layout(down, across)
