"""Tails that are linear in the features: what a method asks for that knows no other."""

from __future__ import annotations

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.locate.scores import QUANTISERS
from openvino_xai.tail.walk import between

# layouts, means and sums; quantisers round, and are meant to be as if they were not there
ALWAYS = QUANTISERS | frozenset(
    "avg_pool batch_norm cast concat expand gather identity mean pad reshape shape slice split squeeze sum transpose unsqueeze "
    "add subtract".split()
)
WITH_CONSTANTS = frozenset("conv divide matmul multiply".split())


def refuse_nonlinear(graph: Graph, cut: Value, end: Value, method: str) -> None:
    """Raise PlanError, naming the operation, where the way from the cut to the end is not linear."""
    nodes = between(graph, {cut}, end)
    inside = {cut, *(value for node in nodes for value in node.outputs)}
    for node in nodes:
        if not _linear(node, inside):
            raise PlanError(
                f"{method} is for tails that are linear (a mean over the cells and linear layers), and {node} is not: "
                "take reciprocam, or a later layer",
                node=node.name,
            )


def _linear(node: Node, inside: set[Value]) -> bool:
    if node.kind in ALWAYS:
        return True
    return node.kind in WITH_CONSTANTS and sum(value in inside for _, value in node.operands) == 1
