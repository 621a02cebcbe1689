"""How far masks reach along one axis of a value.

A mask that keeps a cell changes a run of cells in what is computed of it. Along an axis these runs stand one behind the other:
item j is cell `cells[j]` as mask `masks[j]` has it. Rows and columns are apart, as masks keep the rows of a block times its
columns. So a value has an axis of items for its rows, and one for its columns, and is an image to all that looks at one cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.windows import Windows


@dataclass(frozen=True, eq=False)
class Reach:
    """Of an axis of `size` cells, mask n reaches those from `start[n]` up to `stop[n]`: none where these are equal."""

    size: int
    start: np.ndarray
    stop: np.ndarray

    @classmethod
    def of_blocks(cls, size: int, masks: int) -> Reach:
        """Each mask keeps one block of the cells, which are as long as each other."""
        start = np.arange(masks) * (size // masks)
        return cls(size, start, start + size // masks)

    @property
    def full(self) -> Reach:
        """Each mask reaches all cells."""
        return Reach(self.size, np.zeros_like(self.start), np.full_like(self.stop, self.size))

    @cached_property
    def lengths(self) -> np.ndarray:
        """[N]: how many cells each mask reaches."""
        return np.asarray(self.stop - self.start)

    @property
    def count(self) -> int:
        """P, the number of items."""
        return int(self.lengths.sum())

    @cached_property
    def masks(self) -> np.ndarray:
        """[P]: the mask of each item."""
        return np.repeat(np.arange(len(self.start)), self.lengths)

    @cached_property
    def cells(self) -> np.ndarray:
        """[P]: the cell of each item."""
        ahead = np.cumsum(self.lengths) - self.lengths
        return np.asarray(np.arange(self.count) - np.repeat(ahead - self.start, self.lengths))

    def same(self, other: Reach) -> bool:
        """Whether all masks reach the same cells."""
        return np.array_equal(self.cells, other.cells) and np.array_equal(self.masks, other.masks)

    def joined(self, other: Reach) -> Reach:
        """The least reach that holds both."""
        empty, other_empty = self.lengths == 0, other.lengths == 0
        start = np.where(empty, other.start, np.where(other_empty, self.start, np.minimum(self.start, other.start)))
        stop = np.where(empty, other.stop, np.where(other_empty, self.stop, np.maximum(self.stop, other.stop)))
        return Reach(self.size, start, stop)

    def through(self, windows: Windows) -> Reach:
        """The reach in what windows over these cells give: all between the first and the last that read one of a mask."""
        reads = windows.reads[None]
        read = np.asarray((reads >= self.start[:, None, None]) & (reads < self.stop[:, None, None]))
        hit = np.asarray(read.any(axis=2))
        outputs, any_hit = hit.shape[1], np.asarray(hit.any(axis=1))
        start = np.where(any_hit, hit.argmax(axis=1), 0)
        stop = np.where(any_hit, outputs - hit[:, ::-1].argmax(axis=1), 0)
        return Reach(outputs, start, stop)

    def read_over(self, windows: Windows) -> Reach:
        """The reach in what the windows read: all from the first to the last cell that an item of a mask is made of."""
        none = self.lengths == 0
        first = np.where(windows.inside, windows.reads, windows.size).min(axis=1)
        last = windows.reads.max(axis=1)
        start, stop = (np.where(none, 0, at) for at in (self.start, self.stop - 1))
        # windows go on from left to right, so that the first of them begins first, and the last ends last
        return Reach(windows.size, np.where(none, 0, first[start]), np.where(none, 0, last[stop] + 1))

    def places_in(self, other: Reach) -> np.ndarray:
        """[P, P of the other], 0 or 1: where each item is in another reach; nowhere, if that has no such item."""
        same_mask = self.masks[:, None] == other.masks
        return np.asarray(same_mask & (self.cells[:, None] == other.cells))

    def taps_in(self, other: Reach, windows: Windows) -> np.ndarray:
        """[kernel, P, P of the other], 0 or 1: the items that each place of a window reads, for the items of the other."""
        reads = windows.reads[other.cells].T[:, None, :]
        return np.asarray((self.cells[:, None] == reads) & (self.masks[:, None] == other.masks))

    def means_in(self, other: Reach, windows: Windows, *, inside: bool) -> np.ndarray:
        """[P, P of the other]: each item's share in the mean of a window; padding counts, unless cells `inside` do alone."""
        kernel = windows.reads.shape[1]
        counts = windows.inside.sum(axis=1) if inside else np.full(len(windows.reads), kernel)
        reads = windows.reads[other.cells]  # [P of the other, kernel]
        hit = (self.cells[:, None, None] == reads).sum(axis=2) * (self.masks[:, None] == other.masks)
        return np.asarray(hit / np.maximum(counts[other.cells], 1))

    def reached(self) -> np.ndarray:
        """[cells, N], 0 or 1: the cells that each mask reaches."""
        cells = np.arange(self.size)[:, None]
        return np.asarray((cells >= self.start) & (cells < self.stop))

    def sums(self) -> np.ndarray:
        """[P, N], 0 or 1: the items of each mask."""
        return np.asarray(self.masks[:, None] == np.arange(len(self.start)))


FEW = 48  # rows: up to here a product places them in less time than picking, measured in both runtimes
Pair: TypeAlias = "tuple[Reach, Reach]"  # of rows and of columns


def joined(first: Pair, second: Pair) -> Pair:
    """The least reach that holds both, of rows and of columns."""
    return first[0].joined(second[0]), first[1].joined(second[1])


def placed(xp: Trace, value: Value, down: np.ndarray, across: np.ndarray) -> Value:
    """[B, C, Q, Q']: of [B, C, P, P'], the item of which `down` [P, Q] and `across` [P', Q'] are 1; 0 where none is."""
    value = summed(xp, value, None, across)
    if len(down) <= FEW:
        return summed(xp, value, down, None)
    zeros = xp.broadcast_to(np.zeros((1, 1, 1, 1), value.dtype), (*shape_of(value)[:2], 1, shape_of(value)[3]))
    return xp.take(xp.concat([value, zeros], axis=2), np.where(down.any(axis=0), down.argmax(axis=0), len(down)), axis=2)


def of_placing(before: tuple[int, int], after: tuple[int, int]) -> int:
    """The operations for each channel of `placed` items, of some rows and columns, as others."""
    (rows, columns), (height, width) = before, after
    return width * (rows * columns + height * (rows if rows <= FEW else 1))


def summed(xp: Trace, value: Value, down: np.ndarray | None, across: np.ndarray | None) -> Value:
    """[B, C, Q, Q']: of [B, C, P, P'], sums by `down` [P, Q] and `across` [P', Q']; None leaves items as they are."""
    for matrix, is_across in ((across, True), (down, False)):
        if matrix is None or (matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))):
            continue
        numbers = np.ascontiguousarray((matrix if is_across else matrix.T).astype(value.dtype))
        value = xp.matmul(value, numbers) if is_across else xp.matmul(numbers, value)
    return value
