"""All attention blocks of a network, and the token that its scores read.

A method that looks at all blocks is right only if none is left out, if each has a row and a column for every token, in the
order of the tokens that enter it, and if the scores read one token. What is otherwise is refused by the name of the node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import product, text
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.attention_blocks import attends, comparison
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Location
from openvino_xai.locate.positions import Place, places
from openvino_xai.locate.separators import reached_from
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.table import data_operands, operation_of
from openvino_xai.tail.class_token.selection import token_selectors
from openvino_xai.tail.masked import MaskedCells
from openvino_xai.tail.walk import between, forward

WAY_OUT = "leave the method out for the one that suits the model, or take grad_cam"


@dataclass(frozen=True, eq=False)
class AttentionStack:
    """The `nodes` that attend, the first block's ahead, over T `tokens`, of which the scores read the `class_token`."""

    nodes: tuple[Node, ...]
    tokens: int
    class_token: int
    cell_tokens: np.ndarray


def attention_stack(location: Location, end: Value, method: str) -> AttentionStack:
    """The attention blocks of a location, whose layer is that of the first. Raises PlanError, naming the node in the way."""
    graph, layer = location.graph, location.layer
    entry, (height, width) = layer.cut[-1].value, layer.cells
    tokens = shape_of(entry)[layer.place.cells[0]]
    if not isinstance(tokens, int) or not isinstance(height, int) or not isinstance(width, int):
        raise PlanError(
            f"the number of tokens of '{layer.name}' depends on the input: fix the height and width", node=layer.name
        )
    behind = between(graph, [entry], end)
    nodes = [node for node in between(graph, [location.image], end) if attends(node)]
    _refuse_other_products(location, behind, nodes, method)
    placed = places(graph, *location.source)

    def followed(node: Node, operands: Mapping[int, set[Span]]) -> list[set[Span]]:
        """As `_followed`; or where tokens are joined again that were apart, as the class token and patches that are turned."""
        spans = _followed(node, operands)
        return [
            some or _joined(value, placed.get(value), layer.place, tokens)
            for value, some in zip(node.outputs, spans, strict=True)
        ]

    spans = forward(behind, {entry: {Span(layer.place.cells[0])}}, followed)
    for node in nodes:
        if node not in behind:
            raise _refused(node, method, f"attends ahead of the first block that is known, '{layer.name}'")
        _refuse_other_tokens(node, tokens, spans, method)
    cells = np.arange(layer.place.prefix, layer.place.prefix + height * width)
    return AttentionStack(tuple(nodes), tokens, _class_token(graph, layer, behind, cells, end, method), cells)


def _refused(node: Node, method: str, why: str) -> PlanError:
    return PlanError(
        f"{method} follows the class token through every attention block, and {node} {why}: {WAY_OUT}", node=node.name
    )


def _refuse_other_products(location: Location, behind: Sequence[Node], nodes: Collection[Node], method: str) -> None:
    """Raise PlanError where tokens may meet in a product that is no attention as it is known."""
    varying = reached_from(location.graph, location.image)
    compared = {comparison(node) for node in nodes}
    for node in behind:
        operation = operation_of(node)
        factors = [value for value in data_operands(node)[:2] if value in varying]
        if operation.factors and not operation.pointwise and len(factors) == 2 and node not in compared and node not in nodes:
            raise _refused(node, method, "multiplies two values of the image, and is no attention that is known")


def _followed(node: Node, operands: Mapping[int, set[Span]]) -> list[set[Span]]:
    """Where tokens are behind a node: weights of attention have them as rows and as columns."""
    # a softmax over the keys of one query leaves each weight with its key
    stays = operation_of(node).normalises
    after = {
        follow(node, index, span) or (span if stays and index == 0 else None) for index in operands for span in operands[index]
    }
    return [{span for span in after if span is not None}] * len(node.outputs)


def _joined(value: Value, place: Place | None, of_layer: Place, tokens: int) -> set[Span]:
    """Where the tokens are in a value whose cells and prefix are those of the layer; none where it has others."""
    if place is None or len(place.cells) != 1 or (place.grid, place.prefix) != (of_layer.grid, of_layer.prefix):
        return set()
    (axis,) = place.cells
    return {Span(axis)} if shape_of(value)[axis] == tokens else set()


def _refuse_other_tokens(node: Node, tokens: int, spans: Mapping[Value, set[Span]], method: str) -> None:
    """Raise PlanError where a node does not attend from every token to every token, in their order."""
    fused = operation_of(node).attends
    operands = (node.operand(0), node.operand(1)) if fused else (node.operand(0), node.operand(0))
    axes = [len(shape_of(value)) - 2 for value in operands]
    axes[1] += 0 if fused else 1
    sizes = tuple(shape_of(value)[axis] for value, axis in zip(operands, axes, strict=True))
    if sizes != (tokens, tokens):
        raise _refused(
            node, method, f"lets {text(sizes[:1])} queries attend to {text(sizes[1:])} keys, where {tokens} tokens are"
        )
    if fused and node.attributes["causal"]:
        raise _refused(node, method, "is causal")
    places = [spans.get(value, set()) for value in operands]
    expected = [{Span(axis)} for axis in axes] if fused else [{Span(axis) for axis in axes}] * 2
    if places != expected:
        raise _refused(node, method, "has its tokens in an order that cannot be followed from where they enter the block")


def _class_token(graph: Graph, layer: Candidate, nodes: Sequence[Node], cells: np.ndarray, end: Value, method: str) -> int:
    """The token that the scores read. Raises PlanError where they read several, or the patches."""
    tokens = product(shape_of(layer.value)[axis] for axis in layer.place.cells)
    assert isinstance(tokens, int)
    weights = np.ones((1, tokens))
    weights[:, cells] = 0
    cuts = {part.value: MaskedCells(part.value, None, part.place) for part in layer.cut}
    selectors = token_selectors(graph, cuts, weights, nodes, end)
    if not selectors:
        why = f"'{end.name}' reads the patches behind the last block, and no class token alone: take reciprocam, or grad_cam"
        raise PlanError(f"{method} follows a class token, and {why}", node=end.name)
    picked = sorted({token for _, some in selectors.values() for token in some})
    if len(picked) > 1:
        named = " and ".join(str(node) for node in selectors)
        raise PlanError(
            f"{method} follows one class token, and the scores read tokens {', '.join(map(str, picked))} at {named}: {WAY_OUT}",
            node=next(iter(selectors)).name,
        )
    return picked[0]
