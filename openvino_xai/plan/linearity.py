"""Tails that are linear in the features: what a method asks for that knows no other."""

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


def _is_linear(node: Node, inside: set[Value]) -> bool:
    """Whether a node is linear in what is `inside`, up to what it adds; quantisers count as if they were not there."""
    operation = operation_of(node)
    varying = [index for index, value in node.operands if value in inside]
    return operation.quantises or operation.linearity(node, varying) is not None
