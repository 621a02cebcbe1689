"""Reverse mode from rows that are queries, as DETR's: the derivatives of their log-odds by whole layers.

A query attends to all cells, so that nothing is gained by windows. The other queries take part as they do in the model, and
where a model picks its queries itself, as the best rows of an encoder, which ones it picks has no slope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openvino_xai.boxes.gathering import rows_at
from openvino_xai.boxes.suppression import Detections
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.locate.rows import Rows
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.rows.level_rows import Picked
from openvino_xai.tail.rows.reverse_mode import FAR
from openvino_xai.tail.walk import between


@dataclass(frozen=True, eq=False)
class QueryHead:
    """The head of A queries as what reverse mode starts from: [B, A, C], or with its last axes exchanged."""

    read: Value
    turned: bool
    softmax: bool
    squash: str = "logit"

    @classmethod
    def of(cls, rows: Rows) -> QueryHead:
        """That of a detector's rows. Raises PlanError where a single head does not hold all queries and classes in order."""
        factor, (head, *others) = rows.of_classes, rows.of_classes.heads
        in_order = np.arange(rows.count * rows.classes)
        straight = np.array_equal(factor.element, in_order.reshape(rows.count, rows.classes))
        turned = np.array_equal(factor.element, in_order.reshape(rows.classes, rows.count).T)
        if others or len(rows.factors) > 1 or head.value.rank != 3 or not (straight or turned):
            raise PlanError(
                f"head '{head.value.name}' of queries is not one of queries and classes alone: their derivatives are not known",
                node=head.value.name,
            )
        return cls(head.value, not straight, rows.scale(factor) == "softmax" and rows.classes > 1)

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """As it is: nothing squashes a head."""
        return g

    def logits(self, xp: Trace) -> Value:
        """[B, A, C], f32."""
        value = xp.astype(tapped(xp, self.read), np.float32)
        return xp.permute_dims(value, (0, 2, 1)) if self.turned else value


@dataclass(frozen=True, eq=False)
class QuerySeeds:
    """D queries of each image, each with its class, as reverse mode's selection."""

    head: QueryHead
    picked: Picked

    @property
    def count(self) -> int:
        """D."""
        return self.picked.each

    @property
    def inputs(self) -> Mapping[str, Value]:
        """None of its own."""
        return {}

    def repeated(self, xp: Trace, batch: Size, copies: int) -> QuerySeeds:
        """As it is: nothing is masked."""
        assert copies == 1
        return self

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[R, A, C], or its last axes exchanged: the derivative of each row's log-odds by the head.

        d z / d x_k of a row's own logits is 1 for its class c, and of a softmax - exp(x_k) / sum over j != c of exp(x_j) for
        each other one.
        """
        picked = self.picked
        _, queries, classes = shape_of(self.head.logits(Trace()))
        assert isinstance(queries, int) and isinstance(classes, int)
        of_label = xp.equal(xp.reshape(picked.label, (rows, 1)), np.arange(classes))
        weights = xp.astype(of_label, np.float32)
        if self.head.softmax:
            by_image = xp.reshape(picked.anchor, (picked.batch, picked.each))
            logits = xp.reshape(rows_at(xp, self.head.logits(xp), by_image), (rows, classes))
            weights = xp.subtract(weights, xp.softmax(xp.where(of_label, np.float32(FAR), logits), axis=1))
        of_query = xp.astype(xp.equal(xp.reshape(picked.anchor, (rows, 1)), np.arange(queries)), np.float32)
        if self.head.turned:
            seed = xp.multiply(xp.reshape(weights, (rows, classes, 1)), xp.reshape(of_query, (rows, 1, queries)))
        else:
            seed = xp.multiply(xp.reshape(of_query, (rows, queries, 1)), xp.reshape(weights, (rows, 1, classes)))
        return xp.astype(seed, dtype)


def query_gradients(graph: Graph, xp: Trace, rows: Rows, picked: Picked, cut: Sequence[Value], *, apart: bool) -> list[Value]:
    """For each value of the cut [B * D, ...]: the derivative of each picked row's log-odds, in full. Raises PlanError."""
    head = QueryHead.of(rows)
    way = Backward(graph, xp, cut, head, QuerySeeds(head, picked), batch=picked.batch, apart=apart)
    count = picked.batch * picked.each
    gradients = zip(cut, way.gradients(), strict=True)
    return [xp.broadcast_to(gradient, (count, *shape_of(value)[1:])) for value, gradient in gradients]


def rankings(graph: Graph, cut: Sequence[Value], rows: Rows) -> list[Value]:
    """The indices between a cut and the heads that tell which rows are the best: what a model picks its queries by."""
    nodes = between(graph, set(cut), *(head.value for head in rows.heads))
    return [node.outputs[-1] for node in nodes if operation_of(node).ranks]


def best_queries(xp: Namespace, rows: Rows, boxes: Array, probabilities: Array, count: int) -> Detections:
    """The `count` most probable queries, each as its best class, of boxes [B, A, 4] and probabilities [B, A, C].

    Queries tell objects apart by themselves: nothing is suppressed.
    """
    batch = probabilities.shape[0]
    objects = probabilities
    if rows.background is not None:
        shift = np.zeros((1, 1, rows.classes), np.float32)
        shift[..., rows.background] = 2  # below any probability
        objects = xp.subtract(probabilities, shift)
    best, number = xp.max(objects, axis=2), min(count, rows.count)
    order = xp.top_k(best, number, axis=1)
    classes = xp.reshape(xp.top_k(rows_at(xp, objects, order), 1, axis=2), (batch, number))
    scores = xp.take_along_axis(best, order, axis=1)
    pairs = ((order, -1), (classes, -1), (rows_at(xp, boxes, order), 0), (scores, 0))
    return Detections(*(_filled(xp, values, count - number, empty) for values, empty in pairs))


def _filled(xp: Namespace, values: Array, missing: int, empty: int) -> Array:
    """Values [B, D, ...] with so many `empty` ones more on the second axis."""
    if not missing:
        return values
    batch, _, *rest = values.shape
    more = xp.broadcast_to(np.full((1,) * len(values.shape), empty, values.dtype), (batch, missing, *rest))
    return xp.concat([values, more], axis=1)


def of_cells(xp: Namespace, x: Array, cells: tuple[int, ...], grid: tuple[int, int], prefix: int) -> Array:
    """[R, H, W], of x [R, ...] whose cells are on these axes, or, behind a prefix, among tokens: the sum over channels."""
    rows = x.shape[0]
    (channels,) = (axis for axis in range(1, len(x.shape)) if axis not in cells)
    total = xp.sum(x, axis=channels)
    count = grid[0] * grid[1]
    if len(cells) == 1 and total.shape[1] != count:
        total = xp.take(total, np.arange(prefix, prefix + count), axis=1)
    return xp.reshape(total, (rows, *grid))


def repeated(xp: Trace, value: Value, picked: Picked) -> Value:
    """[B * D, ...], of a value [B, ...]: each image, once for each of its rows."""
    shape = shape_of(value)
    spread = xp.broadcast_to(xp.reshape(value, (shape[0], 1, *shape[1:])), (shape[0], picked.each, *shape[1:]))
    return xp.reshape(spread, (shape[0] * picked.each, *shape[1:]))
