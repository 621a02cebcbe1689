"""Dead tokens: those that a model computes and nobody reads.

Behind the last attention, the scores may read the class token alone. Exported models compute the other tokens there all the
same. Each token is treated alike and alone, so another value in the place of a dead token does not change the others, not by a
bit: shapes stay as they are, and with them the kernels that a runtime chooses.
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
    """The nodes with dead tokens, in the order of `nodes`, and the axis of tokens in their outputs.

    Such a node treats all tokens alike, and what reads its outputs are `selectors` or such nodes. No output of the model is
    among them. `inside` are the values that depend on tokens of the cut.
    """
    dead_nodes: dict[Node, Span] = {}
    outputs = set(graph.outputs.values())
    for node in reversed(nodes):  # a node's readers are decided before it
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
    """The axis of tokens in a value, as each reader has it; None for a reader that may need all tokens."""
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
        # an operand with an item for each token, as an embedding of positions, gives the copies those of other tokens
        elif not operation_of(node).tells(index) and back is not None and shape_of(value)[back.axis] != 1:
            return False
    return True
