"""Traced nodes: which are needed, which a run computes, and what these cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.cost import operations


def needed(nodes: Sequence[Node], outputs: Iterable[Value]) -> tuple[Node, ...]:
    """The nodes that the outputs depend on, in their order."""
    values, ahead = set(outputs), []
    for node in reversed(nodes):
        if not values.isdisjoint(node.outputs):
            ahead.append(node)
            values.update(value for _, value in node.operands)
    return tuple(reversed(ahead))


def constant_nodes(graph: Graph, nodes: Sequence[Node], inputs: Iterable[Value] = ()) -> frozenset[Node]:
    """The nodes that depend on no input: computed when the hook is inserted, or when a runtime compiles the model."""
    computed = {value for node in nodes for value in node.outputs}
    computed.update(inputs)
    settled: set[Value] = set()
    constant = set()
    for node in nodes:
        operands = [value for _, value in node.operands]
        if node.kind != "size" and all(v in settled or (v not in computed and graph.is_constant(v)) for v in operands):
            constant.add(node)
            settled.update(node.outputs)
    return frozenset(constant)


def operations_of(graph: Graph, nodes: Sequence[Node], output: Value) -> int:
    """The operations that a run takes for an output, of one image."""
    nodes = needed(nodes, [output])
    constant = constant_nodes(graph, nodes)
    return operations(node for node in nodes if node not in constant)
