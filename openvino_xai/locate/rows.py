"""The rows of a detector: the scores that it gives anchor by anchor, and the element of the network that each one is made of.

A detector ends in A rows (anchors, cells or queries) of C classes, put together of several levels: one convolution a level, or
one for each of several anchors of a cell. Between these heads and the output, scores are squashed, moved and joined, and in
some models multiplied with an objectness or thinned out. What is moved is told by running: the heads are given numbers of
their own, and the output is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from openvino_xai.boxes.gathering import gathered
from openvino_xai.contract import listed
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import concrete, text
from openvino_xai.graph.vocabulary import Array, Namespace, numpy_namespace
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
from openvino_xai.locate.provenance.returned import OwnRows, own_rows

SIDE = 256  # pixels, where height and width are open
BOX = 4  # numbers of a box
SCORES = re.compile(r"class|score|conf|cls|prob|logit", re.IGNORECASE)  # what outputs with scores are called
OBJECTNESS = re.compile(r"obj|ctr|cent(er|re)|conf|iou", re.IGNORECASE)  # what outputs with an objectness are called
BOXES = re.compile(r"box|loc|reg|dist|offset", re.IGNORECASE)  # what outputs with boxes are called
EXACT = {2: 2**11, 4: 2**24, 8: 2**53}  # whole numbers that floats of so many bytes tell apart
WAY_OUT = "the probe d_rise explains boxes from a detector's predictions alone"


@dataclass(frozen=True, eq=False)
class Head:
    """The value that holds the scores of one level before they are squashed, as a convolution or a linear layer made it.

    `place` says where its cells are; None for a head of queries, which have none.
    """

    value: Value
    place: Place | None

    def within(self, values: Mapping[Value, Value]) -> Head:
        """The same in a twin of the model, given its values by those of the model."""
        return replace(self, value=values[self.value])


@dataclass(frozen=True, eq=False)
class Factor:
    """Scores that are squashed in one way: of each row and class, or, for an objectness, of each row.

    Row a's are made of elements `element[a]` [A, C] or [A, 1] of the head `heads[level[a]]`, counted through one image.
    """

    squash: str
    heads: tuple[Head, ...]
    level: np.ndarray
    element: np.ndarray

    def within(self, values: Mapping[Value, Value]) -> Factor:
        """The same in a twin of the model."""
        return replace(self, heads=tuple(head.within(values) for head in self.heads))


@dataclass(frozen=True, eq=False)
class Rows:
    """A rows of C classes: their scores are elements `places` [A, C] of what is read.

    `read` are values [B, ...] by the name of the output that holds them, or what is left of them: one, or one a level. Their
    elements, `size` of an image, are counted one value after the other. The log-odds of a row are the sum of those of its
    `factors`: its class's, and its objectness's, if it has one. `background` is the class that stands for none.
    An `objectness` [A] that is not yet in the scores is elements of what is read, too. Where the model picks some of the rows
    itself, `returned` is the list that it makes of them, or `unlisted` says why that is not known. Of scores that nothing
    squashes, `score` says what makes probabilities of them.
    """

    read: Mapping[str, Value]
    places: np.ndarray
    size: int
    factors: tuple[Factor, ...]
    background: int | None
    objectness: np.ndarray | None
    returned: OwnRows | None = None
    unlisted: str | None = None
    score: str = "sigmoid"

    @property
    def of_queries(self) -> bool:
        """Whether rows are queries, which have no cells."""
        return any(head.place is None for head in self.of_classes.heads)

    @property
    def of_logits(self) -> bool:
        """Whether rows are queries whose scores nothing squashes."""
        return self.of_queries and self.of_classes.squash == "logit"

    def scale(self, factor: Factor) -> str:
        """`softmax` where the scores of a factor are shares among classes, else what squashes them."""
        return "softmax" if factor.squash == "logit" and self.score == "softmax" else factor.squash

    @property
    def name(self) -> str:
        """The outputs that hold the scores, joined by commas."""
        return ",".join(self.read)

    @property
    def count(self) -> int:
        """A."""
        return int(self.places.shape[0])

    @property
    def classes(self) -> int:
        """C."""
        return int(self.places.shape[1])

    @property
    def of_classes(self) -> Factor:
        """The scores of classes."""
        return self.factors[0]

    def probabilities(self, xp: Namespace, arrays: Sequence[Array]) -> Array:
        """[B, A, C] in [0, 1]: the probability of every row and class, of what is read."""
        p = gathered(xp, arrays, self.places)
        if self.of_classes.squash == "logit":
            p = xp.softmax(p, axis=2) if self.score == "softmax" else xp.sigmoid(p)
        if self.objectness is not None:
            objectness = gathered(xp, arrays, self.objectness.reshape(-1, 1))
            p = xp.multiply(p, xp.sigmoid(objectness) if self.factors[1].squash == "logit" else objectness)
        return p

    @property
    def elements(self) -> dict[Value, list[np.ndarray]]:
        """The elements of each head, of an image, that are scores."""
        elements: dict[Value, list[np.ndarray]] = {}
        for factor in self.factors:
            for index, head in enumerate(factor.heads):
                elements.setdefault(head.value, []).append(factor.element[factor.level == index])
        return elements

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads of all factors."""
        return tuple(head for factor in self.factors for head in factor.heads)

    def within(self, values: Mapping[Value, Value]) -> Rows:
        """The same in a twin of the model."""
        read = {name: values[value] for name, value in self.read.items()}
        returned = None if self.returned is None else self.returned.within(values)
        return replace(self, read=read, factors=tuple(factor.within(values) for factor in self.factors), returned=returned)


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
    return _Provenance.of(probe, leaves, value).rows(name, placed)


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


