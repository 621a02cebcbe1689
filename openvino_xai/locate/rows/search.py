"""The rows among the outputs of a model: those of each output, joined with the levels and the objectness of others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from openvino_xai.contract import listed
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import concrete, text
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.leaves import (
    Leaf,
    begun,
    closing,
    followed_leaves,
    laid_out,
    proposing,
    stated_background,
    suppressed_scores,
)
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.locate.provenance.returned import own_rows
from openvino_xai.locate.rows.provenance import Provenance
from openvino_xai.locate.rows.record import WAY_OUT, Factor, Rows, cell_axes

BOX = 4  # numbers of a box
SCORES = re.compile(r"class|score|conf|cls|prob|logit", re.IGNORECASE)  # what outputs with scores are called
OBJECTNESS = re.compile(r"obj|ctr|cent(er|re)|conf|iou", re.IGNORECASE)  # what outputs with an objectness are called
BOXES = re.compile(r"box|loc|reg|dist|offset", re.IGNORECASE)  # what outputs with boxes are called


def find_rows(deployed: Deployed, placed: Mapping[Value, Place], name: str | None = None) -> Rows:
    """The rows of a detector, in the outputs called `name`, joined by commas, or in those that hold them.

    Raises ModelError, with what stands in the way in each output.
    """
    graph = deployed.graph
    names = list(graph.outputs) if name is None else listed(name, graph.outputs)
    for key in names:
        if key not in graph.outputs:
            raise ModelError(
                f"the model has no output '{key}'; its outputs are {', '.join(map(repr, graph.outputs))}", node=key
            )
    possible, reasons = _possible(deployed, placed, {key: graph.outputs[key] for key in names})
    if not possible and (scores := suppressed_scores(graph)) is not None:
        possible, more = _possible(deployed, placed, {names[0]: laid_out(scores, Probe(deployed).batch)})
        reasons += [f"ahead of its suppression: {why}" for why in more]
    if not possible:
        if (node := proposing(graph)) is not None:
            raise ModelError(
                f"its rows are regions that the model proposes itself ({node}), a detector of two stages: {WAY_OUT}",
                node=node.name,
            )
        if (node := closing(graph)) is not None:
            raise ModelError(
                f"{node} squashes scores and boxes in one, and is not looked into: convert the model without it, so that it "
                "ends in sigmoids and boxes, as the ONNX exports of YOLO do",
                node=node.name,
            )
        raise ModelError("no output holds scores of rows that a detector gives: " + "; ".join(reasons) + f"; {WAY_OUT}")
    chosen, apart = _objectness_apart(possible, possible if name is not None else _scores_among(possible), name)
    if len({(rows.classes, tuple(factor.squash for factor in rows.factors), rows.background) for rows in chosen}) > 1:
        several = ", ".join(f"'{rows.name}' ({rows.count} rows of {rows.classes})" for rows in chosen)
        raise ModelError(f"several outputs can be scores of rows: {several}; name those that are", options=("scores",))
    rows = _with_objectness(_joined(chosen), _joined(apart)) if apart else _joined(chosen)
    if (why := _mixed(graph, rows)) is not None:
        raise ModelError(why)
    if (stated := stated_background(graph, rows.classes)) is not None:
        rows = replace(rows, background=stated[0])
    return _with_list(deployed, rows)


def _with_list(deployed: Deployed, rows: Rows) -> Rows:
    """The rows with the list that the model makes of them, where it does not return them all."""
    graph, values = deployed.graph, list(rows.read.values())
    outputs = list(graph.outputs.values())
    if all(value in outputs for value in values):
        return rows
    probe = Probe(deployed)
    results = probe.run(probe.scattered(rows.elements), *outputs, *values)
    p = np.asarray(rows.probabilities(numpy_namespace(), results[len(outputs) :]))
    batch = values[0].shape[0] if values[0].shape else 1
    try:
        return replace(rows, returned=own_rows(graph, dict(zip(outputs, results, strict=False)), p, batch, rows.background))
    except ModelError as error:
        return replace(rows, unlisted=str(error))


def _possible(deployed: Deployed, placed: Mapping[Value, Place], outputs: Mapping[str, Value]) -> tuple[list[Rows], list[str]]:
    """The rows in outputs, each once, and why there are none in the others."""
    possible: dict[Value, Rows] = {}
    reasons = []
    for name, output in outputs.items():
        try:
            rows = _rows_of(deployed, placed, name, output)
            possible.setdefault(next(iter(rows.read.values())), rows)
        except ModelError as error:
            reasons.append(f"'{name}' {text(output.shape)}: {error}")
    return list(possible.values()), reasons


def _scores_among(possible: Sequence[Rows]) -> Sequence[Rows]:
    """Of outputs that may all be scores, those that are: squashed ones, then not those of four numbers, then by their names.

    Four squashed numbers of each row may be its box, and so may be what is called one: where there is more, names decide.
    """
    chosen = [rows for rows in possible if rows.of_classes.squash != "logit"] or possible
    if len(chosen) < len(possible) and all(rows.classes == BOX or _named_boxes(rows) for rows in chosen):
        chosen = [rows for rows in possible if SCORES.search(rows.name) and not BOXES.search(rows.name)] or possible
    if len({rows.classes for rows in chosen}) > 1:
        chosen = [rows for rows in chosen if rows.classes != BOX] or chosen
    if len({rows.classes for rows in chosen}) > 1:
        chosen = [rows for rows in chosen if SCORES.search(rows.name)] or chosen
    return chosen


def _objectness_apart(
    possible: Sequence[Rows], chosen: Sequence[Rows], name: str | None
) -> tuple[Sequence[Rows], Sequence[Rows]]:
    """Of outputs that may be scores those of classes, and those of an objectness at the same cells, in the same order.

    Raises ModelError where it is not told which are which.
    """
    wide = [rows for rows in chosen if rows.classes > 1]
    if wide:
        classes, single = wide, [rows for rows in possible if rows.classes == 1]
    else:
        single = [rows for rows in chosen if OBJECTNESS.search(rows.name) and len(chosen) > 1]
        classes = [rows for rows in chosen if rows not in single] or list(chosen)
    beside = [[other for other in single if other not in classes and _same_cells(rows, other)] for rows in classes]
    several = next((others for others in beside if len(others) > 1), None)
    unclear = [others[0] for others in beside if others and name is None and not OBJECTNESS.search(others[0].name)]
    if several is not None or unclear or (any(beside) and not all(beside)):
        names = ", ".join(f"'{rows.name}'" for rows in several or unclear or [rows for others in beside for rows in others])
        raise ModelError(
            f"{names} may hold an objectness of each row, or something else: name the outputs of the scores, with that of an "
            "objectness, if it is one",
            options=("scores",),
        )
    if any(beside):
        return classes, [others[0] for others in beside]
    twins = [pair for pair in combinations(chosen, 2) if not wide and _same_cells(*pair)]
    if twins:
        raise ModelError(
            f"'{twins[0][0].name}' and '{twins[0][1].name}' hold a score each of the same rows: name the output of the scores",
            options=("scores",),
        )
    return chosen, []


def _same_cells(rows: Rows, other: Rows) -> bool:
    """Whether each row of both lies at the same cell of a level of the same size."""
    factors = rows.of_classes, other.of_classes
    if rows.count != other.count or any(head.place is None for factor in factors for head in factor.heads):
        return False
    grids = [
        np.array([concrete(head.place.grid, head.value.name) for head in factor.heads if head.place is not None])[factor.level]
        for factor in factors
    ]
    cells = [_cell_numbers(factor) for factor in factors]
    return (
        len(rows.factors) == len(other.factors) == 1
        and np.array_equal(grids[0], grids[1])
        and np.array_equal(cells[0], cells[1])
    )


def _with_objectness(rows: Rows, objectness: Rows) -> Rows:
    """The rows with an objectness in outputs of its own."""
    return replace(
        rows,
        read={**rows.read, **objectness.read},
        size=rows.size + objectness.size,
        factors=(*rows.factors, objectness.of_classes),
        objectness=objectness.places[:, 0] + rows.size,
    )


def _named_boxes(rows: Rows) -> bool:
    return bool(BOXES.search(rows.name)) and not SCORES.search(rows.name)


def _mixed(graph: Graph, rows: Rows) -> str | None:
    """Why numbers that are not squashed may be those of boxes and of scores at once, None where they are scores alone."""
    factor = rows.of_classes
    others = [value for value in graph.outputs.values() if value not in rows.read.values()]
    if factor.squash != "logit" or others or any(head.place is None for head in factor.heads):
        return None
    cells = len({(level, cell) for level, cell in zip(factor.level.tolist(), _cell_numbers(factor).tolist(), strict=True)})
    several = (
        rows.count > cells or len(factor.heads) > 1 or any(rows.classes % n == 0 and rows.classes // n > BOX for n in (3, 5))
    )
    if not several:
        return None
    return (
        f"'{rows.name}' holds {rows.classes} numbers a row that nothing squashes, and there is no other output: they are of "
        "boxes and of scores, and which are scores is not told"
    )


def _joined(levels: Sequence[Rows]) -> Rows:
    """The rows of several outputs, one behind the other."""
    first = levels[0]
    if len(levels) == 1:
        return first
    starts = np.cumsum([0, *(rows.size for rows in levels)])
    factors = tuple(
        Factor(
            factor.squash,
            tuple(head for rows in levels for head in rows.factors[index].heads),
            np.concatenate(
                [
                    rows.factors[index].level + sum(len(other.factors[index].heads) for other in levels[:i])
                    for i, rows in enumerate(levels)
                ]
            ),
            np.concatenate([rows.factors[index].element for rows in levels]),
        )
        for index, factor in enumerate(first.factors)
    )
    read = {name: value for rows in levels for name, value in rows.read.items()}
    places = np.concatenate([rows.places + start for rows, start in zip(levels, starts, strict=False)])
    objectness = None
    if first.objectness is not None:
        parts = [rows.objectness + start for rows, start in zip(levels, starts, strict=False) if rows.objectness is not None]
        objectness = np.concatenate(parts)
    return Rows(read, places, int(starts[-1]), factors, first.background, objectness)


def _rows_of(deployed: Deployed, placed: Mapping[Value, Place], name: str, output: Value) -> Rows:
    """The rows in one output. Raises ModelError."""
    leaves = followed_leaves(deployed.graph, output)
    if not leaves:
        raise ModelError("no convolution or linear layer leads to it by what moves, squashes or joins alone")
    inner = [leaf for leaf in leaves if leaf.read is not output] or leaves  # ahead of what thins rows out, all are there
    probe = Probe(deployed)
    reads: dict[Value, list[Leaf]] = {}
    for leaf in inner:
        reads.setdefault(leaf.read if leaf.read is output else laid_out(leaf.read, probe.batch), []).append(leaf)
    possible, errors = [], []
    for read, here in reads.items():
        try:
            alike = {(leaf.head, leaf.squash, leaf.product, leaf.side, leaf.rooted): leaf for leaf in here}
            possible.append(_rows_in(probe, list(alike.values()), read, name, placed))
        except ModelError as error:
            errors.append(error)
    if not possible:
        raise errors[0]
    if len({value for rows in possible for value in rows.read.values()}) > 1:
        raise ModelError("its rows are picked in several places: " + ", ".join(f"'{value.name}'" for value in reads))
    return possible[0]


def _rows_of_value(probe: Probe, leaves: Sequence[Leaf], value: Value, name: str, placed: Mapping[Value, Place]) -> Rows:
    return Provenance.of(probe, leaves, value).rows(name, placed)


def _rows_in(probe: Probe, leaves: Sequence[Leaf], laid: Value, name: str, placed: Mapping[Value, Place]) -> Rows:
    """The rows in a value, or, if a background was cut off there, in what it was cut off: it is their last class then.

    The log-odds of a softmax are those among all classes. Raises ModelError.
    """
    try:
        return _rows_of_value(probe, leaves, laid, name, placed)
    except ModelError:
        full = begun(laid)
        if full is laid:
            raise
        rows = _rows_of_value(probe, leaves, full, name, placed)
        order = _without_one(probe, rows, full, laid)
        if order is None:
            raise
        element = rows.of_classes.element[:, order]
        factors = (replace(rows.of_classes, element=element), *rows.factors[1:])
        return replace(rows, places=rows.places[:, order], factors=factors, background=rows.classes - 1)


def _without_one(probe: Probe, rows: Rows, full: Value, laid: Value) -> list[int] | None:
    """The classes of `full` in the order in which each row has them in `laid`, and then the one that is left out; None else."""
    moved, element = probe.followed([full], laid)
    if (moved < 0).any() or len(element) != rows.count * (rows.classes - 1):
        return None
    places = np.full(rows.size, -1)
    places[element] = np.arange(len(element))
    by_row = places[rows.places]  # [A, C], where each score is in what is laid, -1 for none
    missing = np.flatnonzero((by_row < 0).all(axis=0))
    order = np.argsort(by_row[0])[1:]
    if len(missing) != 1 or (by_row < 0).sum() != rows.count or (np.diff(by_row[:, order], axis=1) <= 0).any():
        return None
    return [*order.tolist(), int(missing[0])]


def _cell_numbers(factor: Factor) -> np.ndarray:
    """[A]: a number of each row's cell in its head."""
    numbers = np.zeros(len(factor.level), np.int64)
    for index, head in enumerate(factor.heads):
        there = factor.level == index
        shape = concrete((head.value.shape or ())[1:], f"head '{head.value.name}'")
        where = np.unravel_index(factor.element[there, 0], shape)
        axes = cell_axes(shape, head.place)
        numbers[there] = np.ravel_multi_index([where[a] for a in axes], tuple(shape[a] for a in axes))
    return numbers
