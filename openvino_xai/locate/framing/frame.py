"""Frames: the part of the image that all of a network looks at, where the graph crops the image or lays it on a canvas.

The walk goes from the image on as far as each pixel is made of one pixel: through normalisation, other orders of axes and
channels, and resizes of the whole. What it meets there that leaves pixels off at the ends, or adds some, is a crop or a border.
Behind the last one that all ways to the scores go through, a network is one of that part: its cells are found as those of any
image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, gcd

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.framing.layout import Extent, Layout, layout_of
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.positions import Place
from openvino_xai.locate.separators import paths_through
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.centres import Centres, every_step, padded, resized, windows
from openvino_xai.operations.table import axes_of, data_operands, operation_of

ROUNDING = 0.5  # of a pixel: by which windows over a border of their own may lie nearer to a canvas than to the image


@dataclass(frozen=True, eq=False)
class Frame:
    """A value that holds a part of the image, which all of the network looks at: where its batch and cells are, which part.

    The part may be larger than the image: a canvas with a border. The cells are `pixels`, but where windows have the border.
    """

    value: Value
    place: Place
    rows: Extent
    columns: Extent
    pixels: bool = True

    def within(self, values: Mapping[Value, Value]) -> Frame:
        """The same in a twin of the model, given its values by those of the model."""
        return replace(self, value=values[self.value])

    @property
    def crops(self) -> bool:
        """Whether some of the image lies outside."""
        return self.rows.crops or self.columns.crops

    def layout(self, cells: tuple[Size, Size], where: str) -> Layout:
        """Where so many rows and columns of cells lie on a map of the image. Raises PlanError, naming `where`."""
        try:
            return layout_of(self.rows, self.columns, cells, where)
        except PlanError as error:
            last = self.value.producer
            assert last is not None
            why = f"{error}: what crops or pads the image, up to {last}, can stand ahead of the model"
            raise PlanError(why, node=last.name) from error

    def laid(self, layer: Candidate) -> Candidate:
        """The layer, with the reason where no map of the image shows where its cells lie."""
        if layer.reason is not None:
            return layer
        try:
            self.layout(layer.cells, "it")
        except PlanError as error:
            return replace(layer, reason=str(error), unlaid=True)
        return layer


@dataclass(frozen=True)
class _Pixels:
    """The axes of a value that hold the batch and the rows and columns of a part of the image, and which part that is."""

    batch: int
    cells: tuple[int, int]
    extents: tuple[Extent, Extent]


def find_frame(graph: Graph, image: Value, place: Place, scores: Value) -> Frame | None:
    """The part of the image that the scores are made of; None where that is all of it, or is not known."""
    if len(place.cells) != 2:
        return None
    pixels = {image: _Pixels(place.batch, (place.cells[0], place.cells[1]), (Extent(), Extent()))}
    frames = dict[Value, _Pixels]()
    for node in graph.nodes:
        there = _followed(node, pixels)
        if there is not None:
            pixels[node.outputs[0]] = there
            if node.inputs[0] in pixels and any(_changes(node, axis) for axis in pixels[node.operand(0)].cells):
                frames[node.outputs[0]] = there
        elif (canvas := _on_canvas(node, pixels)) is not None:
            frames[node.outputs[0]] = canvas
    if not frames:
        return None
    separates, is_of_windows = paths_through(graph, image, scores), False
    for value, at in reversed(frames.items()):
        is_of_windows = _is_border(value) and (is_of_windows or _is_of_windows(graph, value, pixels))
        if separates.get(value) and not is_of_windows:
            if at.extents == (Extent(), Extent()):
                return None
            grid = shape_of(value)[at.cells[0]], shape_of(value)[at.cells[1]]
            return Frame(value, Place(at.batch, at.cells, grid), *at.extents, pixels=value in pixels)
    return None


def _on_canvas(node: Node, pixels: Mapping[Value, _Pixels]) -> _Pixels | None:
    """Where windows hold cells of a canvas, of which they have the border as their own: some lie beside the image altogether.

    Converters make that of a border and the convolution behind it.
    """
    before = pixels.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
    if before is None or operation_of(node).centres is not windows or axes_of(node) is None or before.cells != (2, 3):
        return None
    batch = follow(node, 0, Span(before.batch))
    rows, columns = (_canvas(node, *side) for side in zip(before.cells, before.extents, strict=True))
    if batch is None or not batch.pure or (rows, columns) == before.extents:
        return None
    return _Pixels(batch.axis, before.cells, (rows, columns))


def _canvas(node: Node, axis: int, extent: Extent) -> Extent:
    """What windows are equal parts of: a canvas, where their border is as wide as a window, or else what they read."""
    a, place = node.attributes, axis - 2
    length, count = shape_of(node.operand(0))[axis], shape_of(node.outputs[0])[axis]
    stride, reach = a["strides"][place], (a["kernel"][place] - 1) * a["dilations"][place] + 1
    before, behind = a["pads"][place], a["pads"][place + len(a["kernel"])]
    if not isinstance(length, int) or not isinstance(count, int) or max(before, behind) < reach:
        return extent
    begin = before - (reach - stride) / 2  # where the first window is the middle of a part; to half a pixel, as others are
    first = max((floor(begin), ceil(begin)), key=lambda pixel: gcd(pixel, stride))
    return extent.of_items(-first, count * stride - first, length)


def _is_border(value: Value) -> bool:
    """Whether a value has something added at its ends, and nothing taken off."""
    node = value.producer
    return node is not None and operation_of(node).centres is padded and min(node.attributes["pads"]) >= 0


def _followed(node: Node, pixels: Mapping[Value, _Pixels]) -> _Pixels | None:
    """Where a node's output holds pixels of which each is made of one pixel, or of few around it in another resolution."""
    operands = [(index, value) for index, value in node.operands if value in pixels]
    if not operands or len(node.outputs) != 1 or axes_of(node) is None:
        return None
    data = data_operands(node)
    ends = {_behind(node, index, pixels[value]) for index, value in operands if value in data}
    return ends.pop() if len(ends) == 1 else None


