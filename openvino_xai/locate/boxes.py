"""The boxes of a detector's rows: which numbers of its outputs they are, and in which format.

A format is found by structure and held by running. Where boxes are decoded in the file, each moves with the cell of its row, by
as many pixels, and its size does not: that tells corners from centres, pixels from shares of the image, and x from y. What
is not decoded is told by how many numbers a row has, by what its scores are made of, and by what the numbers look like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from openvino_xai.boxes.decoding import FORMATS, Format, Grid, check_format
from openvino_xai.boxes.gathering import gathered
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.vocabulary import Array, Namespace, numpy_namespace
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.leaves import carrying_data
from openvino_xai.locate.provenance.returned import Columns
from openvino_xai.locate.rows import Factor, Rows
from openvino_xai.operations.table import data_operands, operation_of

SLOPE = 0.5  # how far from 1 a box's movement with its cell may be, and from 0 its growth
ORDERED = 0.98  # the share of boxes whose far sides are beyond the near ones
REACH = 6.0  # cells, from a row's cell to the middle of its box, at the median
SMALL = 2.0  # pixels, of a box that is none
OUTSIDE = 0.25  # images, that a box of shares may reach beyond the image
PICTURES = 4  # that a format is looked at for
PEAKS = (1.0, 255.0)  # of the images that a format is held with
NOT_FINITE = "boxes are not finite"
ONLY_NAMED = "it is taken where it is named alone"
STILL = 0.5  # what weights are said to give in every cell


@dataclass(frozen=True, eq=False)
class ListedBoxes:
    """Where the list that a model makes of its rows has their boxes, and in which format."""

    columns: Columns
    format: Format


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of A rows: their numbers are elements `places` [A, n] of what is read, in a `format`.

    `read` are values [B, ...] by the name of the output that holds them, or what is left of them. Their elements are counted
    one value after the other. Of a model that lists some of its rows, `listed` are the boxes on the list; `read` is empty where
    those of the other rows are never made.
    """

    read: Mapping[str, Value]
    places: np.ndarray
    format: Format
    grid: Grid
    listed: ListedBoxes | None = None

    @property
    def name(self) -> str:
        """The outputs that hold the boxes, joined by commas."""
        return ",".join(self.read)

    def within(self, values: Mapping[Value, Value]) -> Boxes:
        """The same in a twin of the model, given its values by those of the model."""
        listed = None if self.listed is None else replace(self.listed, columns=self.listed.columns.within(values))
        return replace(self, read={name: values[value] for name, value in self.read.items()}, listed=listed)

    def decoded(self, xp: Namespace, arrays: Sequence[Array]) -> Array:
        """[B, A, 4], f32, xyxy in pixels of the model's input, of what is read."""
        return self.format.decode(xp, gathered(xp, arrays, self.places), self.grid)


@np.errstate(over="ignore", invalid="ignore")  # what is no box, decoded as one, may be any number
def find_boxes(deployed: Deployed, rows: Rows, image: Value, place: Place, *, format_name: str | None = None) -> Boxes:
    """The boxes of rows in a model with this image, in the format that is named, or in the one that fits.

    A format that is named need not look like one: it is taken of the numbers that it fits, or of the first that are enough.
    Raises InputError for a format that is not known, and ModelError where none fits, or several do, with what was tried.
    """
    check_format(format_name)
    grid = grid_of(rows, place)
    formats = tuple(FORMATS.values()) if format_name is None else (FORMATS[format_name],)
    if grid.centres is not None:  # no image is needed to tell what moves with its cell
        decoded = [entry for entry in formats if entry.absolute]
        for numbers in _Reading(deployed, rows, image, pictures=0).returned() if decoded else ():
            if boxes := fitting(Evidence(rows, grid, numbers), decoded, named=format_name is not None)[0]:
                return boxes
    reasons: list[str] = []
    possible: list[Boxes] = []  # of the format that is named, by their number alone
    for numbers in _Reading(deployed, rows, image, pictures=PICTURES).candidates():
        boxes, why = fitting(Evidence(rows, grid, numbers), formats, named=format_name is not None)
        if boxes is not None:
            return boxes
        if format_name is not None and numbers.returned and formats[0].width(numbers.places.shape[1]):
            possible.append(_boxes(numbers, formats[0], grid))
        reasons.append(f"{numbers.label}: {why}")
    if possible and (possible[0].format.absolute or grid.centres is not None):
        return possible[0]
    raise ModelError(
        "no numbers of the outputs are boxes of the rows in a format that is known"
        + (f" ({' | '.join(reasons[:2])})" if reasons else ": nothing has 4 numbers or more for each row")
        + "; ask for rows by their index instead",
        options=("boxes",),
    )


