"""The rows of a detector: the scores that it gives anchor by anchor, and the element of the network that each one is made of.

A detector ends in A rows (anchors, cells or queries) of C classes, put together of several levels: one convolution a level, or
one for each of several anchors of a cell. Between these heads and the output, scores are squashed, moved and joined, and in
some models multiplied with an objectness or thinned out. What is moved is told by running: the heads are given numbers of
their own, and the output is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import text
from openvino_xai.locate.positions import Place
from openvino_xai.locate.scores import squashes
from openvino_xai.operations.record import IN_FIRST, IN_SECOND
from openvino_xai.operations.table import data_operands, operation_of

SIDE = 256  # pixels, where height and width are open
BOX = 4  # numbers of a box
SCORES = re.compile(r"class|score|conf|cls|prob|logit", re.IGNORECASE)  # what outputs with scores are called
EXACT = {2: 2**11, 4: 2**24, 8: 2**53}  # whole numbers that floats of so many bytes tell apart


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
    An `objectness` [A] that is not yet in the scores is elements of what is read, too.
    """

    read: Mapping[str, Value]
    places: np.ndarray
    size: int
    factors: tuple[Factor, ...]
    background: int | None
    objectness: np.ndarray | None

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

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads of all factors."""
        return tuple(head for factor in self.factors for head in factor.heads)

    def within(self, values: Mapping[Value, Value]) -> Rows:
        """The same in a twin of the model."""
        read = {name: values[value] for name, value in self.read.items()}
        return replace(self, read=read, factors=tuple(factor.within(values) for factor in self.factors))


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A head on the way back from an output, the node that squashes it, and the value that all of its level is joined in."""

    head: Value
    squash: Node | None
    read: Value

    @property
    def end(self) -> Value:
        """Where its scores begin to be moved: behind what squashes them."""
        return self.head if self.squash is None else self.squash.outputs[0]


def _carrying(graph: Graph) -> set[Value]:
    """The values that hold data of an input: a constant that is laid out as a shape of data says holds none."""
    reached = set(graph.inputs)
    for node in graph.nodes:
        if not reached.isdisjoint(data_operands(node)):
            reached.update(node.outputs)
    return reached


def _leaves(graph: Graph, output: Value) -> list[_Leaf]:
    """The heads that an output is made of, by what moves, squashes, joins, multiplies and thins out alone."""
    carrying = _carrying(graph)
    leaves: dict[tuple[Value, Value], _Leaf] = {}
    visited = set()
    pending: list[tuple[Value, Node | None, Value]] = [(output, None, output)]
    while pending:
        value, squash, read = pending.pop()
        node = value.producer
        if (value, squash, read) in visited or node is None or value not in carrying:
            continue
        visited.add((value, squash, read))
        operation = operation_of(node)
        if _is_head(carrying, node):
            leaves[value, read] = _Leaf(value, squash, read)
        elif squashes(node) and squash is None:
            pending.append((node.operand(0), node, read))
        elif squash is None and _thins(graph, node):
            pending.append((node.operand(0), None, node.operand(0)))
        elif operation.moves is not None or operation.joins or operation.splits:
            pending += [(operand, squash, read) for index, operand in node.operands if not operation.tells(index)]
        elif squash is None and _multiplies(node):
            pending += [(operand, None, read) for _, operand in node.operands]
    return list(leaves.values())


def _is_head(carrying: set[Value], node: Node) -> bool:
    """Whether a node is a convolution or a linear layer, or adds what one lacks."""
    weights = operation_of(node).weights
    if weights is not None:
        return node.operand(weights) not in carrying
    inside = [operand for _, operand in node.operands if operand in carrying]
    operation = operation_of(node)
    adds = operation.pointwise and len(inside) == 1 and len(node.inputs) == 2 and all(i in operation.addends for i in (0, 1))
    producer = inside[0].producer if adds else None
    return producer is not None and operation_of(producer).weights is not None


def _thins(graph: Graph, node: Node) -> bool:
    """Whether a node picks rows, or classes of rows, by what they hold."""
    operation = operation_of(node)
    by_content = any(index in operation.selectors and not graph.is_constant(value) for index, value in node.operands)
    return node.kind == "top_k" or operation.reduces == "max" or (operation.moves == "some" and by_content)


def _multiplies(node: Node) -> bool:
    """Whether a node multiplies two operands, element by element."""
    operation = operation_of(node)
    return operation.pointwise and operation.factors == (IN_FIRST, IN_SECOND)


