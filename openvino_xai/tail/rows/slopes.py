"""Slopes of functions of single elements, and of x f(x): one product takes an adjoint through a whole activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from openvino_xai.graph.model import Node, Value, understood
from openvino_xai.graph.trace import as_value, shape_of
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.windows import Patch
from openvino_xai.tail.steps import NodeStep

if TYPE_CHECKING:
    from openvino_xai.tail.rows.reverse_mode import PatchAdjoint, RowStream


@dataclass(frozen=True, eq=False)
class Slope:
    """The slope by an operand, [R, C, h, w], or [1, ...] where it is the same for all rows."""

    of: Value
    value: Value


class Slopes:
    """The slopes of a stream's nodes."""

    def __init__(self, stream: RowStream) -> None:
        self._stream, self._nodes = stream, set(stream.nodes)
        self._of_images: dict[Node, Value] = {}

    def within(self, node: Node, patch: Patch | None) -> Slope | None:
        """The slope of a node in a window, or all over; None for one that is no such function.

        It is computed for all cells where windows are so large that together they hold more.
        """
        stream, inner = self._stream, self._inner(node)
        if stream.grid(node.outputs[0]) is None or (inner is None and not self._is_function(node)):
            return None
        x = self._operand(inner or node)
        if shape_of(x) != shape_of(node.outputs[0]):
            return None
        if patch is not None and not patch.is_whole:
            (tall, wide), all_cells = patch.sides, patch.rows.size * patch.columns.size
            if stream.picked.each * tall * wide < all_cells:
                return Slope(x, self._slope(node, inner, patch))
        if node not in self._of_images:
            self._of_images[node] = self._slope(node, inner, None)
        slope = self._of_images[node]
        return Slope(x, stream.cells.of_images(slope) if patch is None else stream.cells.gathered(slope, patch))

    def of_factors(self, adjoints: Mapping[Value, PatchAdjoint]) -> dict[Value, PatchAdjoint]:
        """For each f of x f(x) that was taken in one, what its product has: whoever goes forward reads it in that window."""
        factors = {}
        for node in self._nodes:
            output = node.outputs[0]
            if output in adjoints and (inner := self._inner(node)) is not None and inner.outputs[0] not in adjoints:
                factors[inner.outputs[0]] = adjoints[output]
        return factors

    def _slope(self, node: Node, inner: Node | None, patch: Patch | None) -> Value:
        """The slope of a function, or of x times the `inner` function of x: for all images [B, C, H, W], or in a window."""
        if inner is not None:
            x, y = (self._read(value, patch) for value in (self._operand(inner), inner.outputs[0]))
            return self._stream.xp.add(y, self._share(inner, x, patch))
        unit = as_value(np.ones((1, 1, 1, 1), node.outputs[0].dtype), [])
        share = self._share(node, unit, patch)
        factors = share.producer.inputs if share.producer is not None and operation_of(share.producer).multiplies else ()
        others = [factor for factor in factors if factor is not unit and factor is not None]
        return others[0] if len(others) == 1 else share

    def _share(self, node: Node, g: Value, patch: Patch | None) -> Value:
        """What a function gives its operand of an adjoint."""
        stream, rule = self._stream, operation_of(node).adjoint
        assert rule is not None
        if patch is None:
            step = NodeStep(stream, node, read=lambda value, _: self._read(value, None), shape=lambda value, _: shape_of(value))
        else:
            step = NodeStep(stream, node, read=partial(stream.read, patch=patch), shape=partial(stream.shape_at, patch=patch))
        with understood(node):
            return rule(step, node.inputs.index(self._operand(node)), g)

    def _read(self, value: Value, patch: Patch | None) -> Value:
        """A value of the forward pass, of all images or in a window of each row."""
        stream = self._stream
        if patch is not None:
            return stream.read(value, stream.spans.get(value), patch)
        return value if stream.graph.is_constant(value) else stream.forward_values.get(value) or tapped(stream.xp, value)

    def _operand(self, node: Node) -> Value:
        """What a function of single elements reads."""
        return next(value for _, value in node.operands if value in self._stream.spans)

    def _is_function(self, node: Node) -> bool:
        """Whether a node is a function of single elements of one value, with a slope."""
        operation = operation_of(node)
        inside = [value for _, value in node.operands if value in self._stream.spans]
        return operation.pointwise and operation.adjoint is not None and len(inside) == 1 and not operation.factors

    def _inner(self, node: Node) -> Node | None:
        """The node of f where this one is x f(x), and nothing else reads f."""
        pair = [value for _, value in node.operands if value in self._stream.spans]
        operation = operation_of(node)
        if not operation.multiplies or len(pair) != 2 or pair[0] is pair[1]:
            return None
        for x, y in (pair, pair[::-1]):
            inner = y.producer
            if inner not in self._nodes or y in self._stream.cut or len(self._stream.graph.consumers[y]) != 1:
                continue
            if inner is not None and self._is_function(inner) and self._operand(inner) is x:
                return inner
        return None