def fitting(evidence: Evidence, formats: Sequence[Format], *, named: bool) -> tuple[Boxes | None, str]:
    """The boxes in the one format that fits, or what speaks against each. Raises ModelError where several fit."""
    refusals = {entry.name: evidence.refusal(entry, named=named) for entry in formats}
    fitting = [entry for entry in formats if refusals[entry.name] is None]
    fitting = [entry for entry in fitting if entry.absolute] or fitting
    if len(fitting) > 1:
        several = ", ".join(entry.name for entry in fitting)
        raise ModelError(
            f"the boxes of {evidence.numbers.label} can be of several formats: {several}; name the one that they have",
            options=("boxes",),
        )
    return (_boxes(evidence.numbers, fitting[0], evidence.grid) if fitting else None), _by_reason(refusals)


def _boxes(numbers: Numbers, of_format: Format, grid: Grid) -> Boxes:
    width = of_format.width(numbers.places.shape[1])
    return Boxes(numbers.read, numbers.places[:, :width], of_format, grid)


def _by_reason(refusals: Mapping[str, str | None]) -> str:
    """What speaks against formats, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for name, why in refusals.items():
        by_reason.setdefault(why or "", []).append(name)
    return "; ".join(f"not {' or '.join(names)}, as {why}" for why, names in by_reason.items())


def grid_of(rows: Rows, place: Place) -> Grid:
    """Where rows stand in the image. Raises ModelError where its size is open."""
    sizes = place.grid
    if not all(isinstance(size, int) for size in sizes):
        raise ModelError("where boxes are is known of an image of a fixed height and width alone: give the model one")
    height, width = concrete(sizes, "the image")
    classes = rows.of_classes
    if any(head.place is None for head in classes.heads):
        return Grid((width, height))
    centres, strides = np.zeros((rows.count, 2)), np.zeros((rows.count, 2))
    for index, head in enumerate(classes.heads):
        assert head.place is not None
        there = classes.level == index
        down, across = concrete(head.place.grid, f"the cells of '{head.value.name}'")
        shape = concrete((head.value.shape or ())[1:], f"head '{head.value.name}'")
        where = np.unravel_index(classes.element[there, 0], shape)
        axes = [axis - 1 for axis in head.place.cells]
        if len(axes) == 2:
            row, column = where[axes[0]], where[axes[1]]
        else:
            row, column = np.divmod(where[axes[0]] - head.place.prefix, across)
        stride = np.array([width / across, height / down])
        strides[there] = stride
        centres[there] = (np.stack([column, row], axis=1) + 0.5) * stride
    return Grid((width, height), centres, strides)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of rows that may be boxes: where they are, and what they hold, [1 + I, A, n], as in `_Reading`.

    They are `returned` where outputs hold them, or a value that rows are picked from.
    """

    label: str
    read: Mapping[str, Value]
    places: np.ndarray
    arrays: np.ndarray
    returned: bool = True


