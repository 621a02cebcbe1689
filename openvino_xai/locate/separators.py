"""The values that separate the image from the scores."""

from __future__ import annotations

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.operations.table import data_operands


def paths_through(graph: Graph, image: Value, scores: Value) -> dict[Value, bool]:
    """The values on a way from the image to the scores; True for those on every way, which separate the two.

    The ways through a value are the ways to it times the ways from it. A value on every way has as many as there are in all.
    Ways through a shape carry sizes, not data, and do not count. Raises ModelError if there is no way.
    """
    # each residual sum doubles the ways, so their number is beyond 64 bits in deep models: Python's integers have no limit
    to: dict[Value, int] = {image: 1}
    for node in graph.nodes:
        ways = sum(to.get(value, 0) for value in data_operands(node))
        to.update((value, ways) for value in node.outputs if ways)
    since: dict[Value, int] = {scores: 1}
    for node in reversed(graph.nodes):
        ways = sum(since.get(value, 0) for value in node.outputs)
        if ways:
            for value in data_operands(node):
                since[value] = since.get(value, 0) + ways
    total = to.get(scores, 0)
    if not total:
        raise ModelError("the class scores do not depend on the image input")
    return {value: to[value] * since[value] == total for value in to if value in since}