def _behind(node: Node, index: int, before: _Pixels) -> _Pixels | None:
    """Where the pixels of an operand are in the output, and which part of the image these are."""
    axes, extents = list[int](), list[Extent]()
    for axis, extent in ((before.batch, Extent()), *zip(before.cells, before.extents, strict=True)):
        after = follow(node, index, Span(axis))
        if after is None and index == 0 and axis != before.batch:
            after, extent = _taken(node, axis, extent)
        if after is None or not after.pure:
            return None
        axes.append(after.axis)
        extents.append(extent)
    return _Pixels(axes[0], (axes[1], axes[2]), (extents[1], extents[2]))


def _taken(node: Node, axis: int, extent: Extent) -> tuple[Span | None, Extent]:
    """Where the pixels along an axis are that a node crops, gives a border, or resizes as a whole; and which part these are."""
    rule, shape = operation_of(node).centres, shape_of(node.operand(0))
    length, a = shape[axis], node.attributes
    if rule is resized and rule(node, axis) is None:
        return Span(axis), extent
    if not isinstance(length, int) or not length:
        return None, extent
    if rule is padded and a["mode"] == "constant":
        before, behind = a["pads"][axis], a["pads"][axis + len(shape)]
        return (
            (Span(axis), extent.of_items(-before, length + behind, length)) if length + before + behind > 0 else (None, extent)
        )
    if rule is every_step and not a.get("dropped") and not a.get("added"):
        parts = {along % len(shape): ends for along, *ends in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True)}
        start, end, step = parts.get(axis, (0, length, 1))
        first, last, _ = slice(start, end).indices(length)
        return (Span(axis), extent.of_items(first, last, length)) if step == 1 and first < last else (None, extent)
    return None, extent


def _changes(node: Node, axis: int) -> bool:
    """Whether a node leaves items off at the ends of an axis, or adds some."""
    return operation_of(node).centres in (padded, every_step) and follow(node, 0, Span(axis)) is None


def _is_of_windows(graph: Graph, value: Value, pixels: Mapping[Value, _Pixels]) -> bool:
    """Whether the border of a value belongs to windows behind it, as some exporters write that of a convolution.

    It does where the middles of these windows lie no farther from equal parts of what the border is around than from equal
    parts of the two together.
    """
    border = value.producer
    assert border is not None
    around = border.operand(0)
    return any(
        all(_lies_around(border, axis, shape_of(around)[axis], node, along) for axis, along in axes)
        for node, axes in _windows_behind(graph, value, pixels[around].cells, pixels)
    )


def _windows_behind(
    graph: Graph, value: Value, cells: tuple[int, int], pixels: Mapping[Value, _Pixels]
) -> Iterator[tuple[Node, list[tuple[int, int]]]]:
    """The first windows over a value or what is made of it pixel by pixel, and its axes of `cells`, with those that they have
    there."""
    alike = {value}
    for node in graph.nodes:
        first = node.operand(0) if node.inputs and node.inputs[0] is not None else None
        if first not in alike:
            continue
        after = pixels.get(node.outputs[0])
        if after is not None and after.extents == pixels[value].extents:
            alike.update(node.outputs)
        elif operation_of(node).centres not in (None, padded, every_step, resized):
            yield node, list(zip(cells, pixels[first].cells, strict=True))


def _lies_around(border: Node, axis: int, size: Size, after: Node, along: int) -> bool:
    """Whether windows lie as near to equal parts of what a border is around as to those of all that they read."""
    rule = operation_of(after).centres
    centres = rule(after, along) if rule is not None else None
    length, count = shape_of(after.operand(0))[along], shape_of(after.outputs[0])[along]
    if centres is None or not isinstance(length, int) or not isinstance(count, int) or not isinstance(size, int) or not count:
        return False
    centres, pads = centres.ending(length, count), border.attributes["pads"]
    around = centres.on(Centres(-pads[axis], -pads[axis + len(pads) // 2]))
    return around.shift(size / count) <= centres.shift(length / count) + ROUNDING
