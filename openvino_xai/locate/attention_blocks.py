"""The attention blocks of a vision transformer, found by structure and not by names.

Attention is one fused operation, or a product whose first operand is a softmax over what the product sums. From there the nodes
are followed back to the last value that separates the image from the scores: it enters the block. What the first projections
read, behind a normalisation, is the other value of the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import at_one, product, text
from openvino_xai.locate.layers import MADE_OF_CELLS, MOST_TOKENS, Candidate, CutValue, layer_name
from openvino_xai.locate.positions import Place
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.separators import paths_through, reached_from
from openvino_xai.locate.subaxis import Span, trace_back
from openvino_xai.locate.tokens import TokenHint, made_of_cells
from openvino_xai.operations.table import operation_of

NO_HINT = TokenHint()


def blocks(
    graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place], hint: TokenHint = NO_HINT
) -> list[Candidate]:
    """The attention blocks between the image and the scores: those that can carry a hook first, and of these the last.

    A block is called after the value that its projections read. Tokens that have no place in `placed` have that
    which a user says, by a `hint`.
    """
    end = scores.read_at("logit")
    separates = paths_through(graph, image, end)
    order = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    varying = reached_from(graph, image)
    fixed = {value for node in graph.nodes for _, value in node.operands if value not in varying}
    by_entry: dict[Value, Candidate] = {}
    for node in graph.nodes:
        if node.outputs[0] in separates and attends(node) and _queries(node) not in fixed:
            entry, inside = _between(node, separates)
            if entry is not None and entry not in by_entry and entry in order:  # an input of the model is no layer
                inside.sort(key=lambda node: order[node.outputs[0]])
                block = _block(entry, inside, separates, placed, hint)
                if block.reason is None and made_of_cells(graph, entry, placed, varying):
                    block = replace(block, reason=MADE_OF_CELLS)
                by_entry[entry] = block
    return sorted(by_entry.values(), key=lambda block: (block.reason is not None, -order[block.value]))


def attends(node: Node) -> bool:
    """Whether the node gathers values by attention: a product with a softmax over what is summed."""
    if operation_of(node).attends:
        return True
    if node.kind != "matmul":
        return False
    softmax = softmax_of(node)
    # a product with transposed weights sums over queries
    if softmax is None or node.attributes.get("transpose_a"):
        return False
    rank = softmax.outputs[0].rank or 0
    return [axis % max(rank, 1) for axis in softmax.attributes["axes"]] == [rank - 1]


def softmax_of(node: Node) -> Node | None:
    """The softmax that the first operand of a product comes from; None where there is none."""
    weights = node.operand(0)
    while (index := _passed_on(weights.producer)) is not None and weights.producer is not None:
        weights = weights.producer.operand(index)
    return weights.producer if weights.producer is not None and weights.producer.kind == "softmax" else None


def _queries(node: Node) -> Value | None:
    """What asks the keys, of a node that attends; None where that is not known. A query that is a weight is no token."""
    product = comparison(node)
    return None if product is None else product.operand(0)


def comparison(node: Node) -> Node | None:
    """The node that compares queries and keys, of one that attends: itself, where all is one operation. None if not known."""
    product = softmax_of(node)
    if product is None:
        return node
    while product is not None and (operation_of(product).pointwise or not operation_of(product).factors):
        product = product.operand(0).producer
    return product


def _passed_on(node: Node | None) -> int | None:
    """The operand that a node passes on with its last axis in place, as between a softmax and its product."""
    if node is None:
        return None
    if node.kind == "where":  # it takes out what is no number
        return 2
    operation, before, after = operation_of(node), node.inputs[0] if node.inputs else None, node.outputs[0]
    if before is None or not before.rank or not after.rank or not (operation.quantises or operation.moves == "all"):
        return None
    return 0 if trace_back(node, 0, Span(after.rank - 1)) == Span(before.rank - 1) else None


def entry_of(node: Node, separates: Mapping[Value, bool]) -> Value:
    """The tokens that enter the block of a node that attends. Raises PlanError where no single value does."""
    entry, _ = _between(node, separates)
    if entry is None:
        raise PlanError(f"no single value enters the block of {node}", node=node.name)
    return entry


def _between(node: Node, separates: Mapping[Value, bool]) -> tuple[Value | None, list[Node]]:
    """The last value before `node` that separates the image from the scores, and the nodes from there to `node`."""
    entry, inside = None, [node]
    for reader in inside:  # which grows meanwhile, by the nodes that lead to those in it
        for _, value in reader.operands:
            if separates.get(value):
                entry = value
            elif value in separates and value.producer is not None and value.producer not in inside:
                inside.append(value.producer)
    return entry, inside


def _block(
    entry: Value, inside: list[Node], separates: Mapping[Value, bool], placed: Mapping[Value, Place], hint: TokenHint
) -> Candidate:
    """The block that `entry` enters; `inside` are the nodes from there to its attention, in the order of the graph."""
    read = _read_by_projections(entry, inside, separates)
    if len(read) != 1:
        names = ", ".join(sorted(f"'{layer_name(value)}'" for value in read))
        why = f"its attention reads {len(read)} values ({names}), and one is expected"
        return Candidate(layer_name(entry), (CutValue(entry, Place(0, (1,), (1, 1))),), why, attends=True)
    (value,) = read
    name = layer_name(value)
    places = [placed.get(item) or (hint.place(item) if hint != NO_HINT else None) for item in (entry, value)]
    first, second = places
    # a mask weighs the tokens of both values alike, so they have to lie alike in both
    if first is not None and second is not None and first != second:
        why = (
            f"a way around it leaves at '{layer_name(entry)}' {text(entry.shape)}, whose cells lie otherwise than its tokens "
            f"{text(value.shape)}"
        )
        return Candidate(name, (CutValue(value, Place(0, (1,), (1, 1))),), why, attends=True)
    if first is None or second is None or len(first.cells) != 1:
        why = (
            f"its tokens {text(value.shape)} are not known to be the cells of the image: "
            "give the token grid (rows x columns) and the number of prefix tokens"
        )
        unknown = CutValue(value, Place(0, (1,), (1, 1)))
        return Candidate(name, (unknown,), why, attends=True, grid_unknown=value.rank == 3)
    reason = None
    if not all(isinstance(size, int) for size in first.grid):
        reason = "the number of its tokens depends on the input; give the model a fixed height and width"
    elif at_one(product(first.grid)) > MOST_TOKENS:
        reason = f"it has {text(first.grid)} tokens, more than {MOST_TOKENS}"
    elif value.dtype is None or value.dtype.kind != "f":
        reason = f"it holds {value.dtype}, not floating-point features"
    cut = tuple(CutValue(item, first) for item in dict.fromkeys((value, entry)))
    return Candidate(name, cut, reason, attends=True)


def _read_by_projections(entry: Value, inside: list[Node], separates: Mapping[Value, bool]) -> set[Value]:
    """What the first linear layers after `entry` read, ahead of changes of layout.

    A quantised model may have a quantiser for each projection: the value ahead of these is what all of them read.
    """
    after: set[Value] = set()  # what depends on a projection
    first: list[Node] = []
    for node in inside:
        later = any(value in after for _, value in node.operands)
        projects = operation_of(node).weights is not None or operation_of(node).attends
        # what is behind a projection is a query, a key or a value: weights there project no tokens of the block
        if projects and not later:
            first.append(node)
        if later or projects:
            after.update(node.outputs)
    read = {_ahead(value, entry, _moves) for node in first for _, value in node.operands if value in separates}
    return read if len(read) == 1 else {_ahead(value, entry, _moves_or_quantises) for value in read}


def _ahead(value: Value, entry: Value, passes: Callable[[Node], bool]) -> Value:
    """The value ahead of operations that pass it on, no further than where the block begins."""
    while value is not entry and value.producer is not None and passes(value.producer):
        value = value.producer.operand(0)
    return value


def _moves(node: Node) -> bool:
    return operation_of(node).moves == "all"


def _moves_or_quantises(node: Node) -> bool:
    return _moves(node) or operation_of(node).quantises