@dataclass(frozen=True, eq=False)
class _Origin:
    """For each element of `read`, of one image: the leaf that it comes from, -1 for none, and the element of its head."""

    leaf: np.ndarray
    element: np.ndarray

    @classmethod
    def of(cls, probe: Probe, leaves: Sequence[Leaf], read: Value, ones: Sequence[Value]) -> _Origin:
        """Told by running: numbers of their own are put in behind what squashes, and in turn ahead of it."""
        sources = sorted({leaf.source for leaf in leaves}, key=lambda value: value.name)
        source_of, place = probe.followed(sources, read, ones=ones, rooted=any(leaf.rooted for leaf in leaves))
        leaf_of, element = np.full(place.shape, -1), np.full(place.shape, -1)
        for index, source in enumerate(sources):
            there = source_of == index
            indices = np.array([i for i, leaf in enumerate(leaves) if leaf.source is source])
            inner = cls._in_source(probe, [leaves[i] for i in indices], source)
            leaf = inner.leaf[place[there]]
            leaf_of[there], element[there] = np.where(leaf < 0, -1, indices[leaf]), inner.element[place[there]]
        return cls(leaf_of, element)

    @classmethod
    def _in_source(cls, probe: Probe, leaves: Sequence[Leaf], source: Value) -> _Origin:
        """The same for the elements of a value that leads to `read`."""
        ends = list(dict.fromkeys(leaf.end for leaf in leaves))
        end_of, place = probe.followed(ends, source)
        leaf_of, element = np.full(place.shape, -1), np.full(place.shape, -1)
        for index, end in enumerate(ends):
            there = end_of == index
            indices = np.array([i for i, leaf in enumerate(leaves) if leaf.end is end])
            heads, squash = [leaves[i].head for i in indices], leaves[indices[0]].squash
            if squash is None or (len(heads) == 1 and heads[0] is squash.operand(0)):
                leaf_of[there], element[there] = indices[0], place[there]
            else:
                head_of, inner = probe.followed(heads, squash.operand(0))
                head, element[there] = head_of[place[there]], inner[place[there]]
                leaf_of[there] = np.where(head < 0, -1, indices[head])
        return cls(leaf_of, element)

    def shaped(self, shape: tuple[int, ...]) -> _Origin:
        return _Origin(self.leaf.reshape(shape), self.element.reshape(shape))

    def by_row(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Leaves and elements, [A, columns] each."""
        size = self.leaf.shape[axis]
        return np.moveaxis(self.leaf, axis, -1).reshape(-1, size), np.moveaxis(self.element, axis, -1).reshape(-1, size)


@dataclass(frozen=True, eq=False)
class _Provenance:
    """Where each element of `read`, of one image, comes from; and the `objectness` that it is multiplied with, if it is."""

    leaves: Sequence[Leaf]
    origin: _Origin
    objectness: _Origin | None
    probabilities: np.ndarray
    read: Value
    shapes: Mapping[Value, tuple[int, ...]]

    @classmethod
    def of(cls, probe: Probe, leaves: Sequence[Leaf], read: Value) -> _Provenance:
        """Told by running. Raises ModelError where a value has no batch."""
        heads = list(dict.fromkeys(leaf.head for leaf in leaves))
        probabilities, *arrays = probe.run({}, read, *heads)
        for value, array in ((read, probabilities), *zip(heads, arrays, strict=True)):
            if array.ndim < 2 or len(array) != probe.batch:
                raise ModelError(f"'{value.name}' {list(array.shape)} has no batch of its own on axis 0")
            if not array.size:
                raise ModelError(f"'{value.name}' {list(array.shape)} holds nothing")
        narrow = _narrow_sides(probe, leaves)
        others = [leaf for leaf in leaves if leaf.product is not None and (leaf.product, leaf.side) in narrow]
        wide = [leaf for leaf in leaves if leaf not in others]
        shape = probabilities.shape[1:]
        ones = [list(dict.fromkeys(leaf.source for leaf in part)) for part in (wide, others)]
        origin = _Origin.of(probe, wide, read, ones[1]).shaped(shape)
        objectness = _Origin.of(probe, others, read, ones[0]).shaped(shape) if others else None
        if objectness is not None:
            objectness = replace(objectness, leaf=np.where(objectness.leaf < 0, -1, objectness.leaf + len(wide)))
        shapes = {value: array.shape[1:] for value, array in zip(heads, arrays, strict=True)}
        return cls([*wide, *others], origin, objectness, probabilities[0], read, shapes)

    def rows(self, name: str, placed: Mapping[Value, Place]) -> Rows:
        """The rows and their factors. Raises ModelError where they are not laid out as rows and classes."""
        axis, columns = self._class_axis(placed)
        leaf, element = self.origin.by_row(axis)
        flat = np.moveaxis(np.arange(self.origin.leaf.size).reshape(self.origin.leaf.shape), axis, -1).reshape(leaf.shape)
        if len(leaf) == 1 and not any(item.head in placed for item in self.leaves):
            raise ModelError("it is a single row, as a classifier gives, of which targets are all, top:K, ids or asked")
        groups = self._groups(leaf, columns)
        classes = groups[-1]
        factors = [self._factor(leaf[:, group], element[:, group], placed) for group in groups[::-1]]
        objectness = flat[:, groups[0][0]] if len(groups) == 2 else None
        if len(groups) == 1 and self._is_first_objectness(factors[0], axis, columns):
            factors = [self._factor(leaf[:, g], element[:, g], placed) for g in (classes[1:], classes[:1])]
            objectness, classes = flat[:, classes[0]], classes[1:]
        self._hold_softmax(factors[0], leaf[:, classes])
        if self.objectness is not None:
            if len(factors) > 1:
                raise ModelError("its scores are products of more than a class and an objectness")
            leaf, element = self.objectness.by_row(axis)
            factors.append(self._factor_of_products(leaf[:, classes], element[:, classes], placed))
        probabilities = np.moveaxis(self.probabilities, axis, -1).reshape(leaf.shape)[:, classes]
        # beside an objectness, no class stands for none
        background = _background(probabilities) if factors[0].squash == "softmax" and len(factors) == 1 else None
        return Rows({name: self.read}, flat[:, classes], flat.size, tuple(factors), background, objectness)

    def _hold_softmax(self, factor: Factor, leaf: np.ndarray) -> None:
        """Hold a softmax to be among the classes that are scores. Raises ModelError."""
        for index in np.unique(leaf):
            squash = self.leaves[index].squash
            shape = None if squash is None else squash.outputs[0].shape
            if squash is not None and factor.squash == "softmax" and shape is not None:
                size = shape[squash.attributes["axes"][0]]
                if isinstance(size, int) and size != leaf.shape[1]:
                    raise ModelError(f"its softmax is among {size} classes, and {leaf.shape[1]} of them are in it")

    def _class_axis(self, placed: Mapping[Value, Place]) -> tuple[int, list[int]]:
        """The axis, without the batch, along which the classes of one row lie, and which of its indices are scores."""
        fitting = []
        for axis in range(self.origin.leaf.ndim):
            leaf, _ = self.origin.by_row(axis)
            columns = np.flatnonzero((leaf >= 0).all(axis=0))
            if not columns.size or (leaf >= 0).any(axis=0).sum() != columns.size:
                continue
            cells = np.moveaxis(self._cells(placed), axis, -1).reshape(leaf.shape)[:, columns]
            if (cells == cells[:, :1]).all():
                fitting.append((axis, columns.tolist()))
        if not fitting:
            unplaced = next(
                (leaf.head for leaf in self.leaves if leaf.head not in placed and len(self.shapes[leaf.head]) == 3), None
            )
            if unplaced is not None:
                raise ModelError(
                    f"which part of the image a cell of '{unplaced.name}' stands for is not told: what the model does to the "
                    "image first, as taking it out of its batch, is not followed"
                )
            raise ModelError("its scores are not laid out as rows of classes")
        # of a single class, the axis of classes is one of size 1, or that beside which there are boxes
        return max(fitting, key=lambda item: (len(item[1]), -self.origin.leaf.shape[item[0]], item[0]))

    def _cells(self, placed: Mapping[Value, Place]) -> np.ndarray:
        """For each element, a number of the level and cell that it belongs to; a query is a cell."""
        cells = np.full(self.origin.leaf.shape, -1)
        levels: dict[tuple[int, ...], int] = {}
        for index, leaf in enumerate(self.leaves):
            there = self.origin.leaf == index
            shape, axes = self.shapes[leaf.head], _cell_axes(self.shapes[leaf.head], placed.get(leaf.head))
            grid = tuple(shape[a] for a in axes)
            level = levels.setdefault(grid, len(levels))
            where = np.unravel_index(np.maximum(self.origin.element[there], 0), shape)
            cells[there] = level * 2**32 + np.ravel_multi_index([where[a] for a in axes], grid)
        return cells

    def _groups(self, leaf: np.ndarray, columns: Sequence[int]) -> list[list[int]]:
        """The columns that are made of the same heads, an objectness first."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for column in columns:
            groups.setdefault(tuple(np.unique(leaf[:, column])), []).append(column)
        # scores stand side by side; what does not is of points beside a box, as whether they are seen
        parts = [group for group in groups.values() if group[-1] - group[0] == len(group) - 1]
        parts = sorted(parts, key=lambda group: (len(group), group[0]))
        if not parts:
            raise ModelError("no scores stand side by side in it")
        if len(parts) > 2 or (len(parts) == 2 and len(parts[0]) > 1):
            raise ModelError(f"its columns are scores of {len(parts)} sorts, and classes with one objectness are expected")
        return parts

    def _factor(self, leaf: np.ndarray, element: np.ndarray, placed: Mapping[Value, Place]) -> Factor:
        used = [int(index) for index in np.unique(leaf)]
        level = np.searchsorted(used, leaf[:, 0])
        squashes = {self.leaves[index].squash for index in used}
        kinds = {"logit" if node is None else node.kind for node in squashes}
        heads = tuple(Head(self.leaves[index].head, placed.get(self.leaves[index].head)) for index in used)
        if len(kinds) != 1:
            raise ModelError(f"its levels are squashed in different ways: {', '.join(sorted(kinds))}")
        return Factor(kinds.pop(), heads, level, element)

    def _factor_of_products(self, leaf: np.ndarray, element: np.ndarray, placed: Mapping[Value, Place]) -> Factor:
        """The objectness that scores [A, C] are multiplied with. Raises ModelError unless each row has one."""
        if (leaf < 0).any() or (leaf != leaf[:, :1]).any() or (element != element[:, :1]).any():
            raise ModelError("its scores are multiplied with what is not an objectness of each row")
        return self._factor(leaf[:, :1], element[:, :1], placed)

    def _is_first_objectness(self, factor: Factor, axis: int, columns: Sequence[int]) -> bool:
        """Whether one convolution makes boxes, an objectness and classes, as in YOLOv3 to v7."""
        beside = self.origin.leaf.shape[axis] - len(columns)
        if factor.squash != "sigmoid" or beside < 4 or columns[0] != beside:
            return False
        channels = [_channels(self.shapes[head.value], head.place) for head in factor.heads]
        cells = [np.unique(factor.element[factor.level == i][:, 0]).size for i in range(len(factor.heads))]
        grids = [head.place.grid if head.place else None for head in factor.heads]
        if any(grid is None for grid in grids):
            return False
        anchors = [count // (grid[0] * grid[1]) for count, grid in zip(cells, grids, strict=True)]  # type: ignore[index,operator]
        return all(count == anchors[i] * self.origin.leaf.shape[axis] for i, count in enumerate(channels))


def _narrow_sides(probe: Probe, leaves: Sequence[Leaf]) -> set[tuple[Node, int]]:
    """Of each product, the operand with an element for each row: that with fewer, or the one that repeats them."""
    narrow = set()
    for product in {leaf.product for leaf in leaves if leaf.product is not None}:
        pair = [product.operand(side) for side in (0, 1)]
        sizes = [probe.distinct(value, [leaf.end for leaf in leaves if leaf.source is value]) for value in pair]
        narrow.add((product, int(np.argmin(sizes))))
    return narrow


def _channels(shape: tuple[int, ...], place: Place | None) -> int:
    axes = _cell_axes(shape, place)
    return int(np.prod([size for axis, size in enumerate(shape) if axis not in axes]))


def _cell_axes(shape: tuple[int, ...], place: Place | None) -> tuple[int, ...]:
    """Which axes of one image's item of a head are cells; all but the last, of queries."""
    return tuple(range(len(shape) - 1)) if place is None else tuple(axis - 1 for axis in place.cells)


def _cell_numbers(factor: Factor) -> np.ndarray:
    """[A]: a number of each row's cell in its head."""
    numbers = np.zeros(len(factor.level), np.int64)
    for index, head in enumerate(factor.heads):
        there = factor.level == index
        shape = concrete((head.value.shape or ())[1:], f"head '{head.value.name}'")
        where = np.unravel_index(factor.element[there, 0], shape)
        axes = _cell_axes(shape, head.place)
        numbers[there] = np.ravel_multi_index([where[a] for a in axes], tuple(shape[a] for a in axes))
    return numbers


def _background(probabilities: np.ndarray) -> int | None:
    """The first or the last class, where it is what most rows of noise hold."""
    best = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    index = int(best.argmax())
    return index if index in (0, len(best) - 1) and best[index] > len(probabilities) / 2 else None