class _Reading:
    """A detector's outputs for some `pictures`, and the numbers of its rows in them."""

    def __init__(self, deployed: Deployed, rows: Rows, image: Value, *, pictures: int) -> None:
        self._deployed, self._rows, self._pictures = deployed, rows, pictures
        self._inputs = list(_images(deployed.graph, image))
        graph = deployed.graph
        self._outputs = {name: value for name, value in graph.outputs.items() if value not in rows.read.values()}
        read = [*rows.read.values(), *self._outputs.values(), *(head.value for head in rows.heads)]
        self._results = self._run(list(dict.fromkeys(read)))

    def returned(self) -> Iterator[Numbers]:
        """What stands beside the scores, then other outputs."""
        yield from self._beside()
        yield from self._of_outputs()

    def candidates(self) -> Iterator[Numbers]:
        """What is returned, then what is inside, from the outputs on."""
        yield from self.returned()
        yield from self._inside()

    def _run(self, values: Sequence[Value]) -> dict[Value, np.ndarray]:
        """What values hold, [1 + I, ...]: where all that is learned gives the same in every cell, and for each image.

        Values without a batch of 1 are left out.
        """
        runs = [self._run_still(values), *self._run_images(values, self._pictures)]
        stacked: dict[Value, np.ndarray] = {}
        for value in values:
            arrays = [run[value] for run in runs]
            if all(array.ndim > 1 and array.shape == arrays[0].shape and len(array) == 1 for array in arrays):
                stacked[value] = np.concatenate(arrays)
        return stacked

    def _run_images(self, values: Sequence[Value], pictures: int) -> list[dict[Value, np.ndarray]]:
        if not pictures:
            return []
        names = {f"ovxai_out_{i}": value for i, value in enumerate(values)}
        running = self._deployed.probing(read=names, inputs={}).compile()
        runs = [running(inputs) for inputs in self._inputs[:pictures]]
        return [{value: results[name] for name, value in names.items()} for results in runs]

    def _run_still(self, values: Sequence[Value]) -> dict[Value, np.ndarray]:
        ends = self._ends
        names = {f"ovxai_out_{i}": value for i, value in enumerate(values) if value not in ends}
        inputs = {
            f"ovxai_in_{i}": replace(value, shape=array.shape, dtype=array.dtype)
            for i, (value, array) in enumerate(ends.items())
        }
        arrays = {f"ovxai_in_{i}": array for i, array in enumerate(ends.values())}
        arrays |= self._inputs[0]
        if not names:
            return {value: ends[value] for value in values}
        probing = self._deployed.probing(read=names, inputs=inputs)
        results = probing.compile()(arrays)
        return ends | {value: results[name] for name, value in names.items()}

    @cached_property
    def _ends(self) -> dict[Value, np.ndarray]:
        """What the last weights give, each the same in all of its elements."""
        values = last_weighed(self._deployed.graph)[0]
        return {value: np.full_like(array, STILL) for value, array in self._run_images(values, 1)[0].items()}

    def _numbers(self, label: str, read: Mapping[str, Value], places: np.ndarray) -> Numbers:
        arrays = gathered(numpy_namespace(), [self._results[value] for value in read.values()], places)
        return Numbers(label, read, places, arrays)

    def _beside(self) -> Iterator[Numbers]:
        """The columns of the values with the scores that are no scores, in runs of neighbours."""
        rows = self._rows
        if any(value not in self._results for value in rows.read.values()):
            return
        shapes = [self._results[value].shape[1:] for value in rows.read.values()]
        layouts, start = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            there = (rows.places[:, 0] >= start) & (rows.places[:, 0] < start + size)
            layouts.append((start, shape, there))
            start += size
        columns = {_other_columns(rows.places[there] - start, shape) for start, shape, there in layouts if there.any()}
        if len(columns) != 1 or (only := columns.pop()) is None:
            return
        axis, others = only
        places = np.zeros((rows.count, len(others)), np.int64)
        for start, shape, there in layouts:
            where = list(np.unravel_index(rows.places[there, 0] - start, shape))
            for i, column in enumerate(others):
                where[axis] = np.full(there.sum(), column)
                places[there, i] = start + np.ravel_multi_index(where, shape)
        if not others:
            return
        numbers = self._numbers(rows.name, rows.read, places)
        objectness = np.full(rows.count, -1) if rows.objectness is None else rows.objectness
        left = [i for i in range(len(others)) if not np.array_equal(places[:, i], objectness.ravel())]
        for run in _neighbours(left, others):
            label = f"'{rows.name}', columns {others[run[0]]} to {others[run[-1]]}"
            yield replace(numbers, label=label, places=places[:, run], arrays=numbers.arrays[:, :, run])

    def _are_scores(self, numbers: np.ndarray) -> bool:
        """Whether numbers [1 + I, A, n] are those of the classes, squashed or not."""
        factor, xp = self._rows.of_classes, numpy_namespace()
        if numbers.shape[2] != self._rows.classes:
            return False
        logits = logits_of(factor, [self._results[head.value] for head in factor.heads])
        with np.errstate(over="ignore"):
            scales = (logits, xp.sigmoid(logits), xp.softmax(logits, axis=2))
        return any(np.allclose(numbers, scale, atol=1e-4) for scale in scales)

    def _of_outputs(self) -> Iterator[Numbers]:
        """Other outputs with numbers of all rows, and sets of outputs with those of one level each."""
        yield from self._with_rows(self._outputs)
        if len(self._rows.read) > 1:
            yield from self._of_levels()

    def _with_rows(self, values: Mapping[str, Value]) -> Iterator[Numbers]:
        for name, value in values.items():
            if value in self._results:
                for places in _rows_and_columns(self._results[value].shape[1:], self._rows.count):
                    numbers = self._numbers(f"'{name}'", {name: value}, places)
                    if not self._are_scores(numbers.arrays):
                        yield numbers

    def _of_levels(self) -> Iterator[Numbers]:
        rows = self._rows
        sizes = [int(np.prod(self._results[value].shape[1:])) for value in rows.read.values() if value in self._results]
        counts = [n for n in np.histogram(rows.places[:, 0], bins=np.cumsum([0, *sizes]))[0].tolist() if n]
        by_width: dict[int, list[tuple[str, np.ndarray]]] = {}
        for count in counts:
            for name, value in self._outputs.items():
                for places in _rows_and_columns(self._results[value].shape[1:], count) if value in self._results else ():
                    by_width.setdefault(places.shape[1], []).append((name, places))
        for width, parts in by_width.items():
            names = [name for name, _ in parts]
            if len(set(names)) == len(names) == len(counts):
                ends = np.cumsum([0, *(part.size for _, part in parts)])
                places = np.concatenate([part + end for (_, part), end in zip(parts, ends, strict=False)])
                read = {name: self._outputs[name] for name in names}
                yield self._numbers(f"'{','.join(names)}' ({width} numbers each)", read, places)

    def _inside(self) -> Iterator[Numbers]:
        """Values that lead to outputs and hold numbers of all rows, from the outputs on."""
        values = [value for value in last_weighed(self._deployed.graph)[1] if value not in self._results]
        for value, array in self._run(values).items() if values else ():
            if self._rows.count in array.shape[1:]:
                self._results[value] = array
                yield from (replace(numbers, returned=False) for numbers in self._with_rows({value.name: value}))


