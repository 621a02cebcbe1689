"""The values that separate the image from the scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
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


def last_on_each_way(graph: Graph, image: Value, scores: Value, usable: Collection[Value]) -> tuple[list[Value], set[Value]]:
    """The last `usable` values on the ways from the image to the scores, in order, and the values behind them.

    No usable value comes behind one of these on the same way. If the image is among the values behind, a way has none.
    """
    varying = reached_from(graph, image)
    behind, last = {scores}, list[Value]()
    for node in reversed(graph.nodes):
        reached = behind.intersection(node.outputs)
        stops = [value for value in node.outputs if value in reached and value in usable and value is not scores]
        last += stops
        if len(stops) < len(reached):
            behind.update(value for value in data_operands(node) if value in varying)
    return last[::-1], behind - set(last)


def reached_from(graph: Graph, image: Value, around: Iterable[Value] = ()) -> set[Value]:
    """The values that data of the image reaches on ways `around` some values."""
    walls = set(around)
    reached = {image}
    for node in graph.nodes:
        if not reached.isdisjoint(data_operands(node)):
            reached.update(value for value in node.outputs if value not in walls)
    return reached


def branches(graph: Graph, image: Value, values: Collection[Value]) -> list[Value]:
    """Those of some values that are on every way that they all are on: without those that only others of them lead to."""
    parallel = list(values)
    for value in reversed(list(values)):
        others = [other for other in parallel if other is not value]
        if value not in reached_from(graph, image, others):
            parallel = others
    return parallel


def first_without(graph: Graph, values: Collection[Value], placed: Collection[Value]) -> Node | None:
    """The first node that makes values of these that are not `placed`, of one that is; None if there is none."""
    for node in graph.nodes:
        outputs = [value for value in node.outputs if value in values]
        operands = [value for value in data_operands(node) if value in values and value in placed]
        if outputs and operands and not any(value in placed for value in outputs):
            return node
    return None
