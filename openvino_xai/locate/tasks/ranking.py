"""What a ranking of class scores leaves of them: the largest, and which classes these are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.locate.output_forms import is_floats_by_class
from openvino_xai.operations.table import data_operands, operation_of


def ranked_values(graph: Graph) -> dict[Value, frozenset[Value]]:
    """Values that hold of the image what rankings of class scores [B, K] leave, each with the scores that are ranked.

    These are classes in their order, scores in that order, and what is computed of them without weights, as a label that is
    looked up. What sums them by weights is something else, as in a network that keeps the largest features.
    """
    ranked: dict[Value, frozenset[Value]] = {}
    sorted_ones = {node.operand(0) for node in graph.nodes if _ranks_classes(node)}
    for node in graph.nodes:
        sources = _ranked_by(graph, node, ranked, sorted_ones)
        if sources:
            ranked.update(dict.fromkeys(node.outputs, sources))
    return ranked


def _ranked_by(
    graph: Graph, node: Node, ranked: Mapping[Value, frozenset[Value]], sorted_ones: Collection[Value]
) -> frozenset[Value]:
    """The scores of which a ranking is all that a node reads of the image; empty where it reads more.

    The largest of `sorted_ones`, of which another node tells whose it is, is a part of their ranking, and no score by itself.
    """
    operation, varying = operation_of(node), [value for value in data_operands(node) if not graph.is_constant(value)]
    left = [value for value in varying if value not in ranked]
    if not left:
        return frozenset[Value]().union(*(ranked[value] for value in varying if operation.weights is None))
    picks = any(value in ranked for index, value in node.operands if index in operation.selectors)
    is_largest = _is_along_classes(node) and operation.reduces == "max" and node.operand(0) in sorted_ones
    if (_ranks_classes(node) or picks or is_largest) and left == [node.inputs[0]] and is_floats_by_class(node.operand(0)):
        return frozenset(left)
    return frozenset()


def _ranks_classes(node: Node) -> bool:
    """Whether a node tells where the largest along the axis of classes are."""
    return operation_of(node).ranks and _is_along_classes(node)


def _is_along_classes(node: Node) -> bool:
    axis, rank = node.attributes.get("axis"), node.operand(0).rank or 0
    axes = node.attributes.get("axes") if axis is None else [axis]
    return rank > 1 and axes is not None and [item % rank for item in axes] == [1]


def sources_of_outputs(graph: Graph) -> frozenset[Value]:
    """The scores [B, K] that all outputs only rank; empty where one tells more of the image than that."""
    ranked = ranked_values(graph)
    varying = [value for value in graph.outputs.values() if not graph.is_constant(value)]
    if not varying or any(value not in ranked for value in varying):
        return frozenset()
    return frozenset[Value]().union(*(ranked[value] for value in varying))
