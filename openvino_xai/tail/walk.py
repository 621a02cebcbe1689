"""The walks of a tail: which nodes lie between a cut and its end, and the one way forward and the one way back over them.

An interpretation of the tail, as its derivative or its rows, is a rule for a single node. A walk owns the order, what each
value has been found to stand for, and which nodes are left out because nothing reaches them. So no interpretation has a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import operation_of

T = TypeVar("T")
ForwardRule: TypeAlias = Callable[[Node, Mapping[int, T]], Sequence[T] | None]
ReverseRule: TypeAlias = Callable[[Node, Mapping[int, T]], Iterable[tuple[int, T]]]


def forward(nodes: Iterable[Node], start: Mapping[Value, T], rule: ForwardRule[T]) -> dict[Value, T]:
    """What each value stands for that the `start` reaches, with the start.

    `rule` makes that of the outputs of a node, from that of those operands that have one, by index. It returns None for outputs
    that stand for nothing. What a start value stands for is never replaced.
    """
    reached = dict(start)
    for node in nodes:
        operands = {index: reached[value] for index, value in node.operands if value in reached}
        outputs = rule(node, operands) if operands else None
        if outputs is not None:
            reached.update((v, item) for v, item in zip(node.outputs, outputs, strict=True) if v not in start)
    return reached


def reverse(nodes: Sequence[Node], end: Mapping[Value, T], rule: ReverseRule[T], joined: Callable[[T, T], T]) -> dict[Value, T]:
    """What each value stands for that leads to the `end`, with the end.

    `rule` yields that of operands of a node, as (index, item), from that of those outputs that have one, by index. `joined` is
    what two readers of a value make of it together.
    """
    reached = dict(end)
    for node in reversed(nodes):
        outputs = {index: reached[value] for index, value in enumerate(node.outputs) if value in reached}
        for index, item in rule(node, outputs) if outputs else ():
            # joined as soon as it is there: a rule traces nodes, and these come in the order of operands
            operand = node.operand(index)
            reached[operand] = joined(reached[operand], item) if operand in reached else item
    return reached


def between(graph: Graph, start: Collection[Value], *ends: Value) -> list[Node]:
    """The nodes that carry data from `start` to any of the `ends`, in the order of the graph.

    A node counts if its data depends on a start value and an end depends on its data. An operand that holds a shape, axes or
    counts carries no data. Nothing ahead of a start value counts.
    """

    def passed_on(node: Node, operands: Mapping[int, bool]) -> list[bool] | None:
        controls = operation_of(node).controls
        return None if all(index in controls for index in operands) else [True] * len(node.outputs)

    # once forward and once back: what depends on the cut may lead elsewhere, and what leads to the end may not depend on it
    after = forward(graph.nodes, dict.fromkeys(start, True), passed_on).keys() - start

    def needed(node: Node, outputs: Mapping[int, bool]) -> Iterable[tuple[int, bool]]:
        controls, on_path = operation_of(node).controls, any(node.outputs[index] in after for index in outputs)
        return ((index, True) for index, _ in node.operands if on_path and index not in controls)

    leads = reverse(graph.nodes, dict.fromkeys(ends, True), needed, lambda first, second: first and second)
    return [node for node in graph.nodes if any(value in leads and value in after for value in node.outputs)]


def inside(nodes: Iterable[Node], start: Iterable[Value]) -> set[Value]:
    """The values that the nodes compute, with the start."""
    return {value for node in nodes for value in node.outputs}.union(start)


def refused(node: Node, deed: str, why: str) -> PlanError:
    """The refusal of a rule, by the name of the node."""
    return PlanError(f"{node} cannot be {deed}: {why}", node=node.name)