def find_rows(deployed: Deployed, placed: Mapping[Value, Place], name: str | None = None) -> Rows:
    """The rows of a detector, in the outputs called `name`, joined by commas, or in those that hold them.

    Raises ModelError, with what stands in the way in each output.
    """
    graph, reasons = deployed.graph, []
    names = list(graph.outputs) if name is None else name.split(",")
    for key in names:
        if key not in graph.outputs:
            raise ModelError(
                f"the model has no output '{key}'; its outputs are {', '.join(map(repr, graph.outputs))}", node=key
            )
    possible = []
    for key in names:
        try:
            possible.append(_rows_of(deployed, placed, key, graph.outputs[key]))
        except ModelError as error:
            reasons.append(f"'{key}' {text(graph.outputs[key].shape)}: {error}")
    if not possible:
        raise ModelError("no output holds scores of rows that a detector gives: " + "; ".join(reasons))
    chosen = possible if name is not None else _scores_among(possible)
    if len({(rows.classes, tuple(factor.squash for factor in rows.factors), rows.background) for rows in chosen}) > 1:
        several = ", ".join(f"'{rows.name}' ({rows.count} rows of {rows.classes})" for rows in chosen)
        raise ModelError(f"several outputs can be scores of rows: {several}; name those that are", options=("scores",))
    return _joined(chosen)


def _scores_among(possible: Sequence[Rows]) -> Sequence[Rows]:
    """Of outputs that may all be scores, those that are: squashed ones, then not those of four numbers, then by their names."""
    chosen = [rows for rows in possible if rows.of_classes.squash != "logit"] or possible
    if len({rows.classes for rows in chosen}) > 1:
        chosen = [rows for rows in chosen if rows.classes != BOX] or chosen
    if len({rows.classes for rows in chosen}) > 1:
        chosen = [rows for rows in chosen if SCORES.search(rows.name)] or chosen
    return chosen


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
    leaves = _leaves(deployed.graph, output)
    leaves = [leaf for leaf in leaves if leaf.squash is not None] or leaves
    if not leaves:
        raise ModelError("no convolution or linear layer leads to it by what moves, squashes or joins alone")
    reads = {leaf.read for leaf in leaves}
    inner = [read for read in reads if read is not output] or list(reads)  # ahead of what thins rows out, all are there
    if len(inner) > 1:
        raise ModelError("its rows are picked in several places: " + ", ".join(f"'{value.name}'" for value in inner))
    (read,) = inner
    leaves = [leaf for leaf in leaves if leaf.read is read]
    return _Provenance.of(deployed, leaves, read).rows(name, placed)


