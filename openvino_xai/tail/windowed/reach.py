"""How far masks reach along one axis of a value, and where windows are laid so that a model's own convolution serves all.

A mask that keeps a cell changes a run of cells in what is computed of it. Along an axis these runs stand one behind the other:
item j is cell `cells[j]` as mask `masks[j]` has it. Rows and columns are apart, as masks keep the rows of a block times its
columns. So a value has an axis of items for its rows, and one for its columns, and is an image to all that looks at one cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

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

    def places_in(self, other: Reach) -> np.ndarray:
        """[P, P of the other], 0 or 1: where each item is in another reach; nowhere, if that has no such item."""
        same_mask = self.masks[:, None] == other.masks
        return np.asarray(same_mask & (self.cells[:, None] == other.cells))

    def sums(self) -> np.ndarray:
        """[P, N], 0 or 1: the items of each mask."""
        return np.asarray(self.masks[:, None] == np.arange(len(self.start)))


@dataclass(frozen=True, eq=False)
class Layout:
    """Windows side by side, so that a convolution over all of them is that over each.

    `placing` [P, length], 0 or 1, says where each item is laid. Of the `outputs` that a convolution without padding makes of
    these, those at `valid` are the items of the reach behind it. Others stand between windows that would else touch.
    """

    placing: np.ndarray
    outputs: int
    valid: np.ndarray

    @classmethod
    def along(cls, before: Reach, after: Reach, attributes: Mapping[str, Any], axis: int) -> Layout:
        """The layout for a convolution with these neutral `attributes` along spatial axis `axis`."""
        stride, span = attributes["strides"][axis], (attributes["kernel"][axis] - 1) * attributes["dilations"][axis]
        laid: list[tuple[int, int, int]] = []
        valid: list[int] = []
        output, data_end, read_end = 0, 0, 0  # where the next window stands, and how far the items and reads of others go
        for mask in np.flatnonzero(after.lengths).tolist():
            length = int(after.lengths[mask])
            origin = int(after.start[mask]) * stride - attributes["pads"][axis]  # what the first output reads first
            reads = (length - 1) * stride + span + 1
            first, last = max(int(before.start[mask]) - origin, 0), min(int(before.stop[mask]) - origin, reads)
            # it reads no item of the window ahead, which reads none of its items
            output = max(output, -(-max(data_end, read_end - first) // stride))
            place = output * stride
            laid += [(mask, origin + at, place + at) for at in range(first, last)]
            valid += range(output, output + length)
            data_end, read_end, output = place + last, place + reads, output + length
        index = {
            (mask, cell): item
            for item, (mask, cell) in enumerate(zip(before.masks.tolist(), before.cells.tolist(), strict=True))
        }
        placing = np.zeros((before.count, (output - 1) * stride + span + 1 if valid else 0), np.bool_)
        for mask, cell, place in laid:
            placing[index[mask, cell], place] = True
        return cls(placing, output, np.array(valid, np.int64))
