"""The list that a model makes of its rows by itself: the best boxes on it, and which of all rows each of them is.

A box on the list is the row that has its score as the probability of its class. Where several have, as where numbers are short,
it is the one whose box, or else whose cell, lies nearest to the box on the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from openvino_xai.boxes.gathering import rows_at
from openvino_xai.boxes.suppression import Detections, padded
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.locate.boxes import Boxes
from openvino_xai.locate.rows import Rows

ALIKE = 1e-6  # probabilities that may be one, computed twice
APART = 1e-2  # of a score on the list, from the probability of every row: it is of none
FAR = 1e6  # pixels


@dataclass(frozen=True, eq=False)
class Chosen:
    """D boxes on the list: which of all rows each is, `anchors` [B, D], i64, and whether it is `there` [B, D], boolean."""

    detections: Detections
    anchors: Array
    there: Array


class ListedRows:
    """The list of a model, in operations or in arrays: `array_of` tells what a value of the model holds.

    `scores` and `labels` are what stands on it, [B, N], and `probabilities` [B, A, C] those of all rows.
    """

    def __init__(self, xp: Namespace, rows: Rows, boxes: Boxes, array_of: Callable[[Value], Array]) -> None:
        assert rows.returned is not None
        self._xp, self._returned, self._boxes, self._array_of = xp, rows.returned, boxes, array_of
        self.probabilities: Array = rows.probabilities(xp, [array_of(value) for value in rows.read.values()])
        self._batch: Size = self.probabilities.shape[0]
        self.scores, self.labels = rows.returned.listed(xp, array_of, self._batch)

    def best(self, count: int) -> Chosen:
        """The `count` best boxes on the list, by their scores; index and class are -1 where there are fewer."""
        missing = count if self._returned.count is None else max(0, count - self._returned.count)
        scores = padded(self._xp, self.scores, missing, 0)
        return self._chosen(self._xp.top_k(scores, count, axis=1), missing)

    def at(self, index: Array) -> Chosen:
        """The boxes that stand at an `index` [B, D] of the list; one that is not on it is not there."""
        xp, behind = self._xp, self._count
        place = xp.minimum(xp.where(xp.greater(np.int64(0), index), behind, index), behind)
        return self._chosen(place, 1)

    @property
    def _count(self) -> Array:
        """N, i64: how many boxes are on the list."""
        if self._returned.count is not None:
            return np.full((1, 1), self._returned.count, np.int64)
        ones = self._xp.where(self._xp.greater(self.scores, np.float32(0)), np.float32(1), np.float32(1))
        return self._xp.astype(self._xp.sum(ones, axis=1, keepdims=True), np.int64)

    def _chosen(self, place: Array, missing: int) -> Chosen:
        """What stands at `place` [B, D] of the list, behind which so many empty boxes follow."""
        xp = self._xp
        scores, labels = (
            xp.take_along_axis(padded(xp, values, missing, 0), place, axis=1) for values in (self.scores, self.labels)
        )
        classes = xp.astype(labels, np.int64)
        there = xp.greater(scores, np.float32(0))
        boxes = self._listed_boxes(place, missing)
        anchors, distance = self._anchors(xp.where(there, classes, np.int64(0)), scores, boxes)
        there = xp.greater(xp.where(xp.greater(np.float32(APART), distance), scores, np.float32(0)), np.float32(0))
        if boxes is None:
            boxes = rows_at(xp, self._all_boxes, anchors)
        empty = np.int64(-1)
        detections = Detections(
            xp.where(there, place, empty),
            xp.where(there, classes, empty),
            xp.where(xp.reshape(there, (*there.shape, 1)), boxes, np.float32(0)),
            xp.where(there, scores, np.float32(0)),
        )
        return Chosen(detections, anchors, there)

    @cached_property
    def _all_boxes(self) -> Array:
        """[B, A, 4]"""
        return self._boxes.decoded(self._xp, [self._array_of(value) for value in self._boxes.read.values()])

    def _listed_boxes(self, place: Array, missing: int) -> Array | None:
        """[B, D, 4], xyxy in pixels: the boxes as the list has them, None where that is not known."""
        if (listing := self._boxes.listed) is None:
            return None
        numbers = padded(self._xp, listing.columns.of(self._xp, self._array_of(listing.columns.value), self._batch), missing, 0)
        return listing.format.decode(self._xp, rows_at(self._xp, numbers, place), self._boxes.grid)

    def _anchors(self, classes: Array, scores: Array, boxes: Array | None) -> tuple[Array, Array]:
        """[B, D], i64: the row of each box; and [B, D]: how far its probability is from the score, `FAR` if not told."""
        xp = self._xp
        p = rows_at(xp, xp.permute_dims(self.probabilities, (0, 2, 1)), classes)  # [B, D, A]
        distance = _between(xp, p, xp.reshape(scores, (*scores.shape, 1)))
        rank = distance
        if boxes is not None:
            behind = xp.multiply(xp.add(distance, np.float32(1)), np.float32(FAR))
            rank = xp.where(xp.greater(distance, np.float32(ALIKE)), behind, self._away(boxes))
        first = xp.min(rank, axis=2, keepdims=True)
        anchors = xp.top_k(xp.multiply(rank, np.float32(-1)), 1, axis=2)
        certain = xp.greater(np.float32(FAR), first)
        if not self._has_all_boxes:  # two anchors of a cell may have the same score
            alike = xp.sum(xp.where(xp.equal(rank, first), np.float32(1), np.float32(0)), axis=2, keepdims=True)
            certain = xp.greater(xp.where(certain, np.float32(2), np.float32(0)), alike)
        error = xp.where(certain, xp.min(distance, axis=2, keepdims=True), np.float32(FAR))
        return xp.reshape(anchors, scores.shape), xp.reshape(error, scores.shape)

    @property
    def _has_all_boxes(self) -> bool:
        return bool(self._boxes.read)

    def _away(self, boxes: Array) -> Array:
        """[B, D, A]: how far each row's box lies from boxes [B, D, 4], or its cell, where it has no box that is known.

        At most `FAR`, as of what is no number.
        """
        xp = self._xp
        if self._has_all_boxes:
            batch, count, _ = self._all_boxes.shape
            columns = [xp.take(self._all_boxes, np.array([edge]), axis=2) for edge in range(4)]
            by_edge = [xp.reshape(column, (batch, 1, count)) for column in columns]
        else:
            centres, _ = self._boxes.grid.cells
            of_rows, half = np.tile(centres, 2)[None], np.float32(0.5)
            boxes = xp.multiply(xp.add(boxes, xp.take(boxes, np.array([2, 3, 0, 1]), axis=2)), half)
            by_edge = [of_rows[:, None, :, edge] for edge in range(4)]
        edges = [_between(xp, side, xp.take(boxes, np.array([edge]), axis=2)) for edge, side in enumerate(by_edge)]
        away = reduce(xp.maximum, edges)
        return xp.where(xp.greater(np.float32(FAR), away), away, np.float32(FAR))


def _between(xp: Namespace, a: Array, b: Array) -> Array:
    """|a - b|"""
    return xp.maximum(xp.subtract(a, b), xp.subtract(b, a))
