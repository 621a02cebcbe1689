"""All operations by name: a closed set. A kind that is not here is not known, and nothing about it is guessed."""

from __future__ import annotations

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.axes import Axes
from openvino_xai.operations.families import (
    arithmetic,
    elementwise,
    indexing,
    layout,
    norms,
    pools,
    products,
    quantisation,
    recurrence,
    reductions,
    sampling,
)
from openvino_xai.operations.record import Operation, by_name, each, mixed

FAMILIES = (elementwise, arithmetic, reductions, norms, products, pools, layout, indexing, sampling, recurrence, quantisation)
OPERATIONS = by_name(*(operation for family in FAMILIES for operation in family.OPERATIONS))
UNKNOWN = Operation(name="", axes=mixed, macs=each)


def operation_of(node: Node) -> Operation:
    """What a node does; of an operation that is not known, that nothing is."""
    return OPERATIONS.get(node.kind, UNKNOWN)


def data_operands(node: Node) -> list[Value]:
    """The operands that carry data, and no shapes, axes or counts."""
    controls = operation_of(node).controls
    return [value for index, value in node.operands if index not in controls]


def axes_of(node: Node) -> list[Axes] | None:
    """For each output of `node`, where its axes come from; None where no rule knows it or its shapes are unknown."""
    if any(value.shape is None for value in (*node.outputs, *(value for _, value in node.operands))):
        return None
    operation = operation_of(node)
    rules = [operation.axes, *[operation.later_axes or operation.axes] * (len(node.outputs) - 1)]
    axes = [rule(node) for rule in rules]
    fitting = [
        item for item, value in zip(axes, node.outputs, strict=True) if item is not None and len(item) == len(shape_of(value))
    ]
    return fitting if len(fitting) == len(axes) else None
