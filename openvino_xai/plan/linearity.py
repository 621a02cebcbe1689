"""Tails that are linear in the features, or that round nothing: what a method asks for that knows no other."""

from __future__ import annotations

from collections.abc import Sequence

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.walk import between


def refuse_nonlinear(graph: Graph, cut: Sequence[Value], end: Value, method: str) -> None:
    """Raise PlanError, naming the operation, where the way from the cut to the end is not linear."""
    nodes = between(graph, set(cut), end)
    inside = {*cut, *(value for node in nodes for value in node.outputs)}
    for node in nodes:
        if not _is_linear(node, inside):
            raise PlanError(
                f"{method} is for tails that are linear (a mean over the cells and linear layers), and {node} is not: "
                "take reciprocam, or a later layer",
                node=node.name,
            )


def refuse_rounding(graph: Graph, cut: Sequence[Value], end: Value, method: str) -> None:
    """Raise PlanError, naming the operation, where what is on the way from the cut to the end rounds what it is given.

    Reverse mode passes through quantisers as if they were not there. Layers are weighed by that, and a derivative it is not.
    """
    for node in between(graph, set(cut), end):
        operation, (first, *_) = operation_of(node), [value for _, value in node.operands]
        makes_whole = operation.moves == "all" and _is_of(first, "f") and _is_of(node.outputs[0], "iu")
        if operation.quantises or makes_whole:
            raise PlanError(
                f"{node} rounds, and the derivative of that is 0 wherever there is one: what passes straight through it would "
                f"be no gradient of this model. {method} is for the model in floats",
                node=node.name,
            )


def _is_of(value: Value, kinds: str) -> bool:
    """Whether a value is known to hold numbers of some kinds."""
    return value.dtype is not None and value.dtype.kind in kinds


def _is_linear(node: Node, inside: set[Value]) -> bool:
    """Whether a node is linear in what is `inside`, up to what it adds; quantisers count as if they were not there."""
    operation = operation_of(node)
    varying = [index for index, value in node.operands if value in inside]
    return operation.quantises or operation.linearity(node, varying) is not None
