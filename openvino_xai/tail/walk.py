"""The nodes of a tail: those between a cut and the value that the tail ends in."""

from __future__ import annotations

from collections.abc import Collection

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import data_operands


def between(graph: Graph, start: Collection[Value], end: Value) -> list[Node]:
    """The nodes that carry data from `start` to `end`, in the order of the graph.

    A node counts if its data depends on a start value and the end depends on its data. An operand that holds a shape, axes or
    counts carries no data. Nothing ahead of a start value counts.
    """
    after = set(start)
    for node in graph.nodes:
        if any(value in after for value in data_operands(node)):
            after.update(node.outputs)
    # once forward and once back: what depends on the cut may lead elsewhere, and what leads to the end may not depend on it
    wanted, path = {end}, []
    for node in reversed(graph.nodes):
        if any(value in wanted and value in after and value not in start for value in node.outputs):
            path.append(node)
            wanted.update(data_operands(node))
    return path[::-1]
