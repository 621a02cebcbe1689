"""Where a detector of queries can be explained, as DETR and what follows it: its rows have no cells, and its layers have.

`backbone` is the last values before attention or enlarged levels mix cells, {C3, C4, C5} or C5 alone; `heads` what the decoder
reads, the last values with cells on the way to the queries. Where patches are attended to from the first layer on (YOLOS, the
transformer of LW-DETR), there are no cells that nothing mixes: there, `backbone` is `heads`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import LayerError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import at_one, product, text
from openvino_xai.locate.attention_blocks import blocks
from openvino_xai.locate.layers import Candidate, CutValue, layer_name, values_called
from openvino_xai.locate.levels import enlarges, is_behind, lateral_operand, way_past
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.leaves import carrying_data
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.locate.rows import WAY_OUT, Rows
from openvino_xai.locate.scores import Scores
from openvino_xai.operations.cost import depth, operations
from openvino_xai.operations.table import data_operands, operation_of

Placed = Mapping[Value, Place]
# of the operations that lead to what the decoder reads: what takes fewer is patches, and no backbone's features
LEAST_SHARE = 0.25


def scored(deployed: Deployed, rows: Rows, score: str | None) -> Rows:
    """Rows whose logits are made probabilities of by the `score` that a caller names, or by the one that fits.

    A softmax has a last class that is none, which is the best of most queries where there is nothing to see, and likely for
    itself; a sigmoid has no such class. A model that picks its queries by their scores has sigmoids. Of other rows it is known
    what makes their probabilities, and they stay as they are, as with a score that makes none.
    """
    if not rows.of_logits:
        return rows
    if score in (None, "logit"):
        score = "softmax" if _has_none(deployed, rows) else "sigmoid"
    if score != "softmax" or rows.classes < 2:
        return rows
    return replace(rows, score="softmax", background=rows.classes - 1)


def _has_none(deployed: Deployed, rows: Rows) -> bool:
    """Whether most queries of a random image are of the last class, and would be with a sigmoid, too."""
    head, *others = rows.of_classes.heads
    makers = [value.producer for value in _leading_to(head.value)]
    if others or any(node is not None and operation_of(node).ranks for node in makers):
        return False
    (logits,) = Probe(deployed).run({}, head.value)
    by_row = logits[0].reshape(-1)[rows.of_classes.element].astype(np.float64)
    none = by_row.shape[1] - 1
    return none > 0 and float(((by_row.argmax(axis=1) == none) & (by_row[:, none] > 0)).mean()) > 0.5


def query_sets(graph: Graph, image: Value, rows: Rows, placed: Placed) -> dict[str, Candidate]:
    """The sets by name; the two are the same where there is one alone. Raises LayerError where there is none."""
    heads = [head.value for head in rows.heads]
    carrying = carrying_data(graph)
    read = _read_by_decoder(graph, heads, placed, carrying)
    if not all(_is_of_cells(value, placed) for value in read):  # queries are tokens beside the cells, which nothing reads
        usable = [block for block in blocks_of(graph, image, rows, placed) if block.reason is None]
        return dict.fromkeys(("backbone", "heads"), usable[0]) if usable else _refuse(heads[0])
    if not read:
        _refuse(heads[0])
    ahead = _before_mixing(graph, read, placed, carrying)
    steps = max(operations(graph.nodes), 1)
    most = max(depth(graph.nodes, [value], steps) for value in read)
    if not ahead or max(depth(graph.nodes, [value], steps) for value in ahead) < LEAST_SHARE * most:
        ahead = read
    return {name: candidate_of(graph, image, rows, placed, values) for name, values in (("backbone", ahead), ("heads", read))}


def blocks_of(graph: Graph, image: Value, rows: Rows, placed: Placed) -> list[Candidate]:
    """Where queries are tokens beside the cells: what the projections of attention blocks read, the last ahead.

    What enters a block is normalised first, and such a norm is the same for features of any length: their product with the
    gradient is 0 there. So explained is what is behind the norm; past it go the queries' own tokens, and no cell.
    """
    head = rows.of_classes.heads[0].value
    scores = Scores(rows.name, head, rows.classes, None)
    return [replace(block, cut=block.cut[:1]) for block in blocks(graph, image, scores, placed)]


def _refuse(head: Value) -> NoReturn:
    raise LayerError(
        f"its rows are queries, and what they are made of has no cells that can be followed: head '{layer_name(head)}' "
        f"{text(head.shape)}; {WAY_OUT}",
        node=head.name,
    )


def named_set(graph: Graph, image: Value, rows: Rows, placed: Placed, names: str) -> Candidate:
    """The set of these names: a block's, or values that separate the image from the rows. Raises LayerError."""
    of_blocks = [block for block in blocks_of(graph, image, rows, placed) if names in (block.name, block.value.name)]
    beside = [block for block in of_blocks if block.reason is None and not _is_of_cells(block.value, placed)]
    return beside[0] if beside else candidate_of(graph, image, rows, placed, values_called(graph, placed, names))


