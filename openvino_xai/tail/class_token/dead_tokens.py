"""Tokens that a model computes and nobody reads.

Where the scores read the class token alone, what stands behind the last attention is computed for all tokens all the same:
exporters write it so. Every token is treated alike there, so another value in the place of a token that nobody reads changes
nothing of the others, not by a bit: shapes stay as they are, and with them the kernels that run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.subaxis import Span, trace_back
from openvino_xai.operations.table import data_operands, operation_of


def dead_token_nodes(
    graph: Graph, nodes: Sequence[Node], selectors: Mapping[Node, Span], inside: Collection[Value]
) -> dict[Node, Span]:
    """The nodes that treat all tokens alike and of which only those that `selectors` pick are read.

    With the axis of tokens in their outputs, in the order of `nodes`; `inside` are the values that tokens lead to.
    """
    dead_nodes: dict[Node, Span] = {}
    outputs = set(graph.outputs.values())
    for node in reversed(nodes):
        if node in selectors or any(value in outputs for value in node.outputs):
            continue
        spans = {span for value in node.outputs for span in _read_along(graph, value, selectors, dead_nodes)}
        span = spans.pop() if len(spans) == 1 else None
        if span is not None and span.pure and _treats_alike(node, span, inside):
            dead_nodes[node] = span
    return dict(reversed(dead_nodes.items()))


def _read_along(
    graph: Graph, value: Value, selectors: Mapping[Node, Span], dead_nodes: Mapping[Node, Span]
) -> set[Span | None]:
    """The axis of tokens in a value, by each node that reads it; None for one that may read all tokens."""
    spans: set[Span | None] = set()
    for node, index in graph.consumers.get(value, []):
        if value not in data_operands(node):
            continue
        if node in selectors and index == 0:
            spans.add(selectors[node])
        else:
            spans.add(trace_back(node, index, dead_nodes[node]) if node in dead_nodes else None)
    return spans


def _treats_alike(node: Node, span: Span, inside: Collection[Value]) -> bool:
    """Whether each token of the outputs depends on the same token of what leads there, in the same way for all."""
    for index, value in node.operands:
        back = trace_back(node, index, span)
        if value in inside:
            if back is None or not back.pure:
                return False
        elif not operation_of(node).tells(index) and back is not None and shape_of(value)[back.axis] != 1:
            return False
    return True
