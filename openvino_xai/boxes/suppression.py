"""Detections among a detector's rows: non-maximum suppression in operations of fixed sizes.

Cluster-NMS (Zheng et al., "Enhancing geometric factors in model learning and inference for object detection and instance
segmentation", 2021, section 3.3): of candidates sorted by score, all at once are dropped that a better one of their class which
stands overlaps; and again, from who stands now. As many rounds as the longest chain of such drops give what the greedy loop
gives, candidate by candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.boxes.gathering import rows_at
from openvino_xai.graph.sizes import Size, at_one
from openvino_xai.graph.vocabulary import Array, Namespace

CANDIDATES = 300  # rows that are looked at, best first
ROUNDS = 10  # of drops; longer chains of boxes that each drop the next are rare


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Two boxes of a class are one object where their IoU is above `overlap`; one is a detection above `score`."""

    overlap: float = 0.45
    score: float = 0.0


@dataclass(frozen=True, eq=False)
class Detections:
    """D rows of each image, best first; where there are fewer, index and class are -1, box and score 0.

    `index` [B, D] i64 says which row, `classes` [B, D] i64 its most probable class; `boxes` [B, D, 4] are xyxy, `scores` [B, D]
    probabilities in [0, 1].
    """

    index: Array
    classes: Array
    boxes: Array
    scores: Array


def suppressed(
    xp: Namespace,
    boxes: Array,
    probabilities: Array,
    *,
    count: int,
    threshold: Threshold,
    background: int | None = None,
) -> Detections:
    """The `count` best detections among rows with boxes [B, A, 4], xyxy, and probabilities [B, A, C] in [0, 1].

    A row is of its most probable class; `background` is none. Of the best 300 rows, one is kept where no better one of its
    class that is kept overlaps it.
    """
    batch, rows, classes = probabilities.shape
    candidates = min(CANDIDATES, at_one(rows))
    objects = probabilities
    if background is not None:
        shift = np.zeros((1, 1, at_one(classes)), probabilities.dtype)
        shift[..., background] = 2  # below any probability
        objects = xp.subtract(probabilities, shift)
    best = xp.max(objects, axis=2)
    order = xp.top_k(best, candidates, axis=1)  # [B, M]
    scores = xp.take_along_axis(best, order, axis=1)
    class_of = xp.reshape(xp.top_k(rows_at(xp, objects, order), 1, axis=2), (batch, candidates))
    chosen = rows_at(xp, boxes, order)
    standing = _standing(xp, _rivals(xp, chosen, class_of, threshold.overlap), (batch, candidates))
    standing = xp.where(xp.greater(scores, threshold.score), standing, 0.0)
    falling = np.arange(candidates, 0, -1, dtype=np.float32)
    picked = min(count, candidates)
    ranks = xp.multiply(standing, falling)  # 0 for those that are dropped
    first = xp.top_k(ranks, picked, axis=1)  # [B, D]
    there = xp.greater(xp.take_along_axis(ranks, first, axis=1), 0.0)

    def settled(values: Array, empty: int) -> Array:
        return padded(xp, xp.where(there, xp.take_along_axis(values, first, axis=1), empty), count - picked, empty)

    spread = xp.reshape(there, (batch, picked, 1))
    detected = padded(xp, xp.where(spread, rows_at(xp, chosen, first), 0), count - picked, 0)
    return Detections(settled(order, -1), settled(class_of, -1), detected, settled(scores, 0))


def _rivals(xp: Namespace, boxes: Array, class_of: Array, overlap: float) -> Array:
    """[B, M, M]: 1 where box i stands ahead of j, of the same class, and overlaps it by more."""
    batch, count, _ = boxes.shape
    left, top, right, bottom = (xp.take(boxes, np.array([edge]), axis=2) for edge in range(4))  # [B, M, 1]

    def turned(column: Array) -> Array:
        # no transposition: ONNX Runtime (1.32) would undo those of the model for it, and sum in another order
        return xp.reshape(column, (batch, 1, count))

    def shared(low: Array, high: Array) -> Array:
        end = xp.minimum(high, turned(high))
        return xp.maximum(xp.subtract(end, xp.maximum(low, turned(low))), 0.0)

    intersection = xp.multiply(shared(left, right), shared(top, bottom))
    area = xp.multiply(xp.maximum(xp.subtract(right, left), 0.0), xp.maximum(xp.subtract(bottom, top), 0.0))
    union = xp.subtract(xp.add(area, turned(area)), intersection)
    same = xp.equal(xp.reshape(class_of, (batch, count, 1)), xp.reshape(class_of, (batch, 1, count)))
    rank = np.arange(count, dtype=np.int64)
    ahead = xp.astype(xp.greater(rank.reshape(1, 1, -1), rank.reshape(1, -1, 1)), np.float32)  # small in a file
    near = xp.greater(intersection, xp.multiply(union, overlap))
    return xp.where(near, xp.where(same, ahead, np.float32(0)), np.float32(0))


def _standing(xp: Namespace, rivals: Array, shape: tuple[Size, int]) -> Array:
    """[B, M]: 1 for boxes that no rival which stands drops, else 0."""
    batch, count = shape
    standing = xp.broadcast_to(np.ones((1, 1, 1), np.float32), (batch, 1, count))
    for _ in range(min(ROUNDS, count - 1)):
        drops = xp.matmul(standing, rivals)  # [B, 1, M]: by how many; a product of matrices is what runtimes are fastest at
        standing = xp.maximum(xp.subtract(np.float32(1), drops), np.float32(0))
    return xp.reshape(standing, shape)


def padded(xp: Namespace, values: Array, missing: int, empty: int) -> Array:
    """Values [B, D, ...] with so many `empty` ones more on the second axis, which may be one that a run tells."""
    if not missing:
        return values
    batch, _, *rest = values.shape
    return xp.concat(
        [values, xp.broadcast_to(np.full((1,) * len(values.shape), empty, values.dtype), (batch, missing, *rest))], axis=1
    )
