"""Sizes that a model leaves open, named: an axis that comes exactly from another has its size, and arithmetic tells more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from openvino_xai.graph.model import Graph, Node, Value, understood
from openvino_xai.graph.sizes import Dim, Size
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.counting import is_reshape
from openvino_xai.operations.integers import symbolic_content
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.operations.windows import axes_of_one_window


def settle(graph: Graph, neutral: Callable[[Node], tuple[str, Mapping[str, Any]]]) -> Graph:
    """The graph, with the kind, the attributes and the sizes of every node, in order; its nodes do not change from then on.

    `neutral` tells the kind and attributes that a node of a dialect has. Raises ModelError for a node that contradicts itself.
    """
    for node in graph.nodes:
        with understood(node):
            node.kind, node.attributes = neutral(node)
            refine_shapes(graph, node)
        node.settled = True
    return graph


def refine_shapes(graph: Graph, node: Node) -> None:
    """Name the sizes of a node's outputs that the model leaves open: an axis that comes exactly from another has its size.

    A gather that is a reshape becomes one, and a pool whose only window is the whole map a mean, or a maximum, over its cells.
    """
    if is_reshape(graph, node):
        node.kind, node.inputs, node.attributes = "reshape", node.inputs[:1], {}
    for value in node.outputs:
        _refine_constant(graph, value)
    if node.inputs and node.inputs[0] is not None and node.operand(0).shape is not None:
        _refine_by_rules(graph, node)
    for value, axes in zip(node.outputs, axes_of(node) or (), strict=False):
        shape = list(shape_of(value))
        for axis, sources in enumerate(axes):
            if isinstance(shape[axis], Dim):
                exact = (shape_of(node.operand(s.operand))[s.axis] for s in sources if s.exact)
                shape[axis] = next(exact, shape[axis])
        value.shape = tuple(shape)
    if (pooled := axes_of_one_window(node)) is not None:
        node.kind, node.attributes = str(operation_of(node).reduces), {"axes": pooled, "keepdims": True}


def _refine_constant(graph: Graph, value: Value) -> None:
    """Give a constant the shape that it has: it may be computed from shapes that are known only once it is."""
    if graph.is_constant(value) and (value.shape is None or any(isinstance(size, Dim) for size in value.shape)):
        data = graph.constant(value)
        value.shape, value.dtype = (value.shape, value.dtype) if data is None else (data.shape, data.dtype)


def _refine_by_rules(graph: Graph, node: Node) -> None:
    """Give outputs what the rules of their operation tell: the rank where it is open, and sizes."""
    operation, first = operation_of(node), node.outputs[0]

    def content(index: int) -> tuple[Size, ...] | None:
        return symbolic_content(graph, node.inputs[index]) if index < len(node.inputs) else None

    if first.shape is None and operation.rank is not None and (rank := operation.rank(node, content)) is not None:
        first.shape = tuple(Dim(1, (f"{first.name}[{axis}]",)) for axis in range(rank))
        first.dtype = first.dtype or node.operand(0).dtype
    if first.shape is None or operation.shape is None:
        return
    for value, shape in zip(node.outputs, operation.shape(node, content) or (), strict=False):
        value.shape = shape