def candidate_of(graph: Graph, image: Value, rows: Rows, placed: Placed, values: Collection[Value]) -> Candidate:
    """A set as a candidate, the finest level first: of maps, or of tokens."""
    order = sorted(dict.fromkeys(values), key=lambda value: (-at_one(product(placed[value].grid)), value.name))
    reason = None
    for value in order:
        place = placed[value]
        if value.dtype is None or value.dtype.kind != "f":
            reason = f"'{layer_name(value)}' holds {value.dtype}, not floating-point features"
        elif place.batch != 0 or (value.rank or 0) != len(place.cells) + 2:
            reason = f"'{layer_name(value)}' {text(value.shape)} has no batch, cells and channels on axes of their own"
        elif not all(isinstance(size, int) for size in place.grid):
            reason = f"'{layer_name(value)}' {text(value.shape)} has as many cells as a run tells"
    if reason is None and (way := way_past(graph, image, rows, order)) is not None:
        reason = f"it does not separate the image from the rows: '{layer_name(way)}' is reached past it"
    return Candidate(",".join(map(layer_name, order)), tuple(CutValue(v, placed[v]) for v in order), reason)


def _read_by_decoder(graph: Graph, heads: Sequence[Value], placed: Placed, carrying: Collection[Value]) -> list[Value]:
    """The last values with cells on the ways to the heads, ahead of what is done with each cell by itself."""
    maps = [_as_map(value, placed) for value in _met(heads, carrying, lambda value: _has_cells(value, placed))]
    values = list(dict.fromkeys(value for value in maps if value in placed))
    return [value for value in values if not is_behind(graph, value, [v for v in values if v is not value], placed)]


def _met(heads: Sequence[Value], carrying: Collection[Value], stops: Callable[[Value], bool]) -> Iterator[Value]:
    """The first values on the ways back from the heads at which a walk stops."""
    visited, pending = set[Value](), list(heads)
    while pending:
        value = pending.pop()
        if value in visited or value not in carrying:
            continue
        visited.add(value)
        if stops(value):
            yield value
        elif value.producer is not None:
            pending += data_operands(value.producer)


def _has_cells(value: Value, placed: Placed) -> bool:
    """Whether a value holds features of all cells: not a class or a mask of each, nor a weight of each pair of them."""
    place = placed.get(value)
    if value.producer is None or place is None or place.batch != 0 or value.dtype is None or value.dtype.kind != "f":
        return False
    return value.rank == len(place.cells) + 2 and at_one(product(place.grid)) > 1


def _as_map(value: Value, placed: Placed) -> Value:
    """What a value is made of, cell by cell: as far back as that is features with a batch."""
    while (before := lateral_operand(value, placed)) is not None:
        value = before
    return value


def _is_of_cells(value: Value, placed: Placed) -> bool:
    """Whether a value holds no tokens beside the cells."""
    return placed[value].beside(value.shape or ()) is None


def _mixes(node: Node, carrying: Collection[Value]) -> bool:
    """Whether a node weighs what the image makes by what it makes: as attention does."""
    weights = operation_of(node).weights
    return operation_of(node).attends or (weights is not None and node.operand(weights) in carrying)


def _before_mixing(graph: Graph, read: Sequence[Value], placed: Placed, carrying: Collection[Value]) -> list[Value]:
    """The last values on the ways to those that are read that no enlarged value and no attention has reached."""
    mixed: set[Value] = set()
    for node in graph.nodes:
        operands = data_operands(node)
        if any(value in mixed for value in operands) or _mixes(node, carrying) or enlarges(placed, operands, node.outputs):
            mixed.update(node.outputs)
    maps = [_as_map(value, placed) for value in _met(read, carrying, lambda value: value not in mixed)]
    values = list(dict.fromkeys(value for value in maps if value in placed))
    return [value for value in values if not is_behind(graph, value, [v for v in values if v is not value], placed)]


def _leading_to(value: Value) -> Iterator[Value]:
    """A value and all that it is made of."""
    visited, pending = set[Value](), [value]
    while pending:
        value = pending.pop()
        if value not in visited:
            visited.add(value)
            yield value
            if value.producer is not None:
                pending += data_operands(value.producer)
