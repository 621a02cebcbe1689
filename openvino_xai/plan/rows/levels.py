"""Maps of several levels, on arrays or values: how they come to one grid, and what the heads say of each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks import SCALES
from openvino_xai.locate.rows.table import Level, RowTable
from openvino_xai.plan.enlargement import resampled
from openvino_xai.tail.rows.masked import cell
from openvino_xai.tail.rows.pick import by_slot


class Levels:
    """Levels with (H, W) cells each, `grids`, the finest first."""

    def __init__(self, xp: Namespace, grids: Sequence[tuple[int, int]]) -> None:
        self.xp, self.grids = xp, grids

    def enlarged(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest level, of a level's maps [B, D, h, w]: bilinear between the centres of cells."""
        return resampled(self.xp, maps, self.grids[0])

    def repeated(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest level, of a level's maps [B, D, h, w]: each cell as often as it is larger."""
        return resampled(self.xp, maps, self.grids[0], nearest)

    def resized(self, maps: Array, grid: tuple[int, int]) -> Array:
        """[B, D, *grid], of a level's maps [B, D, h, w]: linear between the centres of cells."""
        return resampled(self.xp, maps, grid)


def nearest(cells: int, pixels: int) -> np.ndarray:
    """[pixels, cells], f32: 1 at the cell that a pixel lies in."""
    return np.ascontiguousarray(cell(cells, pixels).T, np.float32)


def scaled(xp: Namespace, maps: Array, scale: str) -> Array:
    """[B, D, H, W]: maps, each on a scale of its own."""
    batch, count, height, width = maps.shape
    by_box = xp.reshape(maps, (batch, count, height * width))
    return xp.reshape(SCALES[scale](xp, by_box, axis=2), (batch, count, height, width))


class ClassLevels(Levels):
    """The `ClassSite` of a detector's rows; `read` tells what a head holds."""

    def __init__(self, xp: Namespace, table: RowTable, read: Callable[[Value], Array]) -> None:
        levels = sorted(table.levels, key=lambda level: -level.grid[0] * level.grid[1])
        super().__init__(xp, [level.grid for level in levels])
        self._levels, self._read = levels, read

    def logits(self) -> list[Array]:
        """For each level [B, C, h, w]: the largest logit of a class among the rows of a cell."""
        return [self._largest(by_slot(self.xp, level.heads[0], self._read(level.heads[0].value))) for level in self._levels]

    def log_odds(self) -> list[Array]:
        """For each level [B, C, h, w]: the largest log-odds of a class, objectness included, among the rows of a cell."""
        return [self._largest(self._odds(level)) for level in self._levels]

    def _largest(self, by_slot: Array) -> Array:
        """[B, C, h, w]: of S anchors of a cell, [B, S, C, h, w]."""
        batch, slots, *sizes = by_slot.shape
        return self.xp.max(by_slot, axis=1) if slots > 1 else self.xp.reshape(by_slot, (batch, *sizes))

    def _odds(self, level: Level) -> Array:
        """[B, S, C, h, w]: the log-odds of each class at each of S anchors of a cell."""
        xp = self.xp
        of_class, *others = level.heads
        z = by_slot(xp, of_class, self._read(of_class.value))
        if of_class.squash == "softmax" and of_class.channels.shape[1] > 1:
            z = _against_others(xp, z)
        for head in others:
            z = xp.add(z, by_slot(xp, head, self._read(head.value)))
        return z


def _against_others(xp: Namespace, z: Array) -> Array:
    """[B, S, C, h, w]: of logits of a softmax, each less the logarithm of the sum of the other classes' exponentials.

    The others of a class that has more than half of the sum are added up without it: of a class that is nearly certain a
    difference leaves rounding alone.
    """
    above = xp.subtract(z, xp.max(z, axis=2, keepdims=True))
    powers = xp.exp(above)
    total = xp.sum(powers, axis=2, keepdims=True)
    most = xp.greater(powers, xp.multiply(total, np.float32(0.5)))
    rest = xp.sum(xp.where(most, np.float32(0), powers), axis=2, keepdims=True)
    others = xp.where(most, rest, xp.subtract(total, powers))
    return xp.subtract(above, xp.log(xp.maximum(others, TINY)))


TINY = np.float32(1e-30)  # a sum of exponentials below that is none