@dataclass(frozen=True, eq=False)
class _Provenance:
    """For each element of `read`, of one image: the leaf that it comes from, -1 for none, and the element of its head."""

    leaves: Sequence[_Leaf]
    leaf: np.ndarray
    element: np.ndarray
    probabilities: np.ndarray
    read: Value

    @classmethod
    def of(cls, deployed: Deployed, leaves: Sequence[_Leaf], read: Value) -> _Provenance:
        """Told by running: numbers of their own are put in behind what squashes, and in turn ahead of it."""
        probe = _Probe(deployed)
        ends = sorted({leaf.end for leaf in leaves}, key=lambda value: value.name)
        (probabilities,) = probe.run({}, read)
        if len(probabilities) != probe.batch:
            raise ModelError(f"'{read.name}' {list(probabilities.shape)} has no batch of its own on axis 0")
        end_of, place = probe.followed(ends, read)
        element, leaf_of = np.full(place.shape, -1), np.full(place.shape, -1)
        for index, end in enumerate(ends):
            indices = np.array([i for i, leaf in enumerate(leaves) if leaf.end is end])
            heads, squash, there = [leaves[i].head for i in indices], leaves[indices[0]].squash, end_of == index
            if squash is None or (len(heads) == 1 and heads[0] is squash.operand(0)):
                leaf_of[there], element[there] = indices[0], place[there]
            else:
                head_of, inner = probe.followed(heads, squash.operand(0))
                head, element[there] = head_of[place[there]], inner[place[there]]
                leaf_of[there] = np.where(head < 0, -1, indices[head])
        shape = probabilities.shape[1:]
        return cls(leaves, leaf_of.reshape(shape), element.reshape(shape), probabilities[0], read)

    def rows(self, name: str, placed: Mapping[Value, Place]) -> Rows:
        """The rows and their factors. Raises ModelError where they are not laid out as rows and classes."""
        axis, columns = self._class_axis(placed)
        leaf = np.moveaxis(self.leaf, axis, -1).reshape(-1, self.leaf.shape[axis])
        element = np.moveaxis(self.element, axis, -1).reshape(leaf.shape)
        flat = np.moveaxis(np.arange(self.leaf.size).reshape(self.leaf.shape), axis, -1).reshape(leaf.shape)
        if len(leaf) == 1 and not any(item.head in placed for item in self.leaves):
            raise ModelError("it is a single row, as a classifier gives")
        groups = self._groups(leaf, columns)
        classes = groups[-1]
        factors = [self._factor(leaf[:, group], element[:, group], placed) for group in groups[::-1]]
        objectness = flat[:, groups[0][0]] if len(groups) == 2 else None
        if len(groups) == 1 and self._is_first_objectness(factors[0], axis, columns):
            factors = [self._factor(leaf[:, g], element[:, g], placed) for g in (classes[1:], classes[:1])]
            objectness, classes = flat[:, classes[0]], classes[1:]
        probabilities = np.moveaxis(self.probabilities, axis, -1).reshape(leaf.shape)[:, classes]
        # beside an objectness, no class stands for none
        background = _background(probabilities) if factors[0].squash == "softmax" and len(factors) == 1 else None
        return Rows({name: self.read}, flat[:, classes], flat.size, tuple(factors), background, objectness)

    def _class_axis(self, placed: Mapping[Value, Place]) -> tuple[int, list[int]]:
        """The axis, without the batch, along which the classes of one row lie, and which of its indices are scores."""
        fitting = []
        for axis in range(self.leaf.ndim):
            leaf = np.moveaxis(self.leaf, axis, -1).reshape(-1, self.leaf.shape[axis])
            columns = np.flatnonzero((leaf >= 0).all(axis=0))
            if not columns.size or (leaf >= 0).any(axis=0).sum() != columns.size:
                continue
            cells = np.moveaxis(self._cells(placed), axis, -1).reshape(leaf.shape)[:, columns]
            if (cells == cells[:, :1]).all():
                fitting.append((axis, columns.tolist()))
        if not fitting:
            raise ModelError("its scores are not laid out as rows of classes")
        # of a single class, the axis of classes is one of size 1, or that beside which there are boxes
        return max(fitting, key=lambda item: (len(item[1]), -self.leaf.shape[item[0]], item[0]))

    def _cells(self, placed: Mapping[Value, Place]) -> np.ndarray:
        """For each element, a number of the level and cell that it belongs to; a query is a cell."""
        cells = np.full(self.leaf.shape, -1)
        levels: dict[tuple[int, ...], int] = {}
        for index, leaf in enumerate(self.leaves):
            there = self.leaf == index
            shape, axes = _cell_axes(leaf.head, placed.get(leaf.head))
            grid = tuple(shape[a] for a in axes)
            level = levels.setdefault(grid, len(levels))
            where = np.unravel_index(np.maximum(self.element[there], 0), shape)
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

    def _is_first_objectness(self, factor: Factor, axis: int, columns: Sequence[int]) -> bool:
        """Whether one convolution makes boxes, an objectness and classes, as in YOLOv3 to v7."""
        beside = self.leaf.shape[axis] - len(columns)
        if factor.squash != "sigmoid" or beside < 4 or columns[0] != beside:
            return False
        channels = [_channels(head) for head in factor.heads]
        cells = [np.unique(factor.element[factor.level == i][:, 0]).size for i in range(len(factor.heads))]
        grids = [head.place.grid if head.place else None for head in factor.heads]
        if any(grid is None for grid in grids):
            return False
        anchors = [count // (grid[0] * grid[1]) for count, grid in zip(cells, grids, strict=True)]  # type: ignore[index,operator]
        return all(count == anchors[i] * self.leaf.shape[axis] for i, count in enumerate(channels))


def _channels(head: Head) -> int:
    shape, axes = _cell_axes(head.value, head.place)
    return int(np.prod([size for axis, size in enumerate(shape) if axis not in axes]))


def _cell_axes(value: Value, place: Place | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of one image's item of a head, and which of its axes are cells; all but the last, of queries."""
    shape = tuple(value.shape or ())[1:]
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) < len(shape):
        raise ModelError(
            f"where rows lie depends on the image's height and width, which are open ('{value.name}' {text(value.shape)}): "
            "give the model fixed ones"
        )
    if place is not None:
        return sizes, tuple(axis - 1 for axis in place.cells)
    return sizes, tuple(range(len(shape) - 1))


def _background(probabilities: np.ndarray) -> int | None:
    """The first or the last class, where it is what most rows of noise hold."""
    best = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    index = int(best.argmax())
    return index if index in (0, len(best) - 1) and best[index] > len(probabilities) / 2 else None


class _Probe:
    """A model that is run for one random image, with some of its values put in and others read."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._inputs = dict(_random(deployed))
        self._compiled: dict[tuple[tuple[Value, ...], tuple[Value, ...]], tuple[Running, set[str]]] = {}
        self.batch = max((len(array) for array in self._inputs.values() if array.ndim), default=1)

    def run(self, values: Mapping[Value, np.ndarray], *read: Value) -> list[np.ndarray]:
        """The values `read`, where `values` hold the arrays that are put in."""
        names = {value: f"ovxai_in_{i}" for i, value in enumerate(values)}
        outputs = {value: f"ovxai_out_{i}" for i, value in enumerate(read) if value not in values}
        if not outputs:
            return [values[value] for value in read]
        key = (tuple(values), read)
        if key not in self._compiled:
            # the shapes and types are those of a run: what a model tells of its values may be less
            inputs = {name: replace(v, shape=values[v].shape, dtype=values[v].dtype) for v, name in names.items()}
            probing = self._deployed.probing(read={name: value for value, name in outputs.items()}, inputs=inputs)
            self._compiled[key] = probing.compile(), {value.name for value in probing.reread().graph.inputs}
        running, expected = self._compiled[key]
        arrays = {**self._inputs, **{names[value]: array for value, array in values.items()}}
        results = running({name: array for name, array in arrays.items() if name in expected})
        return [values[value] if value in values else results[outputs[value]] for value in read]

    def followed(self, sources: Sequence[Value], read: Value) -> tuple[np.ndarray, np.ndarray]:
        """For each element of `read`, of one image: the index of the source that it is moved from, and its element there.

        -1 stands for none. Every element of a source is given a number, digit by digit where floats are short; what does not
        come out as it was put in, with either sign, was not only moved. Nor was what is scaled by a whole number, which comes
        out as another element's number: so elements are counted from the last on, too.
        """
        arrays = self.run({}, *sources)
        plain = [array.reshape(self.batch, -1) for array in arrays]
        starts = np.cumsum([0, *(array.shape[1] for array in plain)])
        total, base = int(starts[-1]), EXACT[min(array.dtype.itemsize for array in plain)] // 2
        digits = max(1, int(np.ceil(np.log(total + 1) / np.log(base))))
        first_to_last = np.arange(1, total + 1)

        def come_out(ids: np.ndarray) -> np.ndarray:
            values = {}
            for i, (source, array) in enumerate(zip(sources, arrays, strict=True)):
                of_source = np.broadcast_to(ids[starts[i] : starts[i + 1]], plain[i].shape)
                values[source] = of_source.reshape(array.shape).astype(array.dtype)
            return np.asarray(self.run(values, read)[0].reshape(self.batch, -1)[0])

        moved, numbers, from_last = np.ones(1, bool), np.zeros(1, np.int64), np.zeros(1, np.int64)
        for power in base ** np.arange(digits):
            forward, back, other = (
                come_out(sign * (ids // power % base))
                for sign, ids in ((1, first_to_last), (-1, first_to_last), (1, first_to_last[::-1]))
            )
            moved = moved & (forward == np.round(forward)) & (forward == -back) & (other == np.round(other))
            numbers = numbers + np.where(moved, forward, 0).astype(np.int64) * power
            from_last = from_last + np.where(moved, other, 0).astype(np.int64) * power
        there = moved & (numbers >= 1) & (numbers <= total) & (numbers + from_last == total + 1)
        index = np.where(there, np.searchsorted(starts, np.where(there, numbers - 1, 0), side="right") - 1, -1)
        return index, np.where(there, numbers - 1 - starts[np.maximum(index, 0)], -1)


def _random(deployed: Deployed) -> Iterator[tuple[str, np.ndarray]]:
    """A random image, and whatever else a model is given."""
    rng = np.random.default_rng(0)
    for value in deployed.graph.inputs:
        if value.shape is None or value.dtype is None:
            raise ModelError(f"input '{value.name}' is no tensor of numbers with a known rank")
        shape = [size if isinstance(size, int) else 1 if axis == 0 else SIDE for axis, size in enumerate(value.shape)]
        array = rng.random(shape) if value.dtype.kind == "f" else rng.integers(0, 2, shape)
        yield value.name, array.astype(value.dtype)
