"""The classes of pixels among the outputs of a model: scores [B, C, H, W] of each pixel, or the class of each, [B, H, W].

What is read are logits: the walk goes from the output back through what picks the largest class, through a softmax or sigmoid,
through quantisers and changes of layout, and through resizes, which are linear. A pixel of the output is then a weighed mean of
cells of the logits, and the weights are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import concrete, product, text
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.output_forms import squashes
from openvino_xai.locate.positions import Place
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.resizing import resizes, weights_along
from openvino_xai.operations.table import operation_of

SHAPES = "[B, C, H, W] scores, or the classes of pixels as whole numbers, [B, H, W] or [B, 1, H, W]"


@dataclass(frozen=True, eq=False)
class PixelScores(Scores):
    """The output `name` with C = `classes` of each pixel; `value` holds their logits, on a grid of their own.

    `place` and `axis` are where the logits have their cells and classes. `output` is what the model returns, of which
    `output_axis` holds the classes; None where it holds the class of each pixel. `rows` [H, h] and `columns` [W, w] are what
    each pixel of the output is made of; None where the two grids are the same. `is_probability` says that something squashes
    the logits.
    """

    place: Place
    axis: int
    output: Value
    output_axis: int | None
    output_cells: tuple[int, int]
    rows: np.ndarray | None = field(repr=False)
    columns: np.ndarray | None = field(repr=False)
    is_probability: bool

    def within(self, values: Mapping[Value, Value]) -> PixelScores:
        """The same in a twin of the model, given its values by those of the model."""
        return replace(self, value=values[self.value], output=values[self.output])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the output. Raises PlanError where only a run knows it."""
        shape = shape_of(self.output)
        height, width = concrete((shape[axis] for axis in self.output_cells), f"output '{self.name}'")
        return height, width


def find_pixel_scores(graph: Graph, placed: Mapping[Value, Place], name: str | None = None) -> PixelScores:
    """The scores of pixels: the output called `name`, or the only one that can be them.

    Raises ModelError if there is no such output, if it cannot be them, or if none or several can.
    """
    listing = ", ".join(f"'{key}' {text(value.shape)}" for key, value in graph.outputs.items())
    if name is not None and name not in graph.outputs:
        raise ModelError(f"the model has no output '{name}'; its outputs are {listing}", node=name)
    named = graph.outputs if name is None else {name: graph.outputs[name]}
    possible = [scores for key, value in named.items() if (scores := _pixel_scores(placed, key, value)) is not None]
    if len(possible) != 1:
        raise ModelError(
            f"{len(possible)} of the model's outputs can be classes of pixels ({SHAPES}), 1 is expected; they are {listing}"
            + ("; name one of them" if possible else ""),
            options=("scores",) if possible else (),
        )
    return possible[0]


def placed_anew(graph: Graph, placed: Mapping[Value, Place]) -> dict[Value, Place]:
    """The places of values, and of those behind what enlarges rows and columns, as the decoder of a network does.

    There a cell is no longer a cell of the image's own grid, but rows are still rows. Values of four axes are followed.
    """
    places = dict(placed)
    for node in graph.nodes:
        place = None if node.outputs[0] in places else _place_behind(node, places)
        if place is not None:
            places[node.outputs[0]] = place
    return places


def _place_behind(node: Node, places: Mapping[Value, Place]) -> Place | None:
    """Where a node that leaves rows and columns on two axes has them; None where it does not, or that is not known."""
    output, operation = node.outputs[0], operation_of(node)
    index, place = next(((index, places[value]) for index, value in node.operands if value in places), (0, None))
    if place is None or operation.lays_out or (index != 0 and not operation.pointwise):
        return None
    if len(place.cells) != 2 or place.batch != 0 or output.rank != 4 or node.operand(index).rank != 4:
        return None
    batch, *cells = (span.axis if (span := follow(node, index, Span(axis))) else axis for axis in (0, *place.cells))
    return Place(batch, (cells[0], cells[1]), (shape_of(output)[cells[0]], shape_of(output)[cells[1]]))


