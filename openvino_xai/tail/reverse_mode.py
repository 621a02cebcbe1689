"""Reverse mode: the derivatives of scores by the values of a layer, as nodes that a runtime computes.

For each node y = f(x), from the end of the tail back to the cut, the adjoint of x is the adjoint of y times the Jacobian of f.
Where several nodes read x, their adjoints add up. The rule for f is in its operation's record. The seed, at the end, is 1 at
the column of the explained class and 0 elsewhere. An adjoint has a row for each class of each image.

Two things stay small for as long as they can. Up to the first rule that needs a value of an image, there is one row for each
class, made of weights alone: for a mean pool and a linear layer, a run gathers the weights of the class and computes nothing
else. And an axis along which an adjoint is the same everywhere stays of size 1, as the cells behind a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value, understood
from openvino_xai.graph.sizes import Shape, Size, product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import FIRST, Span, fitting, follow
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.forward import computed_again
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.steps import NodeStep, spread
from openvino_xai.tail.target import Columns, Selection
from openvino_xai.tail.walk import between, forward, refused, reverse

DIFFERENTIATED = "differentiated"


class End(Protocol):
    """What is differentiated: where a target is read, and what squashes that."""

    @property
    def read(self) -> Value:
        """The value at the end of the tail."""

    @property
    def squash(self) -> str:
        """`logit` where nothing does."""

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """The adjoint ahead of what squashes the end `y`, of that behind it."""


@dataclass(frozen=True, eq=False)
class Adjoint:
    """The derivative of every explained score by a value, in the value's axes, with rows along `span` in place of images.

    There is a row for each class if it is `by_class`, and else for each class of each image. It may be of size 1 along an axis
    where it is the same everywhere.
    """

    value: Value
    span: Span
    by_class: bool


class Backward:
    """The derivatives of a `selection` of a `target` by the values of a `cut`, for `batch` images.

    Rules that need values of the forward pass read the model's own. If it is `apart`, they read values that are computed once
    more from the cut on: a runtime that fuses the model's own would fuse them no more, and return other scores. `forward` has
    the values that are read in place of the model's. It may be given, for a number of `copies` of each image; the `selection`
    is then that of the copies. `spans` tell where values of the cut have their images, if that is not all of axis 0.
    """

    def __init__(
        self,
        graph: Graph,
        trace: Trace,
        cut: Sequence[Value],
        target: End,
        selection: Selection,
        *,
        batch: Size,
        apart: bool = False,
        copies: int = 1,
        forward: Mapping[Value, Value] | None = None,
        spans: Mapping[Value, Span] | None = None,
    ) -> None:
        self.graph, self.xp, self.batch, self._selection = graph, trace, batch, selection
        self._cut, self._end, self._target = tuple(cut), target.read, target
        self._nodes = between(graph, set(cut), self._end)
        self.items = batch * copies
        self.forward = forward or (computed_again(trace, self._cut, self._nodes) if apart else {})
        self.spans = self._followed({**dict.fromkeys(cut, FIRST), **(spans or {})})
        self._rows: dict[tuple[Value, Span], Value] = {}

    def gradients(self) -> tuple[Value, ...]:
        """[B * K, ...] for each value of the cut: the derivative of each score, of size 1 along some axes where it is the same.

        Raises PlanError, which names the operation that has no derivative here, or the value that the scores do not depend on.
        """
        return tuple(self.gradient(value).value for value in self._cut)

    def gradient(self, value: Value) -> Adjoint:
        """As `gradients`, by a value of the cut or behind it. Raises PlanError."""
        if value not in self._adjoints:
            raise PlanError(f"the scores do not depend on '{value.name}' in a way that has a derivative", node=value.name)
        return self.as_rows(self._adjoints[value])

    @cached_property
    def _adjoints(self) -> Mapping[Value, Adjoint]:
        """The adjoint of each value that leads to the end."""
        return reverse(self._nodes, {self._end: self._squashed(self._seed)}, self._pulled_back, self._added)

    def _pulled_back(self, node: Node, outputs: Mapping[int, Adjoint]) -> Iterator[tuple[int, Adjoint]]:
        """The adjoint of each operand of a node, from those of its outputs. Raises PlanError."""
        operation = operation_of(node)
        if operation.stepwise:
            return
        output_adjoint = self._of_parts(node, outputs) if operation.splits else next(iter(outputs.values()))
        if (rule := operation.adjoint) is None:
            raise refused(node, DIFFERENTIATED, "no rule knows the operation")
        if output_adjoint.by_class and not self._stays_small(node):  # a row needs its image from here on
            output_adjoint = self.as_rows(output_adjoint)
        step = _Step(self, node, output_adjoint)
        for index, operand in node.operands:
            if operand in self.spans and index not in operation.controls and index not in operation.selectors:
                with understood(node):
                    adjoint = rule(step, index, output_adjoint.value)
                yield index, Adjoint(adjoint, self.spans[operand], output_adjoint.by_class)

    # ---- where rows are ----

    def _followed(self, cut: Mapping[Value, Span]) -> dict[Value, Span]:
        """Where the images are in every value from the cut to the end. Raises PlanError where they are mixed."""
        # the rows of a class take the place of its image: if images were mixed, so would rows of other images
        readers: dict[Value, list[tuple[Node, int]]] = {}
        for node in self._nodes:
            for index, value in node.operands:
                readers.setdefault(value, []).append((node, index))

        def placed(node: Node, operands: Mapping[int, Span]) -> list[Span]:
            """Where a reshape may put a single image in several places, the one that what reads it can go on from."""
            spans = span_of_images(node, operands)
            if operation_of(node).lays_out and spans[0].length(shape_of(node.outputs[0])) == 1:
                before, after = shape_of(node.operand(0)), shape_of(node.outputs[0])
                for span in (*spans, *fitting(before, after, operands[0])):
                    if all(follow(reader, index, span) for reader, index in readers.get(node.outputs[0], ())):
                        return [span]
            return spans

        spans = forward(self._nodes, cut, placed)
        if spans[self._end] != FIRST:
            raise PlanError(f"'{self._end.name}' has its batch on axis {spans[self._end].axis}; axis 0 is expected, alone")
        return spans

    @property
    def columns(self) -> Columns:
        """The columns that are selected, where adjoints are by class."""
        assert isinstance(self._selection, Columns)
        return self._selection

    @property
    def rows(self) -> Size:
        """B * K, or B * S * K for S copies."""
        return self.items * self._selection.count

    def shape(self, value: Value, span: Span, by_class: bool) -> Shape:
        """The shape of a value with rows in place of images: one for each class, or for each class of each image."""
        return span.resized(shape_of(value), len(self.columns.shared) if by_class else self.rows)

    def read(self, value: Value, span: Span | None) -> Value:
        """A value of the forward pass, repeated for the classes of each image; as it is, if it has no images."""
        if span is None or self.graph.is_constant(value):
            return value
        if (value, span) not in self._rows:
            self._rows[value, span] = spread(self.xp, self.of_images(value), span, self.items, self._selection.count)
        return self._rows[value, span]

    def of_images(self, value: Value) -> Value:
        """A value of the forward pass, for each image once."""
        return self.forward.get(value) or tapped(self.xp, value)

    def as_rows(self, adjoint: Adjoint) -> Adjoint:
        """The adjoint with a row for each class of each image."""
        if not adjoint.by_class:
            return adjoint
        xp, axis, columns = self.xp, adjoint.span.axis, self.columns  # only columns make adjoints by class
        # the seed for all columns is a square, total x total: rows of it are computed, and not taken from it
        if adjoint.value is self._seed.value and columns.of_each_image:
            return replace(adjoint, value=self._picked_by_image(adjoint.value), by_class=False)
        shape = shape_of(adjoint.value)
        ahead, behind = shape[:axis], shape[axis + 1 :]
        if columns.of_each_image:
            value = xp.take(adjoint.value, columns.ids, axis=axis)
        else:
            single_image = xp.reshape(adjoint.value, (*ahead, 1, *shape[axis:]))
            value = xp.broadcast_to(single_image, (*ahead, self.items, *shape[axis:]))
        return Adjoint(xp.reshape(value, (*ahead, self.rows, *behind)), adjoint.span, False)

    def _picked_by_image(self, seed: Value) -> Value:
        """[B * K, ...]: 1 at each row's own column."""
        picked = self.columns.seed_of_rows(self.xp, self.rows, seed.dtype)
        return self.xp.reshape(picked, (self.rows, *shape_of(seed)[1:]))

    def _stays_small(self, node: Node) -> bool:
        """Whether the adjoints of a node's operands need no value of an image, and no axis in its full size."""
        inside = [index for index, value in node.operands if value in self.spans]
        others = [value for index, value in node.operands if index not in inside]
        operation = operation_of(node)
        pointwise = node.kind == "conv" and is_1x1(node)
        # a flatten behind a global pool merges axes of size 1 only, and moves no item
        flattens = operation.takes_shape and all(product(shape_of(v)[2:]) == 1 for v in (node.operand(0), node.outputs[0]))
        if not (operation.lazy_adjoint or pointwise or flattens) or operation.linearity(node, inside) is None:
            return False
        if not all(self.graph.is_constant(value) for value in others):
            return False
        spans = [self.spans[node.operand(index)] for index in inside] + [self.spans[value] for value in node.outputs]
        return all(span.pure for span in spans)

    # ---- adjoints ----

    @cached_property
    def _seed(self) -> Adjoint:
        """[T, total, ...]: the derivative of each column of the end by the end, which is 1 at the column itself.

        Or [B * K, ...], where what is selected differs from image to image.
        """
        xp, end = self.xp, self._end
        # the end of a quantised model may hold bytes, and derivatives are no whole numbers
        dtype = end.dtype if end.dtype is not None and end.dtype.kind == "f" else np.dtype(np.float32)
        if not isinstance(self._selection, Columns):
            seed = self._selection.seed_of_rows(xp, self.rows, dtype)
            return Adjoint(xp.reshape(seed, (self.rows, *shape_of(end)[1:])), FIRST, False)
        seed = self.columns.seed(xp, dtype)
        return Adjoint(xp.reshape(seed, (len(self.columns.shared), *shape_of(end)[1:])), FIRST, True)

    def is_seed(self, value: Value) -> bool:
        """Whether an adjoint is still the seed, in whatever shape: a product with it takes items of the weights."""
        seed, node = self._seed.value, value.producer
        if node is not None and node.kind == "reshape" and node.native is None:
            value = node.operand(0)
        return value is seed or (
            seed.producer is not None and seed.producer.kind == "reshape" and value is seed.producer.operand(0)
        )

    def _squashed(self, seed: Adjoint) -> Adjoint:
        """The seed, multiplied by the derivative of what squashes the scores, if anything does."""
        if self._target.squash == "logit":
            return seed
        rows, y = self.as_rows(seed), self.read(self._end, FIRST)
        return replace(rows, value=self._target.adjoint(self.xp, y, rows.value))

    def _of_parts(self, node: Node, outputs: Mapping[int, Adjoint]) -> Adjoint:
        """The adjoints of all parts of a split, side by side; 0 for a part that nothing reads."""
        parts = []
        for index, value in enumerate(node.outputs):
            shape = self.shape(value, self.spans[value], False)
            if index in outputs:
                parts.append(self.xp.broadcast_to(self.as_rows(outputs[index]).value, shape))
            else:
                zero = np.zeros((1,) * len(shape), node.operand(0).dtype)
                parts.append(self.xp.broadcast_to(zero, shape))
        return Adjoint(self.xp.concat(parts, axis=node.attributes["axis"]), self.spans[node.outputs[0]], False)

    def _added(self, old: Adjoint, new: Adjoint) -> Adjoint:
        """The sum of the adjoints that two readers of a value give it."""
        if old.by_class != new.by_class:
            old, new = self.as_rows(old), self.as_rows(new)
        return replace(new, value=self.xp.add(old.value, new.value))


