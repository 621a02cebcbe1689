"""The nodes between a layer and the scores."""

from __future__ import annotations

from collections.abc import Collection

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import data_operands


def between(graph: Graph, start: Collection[Value], end: Value) -> list[Node]:
    """The nodes that carry data from the start to the end, in order; shapes carry sizes, not data."""
    after = set(start)
    for node in graph.nodes:
        if any(value in after for value in data_operands(node)):
            after.update(node.outputs)
    wanted, path = {end}, []
    for node in reversed(graph.nodes):
        if any(value in wanted and value in after and value not in start for value in node.outputs):
            path.append(node)
            wanted.update(data_operands(node))
    return path[::-1]