def _pixel_scores(placed: Mapping[Value, Place], name: str, output: Value) -> PixelScores | None:
    """What an output holds of pixels, and where its logits are; None where it holds none."""
    if output.dtype is None or output.dtype.kind not in "fiu":
        return None
    value, picks_class = output, False
    if output.dtype.kind in "iu" and (scores := _behind_largest(output)) is not None:
        value, picks_class = scores, True
    place = placed.get(value)
    axis = _class_axis(value, place)
    if place is None or axis is None or value.dtype is None or value.dtype.kind not in ("f" if picks_class else "fu"):
        return None
    shape = shape_of(output)
    cells: tuple[int, ...] = place.cells
    if picks_class:  # the axis of classes is gone, or of size 1, in the place of another
        grid = [shape_of(value)[a] for a in place.cells]
        wide = [a for a in range(1, len(shape)) if shape[a] != 1]
        if len(wide) != 2 or [shape[a] for a in wide] != grid:
            return None
        cells = tuple(wide)
    logits = _logits(placed, _Read(value, place, axis))
    classes = shape_of(logits.value)[logits.axis]
    if not isinstance(classes, int) or logits.value.dtype is None or logits.value.dtype.kind != "f":
        return None
    return PixelScores(
        name=name,
        value=logits.value,
        classes=classes,
        activation=None,
        place=logits.place,
        axis=logits.axis,
        output=output,
        output_axis=None if picks_class else axis,
        output_cells=(cells[0], cells[1]),
        rows=logits.rows,
        columns=logits.columns,
        is_probability=logits.is_squashed,
    )


def _class_axis(value: Value, place: Place | None) -> int | None:
    """The axis of a value with rows and columns that is left for classes; None where there is none, or a single cell."""
    shape = value.shape
    if place is None or shape is None or len(shape) != 4 or place.batch != 0 or len(place.cells) != 2:
        return None
    if all(size == 1 for size in place.grid):
        return None
    (axis,) = set(range(1, 4)) - set(place.cells)
    return axis


def _behind_largest(output: Value) -> Value | None:
    """The scores of which an output holds the index of the largest, looked for behind changes of layout and type."""
    value = output
    while (node := value.producer) is not None and operation_of(node).moves == "all":
        value = node.operand(0)
    if node is None or not operation_of(node).ranks or value is not node.outputs[-1]:
        return None
    scores, picked = node.operand(0), product(shape_of(value))
    return scores if any(size == 1 or size * picked == product(shape_of(scores)) for size in shape_of(scores)[1:]) else None


@dataclass(frozen=True, eq=False)
class _Read:
    """A value on the way back to the logits, and what pixels of the output are made of there."""

    value: Value
    place: Place
    axis: int
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    is_squashed: bool = False


def _logits(placed: Mapping[Value, Place], read: _Read) -> _Read:
    """Where the way back ends, at the last value of floats that it passed."""
    last, step = read, read
    while (node := step.value.producer) is not None and (ahead := _ahead_of(placed, node, step)) is not None:
        step = ahead
        if step.value.dtype is not None and step.value.dtype.kind == "f":
            last = step
    return last


def _ahead_of(placed: Mapping[Value, Place], node: Node, read: _Read) -> _Read | None:
    """What is read ahead of a node; None where the way ends."""
    before = node.operand(0)
    place = placed.get(before)
    axis = _class_axis(before, place)
    if place is None or axis is None or read.value is not node.outputs[0]:
        return None
    ahead = replace(read, value=before, place=place, axis=axis)
    if resizes(node):
        return _ahead_of_resize(node, ahead)
    if shape_of(before)[axis] != shape_of(read.value)[read.axis]:
        return None
    if squashes(node) and not read.is_squashed:
        over_classes = operation_of(node).pointwise or [a % 4 for a in node.attributes["axes"]] == [axis]
        return replace(ahead, is_squashed=True) if over_classes else None
    operation = operation_of(node)
    return ahead if operation.quantises or (operation.moves == "all" and place.grid == read.place.grid) else None


def _ahead_of_resize(node: Node, ahead: _Read) -> _Read | None:
    """What is read ahead of a resize that is known to be linear along rows and columns, and leaves the classes alone."""
    along = [weights_along(node, axis) for axis in ahead.place.cells]
    others = [axis for axis in node.attributes["axes"] if axis % 4 not in ahead.place.cells]
    sizes = [[shape_of(value)[axis] for value in (node.operand(0), node.outputs[0])] for axis in others]
    if along[0] is None or along[1] is None or any(before != after for before, after in sizes):
        return None
    return replace(
        ahead,
        rows=along[0] if ahead.rows is None else ahead.rows @ along[0],
        columns=along[1] if ahead.columns is None else ahead.columns @ along[1],
    )


def ahead_of_mixing(graph: Graph, placed: Mapping[Value, Place], end: Value) -> set[Value]:
    """The values that reach the end through a node that makes a cell of several: behind the last, a cell is its own map."""
    reached, mixed = {end}, set[Value]()
    for node in reversed(graph.nodes):
        if reached.isdisjoint(node.outputs):
            continue
        operands = [(index, value) for index, value in node.operands if value in placed]
        reached.update(value for _, value in operands)
        behind = not mixed.isdisjoint(node.outputs)
        mixed.update(value for index, value in operands if behind or _mixes(node, index, placed[value]))
    return mixed


def _mixes(node: Node, index: int, place: Place) -> bool:
    return any(follow(node, index, Span(axis)) is None for axis in place.cells)
