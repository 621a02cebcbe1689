"""Token selection: the nodes that take tokens for the scores that no mask weighs, as a class token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.locate.tokens import picked_tokens
from openvino_xai.tail.masked import MaskedCells
from openvino_xai.tail.walk import forward, reverse


def token_selectors(
    graph: Graph, cuts: Mapping[Value, MaskedCells], weights: np.ndarray, nodes: Sequence[Node], end: Value
) -> dict[Node, tuple[Span, list[int]]]:
    """The nodes that select tokens which no mask of `weights` [N, T] changes, each with the axis and their indices.

    There are none if `end` depends on masked tokens in any other way.
    """
    selectors: dict[Node, tuple[Span, list[int]]] = {}

    def followed(node: Node, operands: Mapping[int, set[Span]]) -> list[set[Span]] | None:
        if (selection := _selection(graph, node, operands.get(0, ()), weights)) is not None:
            selectors[node] = selection
            return None
        after = {follow(node, index, span) for index, spans in operands.items() for span in spans}
        return [{span for span in after if span is not None}] * len(node.outputs)

    forward(nodes, {value: {Span(cut.place.cells[0])} for value, cut in cuts.items()}, followed)
    return _reached(selectors, cuts, nodes, end)


def _selection(graph: Graph, node: Node, spans: Collection[Span], weights: np.ndarray) -> tuple[Span, list[int]] | None:
    """The axis of tokens and the indices that a node takes along it; None for another node, or if a mask weighs one of them."""
    for span in spans:
        tokens = picked_tokens(graph, node, span)
        if tokens and bool(np.all(weights[:, tokens] == 1)):
            return span, tokens
    return None


def _reached(
    selectors: Mapping[Node, tuple[Span, list[int]]], cuts: Collection[Value], nodes: Sequence[Node], end: Value
) -> dict[Node, tuple[Span, list[int]]]:
    """The selectors that lead to the end; none if the end is reached past them."""
    used = {}

    def read(node: Node, _: Mapping[int, bool]) -> Iterable[tuple[int, bool]]:
        if node in selectors:
            used[node] = selectors[node]
        return ((index, True) for index, _ in node.operands if node not in selectors)

    leads = reverse(nodes, {end: True}, read, lambda first, second: first and second)
    # a way from the cut to the end past every selector makes all tokens matter
    return {} if leads.keys() & set(cuts) else used