def _images(graph: Graph, image: Value) -> Iterator[dict[str, np.ndarray]]:
    """Inputs with an image each: noise and slopes, in [0, 1] and in [0, 255]; other inputs are ones."""
    rng = np.random.default_rng(0)
    shape = [size if isinstance(size, int) else 1 for size in image.shape or ()]
    slope = np.indices(shape).sum(axis=0) / np.sum(shape)
    others = {
        value.name: np.ones([size if isinstance(size, int) else 1 for size in value.shape or ()], value.dtype)
        for value in graph.inputs
        if value is not image
    }
    for picture in (rng.random(shape), slope):
        for peak in PEAKS:
            yield {**others, image.name: (picture * peak).astype(image.dtype)}


def last_weighed(graph: Graph) -> tuple[list[Value], list[Value]]:
    """What the last weights give on the way to the outputs, and what is computed of it, both from the outputs on."""
    ends, behind, leading, carrying = [], [], set(graph.outputs.values()), carrying_data(graph)
    for node in graph.nodes[::-1]:
        if leading.isdisjoint(node.outputs) or all(graph.is_constant(value) for value in node.outputs):
            continue
        weights = operation_of(node).weights
        if weights is not None and graph.is_constant(node.operand(weights)):
            ends.append(node.outputs[0])
        else:
            behind += [v for v in node.outputs if v in carrying and v.dtype is not None and v.dtype.kind == "f"]
            leading.update(data_operands(node))
    return ends, behind


