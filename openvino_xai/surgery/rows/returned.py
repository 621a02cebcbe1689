"""The rows of a model that picks some of its rows itself: which of all they are, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openvino_xai.boxes.gathering import rows_at
from openvino_xai.boxes.suppression import Detections
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.locate.provenance.returned import OwnRows
from openvino_xai.tail.walk import forward


def anchors_of(trace: Trace, returned: OwnRows) -> Value:
    """[B, N], i64: which of all A rows each row is that the model returns. Its picks are repeated with row numbers."""

    def copied(node: Node, operands: Mapping[int, Value]) -> Sequence[Value]:
        inputs = [operands.get(index, value) for index, value in enumerate(node.inputs)]
        return trace.repeat(node, inputs, [shape_of(value) for value in node.outputs])

    shape = shape_of(returned.source)
    assert isinstance(shape[1], int)
    numbers = trace.broadcast_to(np.arange(shape[1], dtype=np.float32).reshape(1, -1, 1), shape)
    values = forward(returned.nodes, {returned.source: numbers}, copied)
    return trace.astype(_column(trace, values[returned.output], returned.columns[0]), np.int64)


def anchors_in(returned: OwnRows, source: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[B, N]: the same of arrays, by what the rows hold of the `source`."""
    picked = rows[:, :, list(returned.columns)]
    nearest = [
        [np.abs(of_all - row).sum(axis=1).argmin() for row in image] for of_all, image in zip(source, picked, strict=True)
    ]
    return np.array(nearest, np.int64)


def best_own(
    xp: Namespace, returned: OwnRows, content: tuple[Array, Array], *, boxes: Array, count: int
) -> tuple[Detections, Array]:
    """The `count` best of the rows that a model returns, and which of all rows each is, [B, D].

    `content` is those rows [B, N, n], and which of all each is, [B, N]; `boxes` [B, A, 4] are those of all. Raises PlanError
    for more rows than there are.
    """
    rows, anchors = content
    if count > returned.count:
        raise PlanError(f"the model returns {returned.count} rows, and {count} are asked for", node=returned.output.name)
    batch = boxes.shape[0]
    scores = _column(xp, rows, returned.score)
    order = xp.top_k(scores, count, axis=1)
    best = xp.take_along_axis(scores, order, axis=1)
    anchor = xp.take_along_axis(anchors, order, axis=1)
    there = xp.greater(best, np.float32(0))
    labels = xp.astype(xp.take_along_axis(_column(xp, rows, returned.label), order, axis=1), np.int64)
    detections = Detections(
        xp.where(there, order, np.int64(-1)),
        xp.where(there, labels, np.int64(-1)),
        xp.where(xp.reshape(there, (batch, count, 1)), rows_at(xp, boxes, anchor), np.float32(0)),
        xp.where(there, best, np.float32(0)),
    )
    return detections, anchor


def _column(xp: Namespace, rows: Array, column: int) -> Array:
    """[B, N] of [B, N, n]."""
    batch, count, _ = rows.shape
    return xp.reshape(xp.take(rows, np.array([column]), axis=2), (batch, count))
