"""The nodes between a layer and the scores."""

from __future__ import annotations

from collections.abc import Collection

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.integers import SHAPED


def between(graph: Graph, start: Collection[Value], end: Value) -> list[Node]:
    """The nodes that carry data from the start to the end, in order; shapes carry sizes, not data."""
    after = set(start)
    for node in graph.nodes:
        if node.kind != "shape" and any(value in after for value in data_operands(node)):
            after.update(node.outputs)
    wanted, found = {end}, []
    for node in reversed(graph.nodes):
        if any(value in wanted and value in after and value not in start for value in node.outputs):
            found.append(node)
            wanted.update(data_operands(node))
    return found[::-1]


def data_operands(node: Node) -> list[Value]:
    """The operands that carry data: all, but for operations that are told a shape, only the first."""
    return [value for index, value in node.operands if index == 0 or node.kind not in SHAPED]