def _neighbours(indices: Sequence[int], columns: Sequence[int]) -> list[list[int]]:
    """The indices in runs of 4 and more whose columns follow on each other."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and columns[runs[-1][-1]] + 1 == columns[index]:
            runs[-1].append(index)
        else:
            runs.append([index])
    return [run for run in runs if len(run) >= 4]


def _without_size(boxes: np.ndarray) -> str | None:
    ordered = float((boxes[:, 2:] >= boxes[:, :2]).all(axis=-1).mean())
    return f"{1 - ordered:.0%} of boxes have no size" if ordered < ORDERED else None


def _other_columns(places: np.ndarray, shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
    """The axis that the classes of rows at `places` [A, C] lie along, and which of its columns are none."""
    where = np.stack(np.unravel_index(places, shape))  # [rank, A, C]
    for axis, size in enumerate(shape):
        others = np.delete(where, axis, axis=0)
        fixed = (where[axis] == where[axis][:1]).all() and (others == others[:, :, :1]).all()
        if fixed and size > places.shape[1]:
            return axis, tuple(sorted(set(range(size)) - set(where[axis][0].tolist())))
    return None


def _rows_and_columns(shape: tuple[int, ...], count: int) -> Iterator[np.ndarray]:
    """The elements [A, n] of arrays with `count` rows, by a few numbers each: [A, n], [n, A], [n, H, W] or [H, W, n]."""
    elements = np.arange(int(np.prod(shape))).reshape(shape)
    if elements.size % count or elements.size // count < 4:
        return
    sizes = [size for size in shape if size != 1]
    if len(sizes) not in (2, 3):
        return
    elements = elements.reshape(sizes)
    if int(np.prod(sizes[:-1])) == count:
        yield elements.reshape(count, -1)
    if int(np.prod(sizes[1:])) == count:
        yield elements.reshape(sizes[0], count).T


def logits_of(factor: Factor, heads: Sequence[np.ndarray]) -> np.ndarray:
    """[B, A, C] or [B, A, 1], f32: a factor of the rows, before it is squashed, of what its heads hold."""
    starts = np.cumsum([0, *(head[0].size for head in heads)])
    return np.asarray(gathered(numpy_namespace(), heads, factor.element + starts[factor.level][:, None]))


class Evidence:
    """What speaks against a format for numbers of rows."""

    def __init__(self, rows: Rows, grid: Grid, numbers: Numbers) -> None:
        self._rows, self.grid, self.numbers = rows, grid, numbers
        self._levels = None if grid.strides is None else np.unique(grid.strides, axis=0, return_inverse=True)[1].ravel()

    def refusal(self, candidate: Format, *, named: bool) -> str | None:
        """Why the numbers are not of this format, None where they may be. Of one that is `named`, whether it can be at all."""
        available = self.numbers.places.shape[1]
        width = candidate.width(available)
        if width is None:
            return f"it has {available} numbers a row"
        if not self.numbers.returned and not candidate.absolute:
            return "it is no output"
        numbers = self.numbers.arrays[:, :, :width]
        if self.grid.centres is None:
            return self._unlike_queries(candidate, numbers[1:], named=named)
        if candidate.absolute:
            boxes = self._decoded(candidate, numbers[:1])
            return self._off_cells(boxes[0]) if len(boxes) else NOT_FINITE
        if not named and (why := self._unlike(candidate.name, numbers[1:], available)):
            return why
        return self._in_most_images(candidate, numbers[1:], lambda boxes: _without_size(boxes) or self._off_cells(boxes))

    def _unlike_queries(self, candidate: Format, numbers: np.ndarray, *, named: bool) -> str | None:
        """Whether numbers [I, Q, 4] are not the boxes of queries: those lie in the image, wherever that is."""
        if not candidate.absolute:
            return "its rows have no cells"
        if candidate.name.startswith("yxyx") and not named:
            return ONLY_NAMED  # without cells x and y look the same
        if candidate.name.startswith("xywh") and all(_without_size(image) is None for image in numbers):
            return "its last two numbers are never below the first two, as far corners are"
        return self._in_most_images(candidate, numbers, lambda boxes: _without_size(boxes) or self._off_image(boxes))

    def _in_most_images(self, candidate: Format, numbers: np.ndarray, check: Callable[[np.ndarray], str | None]) -> str | None:
        """What a check says of more than half of the images whose boxes are finite, or that too few are."""
        boxes = self._decoded(candidate, numbers)
        reasons = [why for image in boxes if (why := check(image))]
        if len(boxes) <= len(numbers) / 2:
            return NOT_FINITE
        return reasons[0] if len(reasons) > len(boxes) / 2 else None

    def _decoded(self, candidate: Format, numbers: np.ndarray) -> np.ndarray:
        """The boxes [I, A, 4] of those images for which all are finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            boxes = np.asarray(candidate.decode(numpy_namespace(), numbers, self.grid), np.float64)
        return np.asarray(boxes[np.isfinite(boxes).all(axis=(1, 2))])

    def _off_image(self, boxes: np.ndarray) -> str | None:
        """Whether the boxes [Q, 4] of queries are not those of an image of this size."""
        shares = boxes / np.tile(self.grid.pixels, 2)
        inside = float(((shares > -OUTSIDE) & (shares < 1 + OUTSIDE)).all(axis=-1).mean())
        if inside < ORDERED:
            return f"{1 - inside:.0%} of boxes reach beyond the image"
        if np.median(boxes[:, 2:] - boxes[:, :2]) < SMALL:
            return "boxes have the size of a pixel"
        return None

    def _off_cells(self, boxes: np.ndarray) -> str | None:
        """Whether the boxes [A, 4] of an image do not go along with the cells of their rows."""
        centres, strides = self.grid.cells
        middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        for axis, name in enumerate("xy"):
            moved, grown = (self._slope(values[:, axis], centres[:, axis]) for values in (middles, sizes))
            if abs(moved - 1) > SLOPE:
                return f"a box moves by {moved:.2g} along {name} where its cell moves by 1"
            if abs(grown) > SLOPE:
                return f"a box grows by {grown:.2g} along {name} where its cell moves by 1"
        away = float(np.median(np.abs(middles - centres) / strides))
        return f"boxes lie {away:.2g} cells from theirs" if away > REACH else None

    def _slope(self, values: np.ndarray, positions: np.ndarray) -> float:
        """The least-squares slope of values over positions, with a mean of its own for each level."""
        assert self._levels is not None
        count = np.bincount(self._levels)
        moved = positions - (np.bincount(self._levels, positions) / count)[self._levels]
        return float((moved * values).sum() / max(float((moved**2).sum()), 1e-9))

    def _unlike(self, name: str, numbers: np.ndarray, available: int) -> str | None:
        """What a format that is not decoded does not go along with."""
        rows, (first, last) = self._rows, (numbers[..., :2], numbers[..., 2:4])
        squashes = [factor.squash for factor in rows.factors]
        cells = len(np.unique(np.concatenate([*self.grid.cells], axis=1), axis=0))
        checks = {
            "yolox": (squashes == ["sigmoid", "sigmoid"] and cells == rows.count, "its scores are no sigmoids of two parts"),
            "fastestdet": (
                squashes == ["softmax", "sigmoid"] and cells == rows.count,
                "its scores are no softmax by a sigmoid",
            ),
            "offsets": (len(squashes) == 1 and np.median(last) > 4 and (first < 0).any(), "its sizes are not those in pixels"),
            "distances": (bool((numbers >= 0).mean() >= ORDERED) and available == 4, "its distances are below 0"),
            "distances_pixels": (bool((numbers >= 0).mean() >= ORDERED) and available == 4, "its distances are below 0"),
            "dfl": (cells == rows.count, "several rows share a cell"),
            "dfl_corner": (False, ONLY_NAMED),
        }
        fits, why = checks[name]
        return None if fits else why