def span_of_images(node: Node, operands: Mapping[int, Span]) -> list[Span]:
    """Where the images are in the outputs of a node. Raises PlanError where it mixes them, or has them in two places."""
    controls = operation_of(node).controls
    output_spans = {follow(node, index, span) for index, span in operands.items() if index not in controls}
    span = output_spans.pop() if len(output_spans) == 1 else None
    if span is None:
        raise refused(node, DIFFERENTIATED, "it mixes images, or its shapes are not known")
    return [span] * len(node.outputs)


class _Step(NodeStep):
    """A node on the way back, whose adjoint may be by class."""

    def __init__(self, backward: Backward, node: Node, adjoint: Adjoint) -> None:
        super().__init__(
            backward, node, read=backward.read, shape=lambda value, span: backward.shape(value, span, adjoint.by_class)
        )
        self._backward, self._by_class = backward, adjoint.by_class

    def picked(self, weights: Value, axis: int, g: Value) -> Value | None:
        """What a product of the seed and weights is: an item of the weights for each row; None if `g` is not the seed."""
        if not self._by_class or not self._backward.is_seed(g):
            return None
        columns = self._backward.columns
        rank = len(shape_of(weights))
        first = self.xp.permute_dims(weights, (axis, *(a for a in range(rank) if a != axis)))
        identity = np.array_equal(columns.shared, np.arange(columns.total))
        return first if identity else self.xp.take(first, columns.shared, axis=0)
