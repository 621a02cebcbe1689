"""The algebra of masks: what an operation makes of rest + m (v - rest), whether m masks cells, tokens or channels.

Let f treat every item alike that m has a number for. Then f keeps the form, and only v and rest change:

    f(rest + m (v - rest)) = f(rest) + m (f(v) - f(rest))    for m of 0 and 1, whatever f does to a single item,
                                                             and for real m, if f is affine

The model computes f(v) already. f(rest) is the same for all masks, and mostly a constant, which is folded when the hook is
inserted. So copies cost nothing until an operation mixes items. Which ones do, and what is made of them, is up to the rules for
each sort of mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, at_one
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, trace_back
from openvino_xai.operations.table import operation_of


class Form(Protocol):
    """Copy n is rest + m[n] (value - rest). A rest of None stands for 0; it has size 1 along what it is the same for."""

    @property
    def value(self) -> Value:
        """v, of each image."""

    @property
    def rest(self) -> Value | None:
        """The rest, of all images."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images are in the value, and then what m masks."""


F = TypeVar("F", bound=Form)


class MaskRules(Generic[F]):
    """What nodes make of v and of the rest of their operands that have this form."""

    def __init__(self, graph: Graph, trace: Trace) -> None:
        self._graph, self._trace = graph, trace

    def _values(self, node: Node, operands: Mapping[int, F]) -> tuple[Value, ...]:
        """f(v): the model's own outputs, if its node reads these values."""
        # a copy of the node would cost as much as the node
        if all(form.value is node.operand(index) for index, form in operands.items()):
            return node.outputs
        inputs = [operands[i].value if i in operands else value for i, value in enumerate(node.inputs)]
        return repeat_node(self._trace, node, inputs, [shape_of(value) for value in node.outputs])

    def _rests(
        self, node: Node, operands: Mapping[int, F], spans: Sequence[Span], *, keeps_zero: bool
    ) -> Sequence[Value | None]:
        """f(rest), for outputs with images and items along `spans`; None, which stands for 0, if f keeps zeros and all are."""
        if keeps_zero and all(form.rest is None for form in operands.values()):
            return [None] * len(node.outputs)
        batch, *items = spans
        inputs = [self._rest(operands[i]) if i in operands else value for i, value in enumerate(node.inputs)]
        # a rest may differ from item to item, as behind an embedding of positions
        counts = [_count(node, inputs, span) for span in items]
        if operation_of(node).joins:
            inputs = [
                self._stretched(operand, operands[i].spans[1:], counts) if i in operands and operand is not None else operand
                for i, operand in enumerate(inputs)
            ]
        shapes = []
        for value in node.outputs:
            shape = batch.resized(shape_of(value), 1)
            for span, count in zip(items, counts, strict=True):
                shape = span.resized(shape, count)
            shapes.append(shape)
        return repeat_node(self._trace, node, inputs, shapes)

    def _is_read(self, value: Value) -> bool:
        """Whether a node of the model reads a value, or the model returns it."""
        return bool(self._graph.consumers.get(value)) or value in self._graph.outputs.values()

    def _rest(self, form: F) -> Value:
        """The rest as a value, zeros where it is None."""
        return zeros(self._sizes_of_rest(form), form.value) if form.rest is None else form.rest

    def _sizes_of_rest(self, form: F) -> tuple[int, ...]:
        """The shape of a rest of zeros."""
        shape: Shape = shape_of(form.value)
        for span in form.spans:
            shape = span.resized(shape, 1)
        # sizes that only a run knows count 1: zeros broadcast
        return tuple(at_one(size) for size in shape)

    def _stretched(self, rest: Value, items: Sequence[Span], counts: Sequence[Size]) -> Value:
        """A rest with as many items as others have: a join broadcasts nothing."""
        shape = shape_of(rest)
        for span, count in zip(items, counts, strict=True):
            shape = span.resized(shape, count)
        return self._trace.broadcast_to(rest, shape)


def _count(node: Node, inputs: Sequence[Value | None], span: Span) -> Size:
    """How many items the operands of a node have that become those along `span`; 1 if they are the same for all."""
    for index, operand in enumerate(inputs):
        back = None if operand is None or operation_of(node).tells(index) else trace_back(node, index, span)
        if operand is not None and back is not None and back.fits(shape_of(operand)):
            count = back.length(shape_of(operand))
            if count != 1:
                return count
    return 1


def repeat_node(trace: Trace, node: Node, inputs: Sequence[Value | None], shapes: Sequence[Shape]) -> tuple[Value, ...]:
    """The outputs of a copy of the node that reads other operands and gives these shapes."""
    if operation_of(node).takes_shape:
        assert inputs[0] is not None
        return (trace.shaped(node.kind, inputs[0], shapes[0]),)
    return trace.repeat(node, inputs, shapes)


def zeros(shape: tuple[int, ...], like: Value) -> Value:
    """A constant of zeros, in the type of another value."""
    return Value("zeros", shape, like.dtype, data=np.zeros(shape, like.dtype or np.float32))
