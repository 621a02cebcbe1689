"""A node, met on the way back, as the rules of operations see it: with its values for every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, trace_back
from openvino_xai.operations.integers import known_integers
from openvino_xai.operations.table import operation_of


class WayBack(Protocol):
    """What goes back over a graph, with several rows in place of each of `batch` images; `spans` tell where images are."""

    @property
    def graph(self) -> Graph:
        """The model."""

    @property
    def xp(self) -> Trace:
        """What the way is traced with."""

    @property
    def spans(self) -> Mapping[Value, Span]:
        """Where the images are in each value that is met."""

    @property
    def batch(self) -> Size:
        """B, of the model."""


class NodeStep:
    """The `Step` of a node: `read` gives a value for every row, where its images are at a span, and `shape` its shape then."""

    def __init__(
        self,
        way: WayBack,
        node: Node,
        *,
        read: Callable[[Value, Span | None], Value],
        shape: Callable[[Value, Span], Shape],
    ) -> None:
        self.xp, self.node = way.xp, node
        self._way, self._read, self._shape, self._span = way, read, shape, way.spans[node.outputs[0]]

    def operand(self, index: int) -> Value:
        """An operand, for every row; a constant as it is."""
        return self._read(self.node.operand(index), self._span_of(index))

    def _span_of(self, index: int) -> Span | None:
        """Where the images are in an operand; None where it has none."""
        value = self.node.operand(index)
        if value in self._way.spans:
            return self._way.spans[value]
        span = trace_back(self.node, index, self._span)
        return span if span is not None and span.fits(shape_of(value)) else None

    def output(self, index: int = 0) -> Value:
        """An output of the node, for every row."""
        return self._read(self.node.outputs[index], self._span)

    def operand_shape(self, index: int) -> Shape:
        """The shape of an operand, for every row."""
        value, span = self.node.operand(index), self._span_of(index)
        if span is None or self._way.graph.is_constant(value) or span.length(shape_of(value)) != self._way.batch:
            return shape_of(value)
        return self._shape(value, span)

    @cached_property
    def _output_shape(self) -> Shape:
        if operation_of(self.node).splits:  # the adjoints of its parts come side by side
            return self.operand_shape(0)
        return self._shape(self.node.outputs[0], self._span)

    def output_shape(self) -> Shape:
        """The shape of the output, for every row."""
        return self._output_shape

    def constant(self, index: int) -> np.ndarray | None:
        """What an operand holds, where it is the same for every input."""
        return self._way.graph.constant(self.node.inputs[index])

    def integers(self, index: int) -> list[int] | None:
        """An operand as whole numbers, where they are known before the model runs."""
        return known_integers(self._way.graph, self.node, index)

    def number(self, size: Size) -> Any:
        """A size as a number to calculate with."""
        return self.xp.astype(self.xp.size(size), np.float32) if isinstance(size, Dim) else float(size)

    def full(self, g: Value, axes: tuple[int, ...] | None = None) -> Value:
        """The output's adjoint in its full size, along all axes or some."""
        sizes = self.output_shape()
        wanted = range(len(sizes)) if axes is None else axes
        return self.xp.broadcast_to(g, tuple(sizes[a] if a in wanted else size for a, size in enumerate(shape_of(g))))

    def picked(self, weights: Value, axis: int, g: Value) -> Value | None:
        """None: no row picks an item of weights."""
        return None


def spread(xp: Trace, value: Value, span: Span, items: Size, each: int) -> Value:
    """[..., items * each, ...] of [..., items, ...]: each item along a span, `each` times; as it is, if it has other items."""
    shape = shape_of(value)
    if each == 1 or span.length(shape) != items:
        return value
    ahead, behind = shape[: span.axis], shape[span.axis + 1 :]
    outer = span.outer * items
    apart = xp.reshape(value, (*ahead, outer, 1, span.inner, *behind))
    repeated = xp.broadcast_to(apart, (*ahead, outer, each, span.inner, *behind))
    return xp.reshape(repeated, (*ahead, outer * each * span.inner, *behind))
