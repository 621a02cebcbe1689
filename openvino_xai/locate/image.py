"""The image among the inputs of a model, and the cells that it is made of."""

from __future__ import annotations

import re
from collections.abc import Collection

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Size, product, text
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.table import axes_of, operation_of

IMAGE_CHANNELS = (1, 3, 4)  # grey, RGB, and RGB with alpha or depth: other numbers where no input has one of these
LAYOUTS = {"NCHW": (2, 3), "NHWC": (1, 2)}  # the axes of rows and columns
MOST_CHANNELS = 2**16  # of an image, as first weights tell them


def find_image(graph: Graph, name: str | None = None, *, planar: bool = True) -> tuple[Value, Place]:
    """The input that holds the image, called `name` or the only one that can be it, and where its batch and cells are.

    Unless it has to be `planar`, a signal [B, C, L] or a video [B, C, T, H, W] is one, too, where there is no other.

    Raises ModelError if no input can be the image, or if several can.
    """
    inputs = [value for value in graph.inputs if name is None or name in (value.name, *value.aliases)]
    images = [(value, place) for value in inputs if (place := _image_place(graph, value)) is not None]
    if not images:
        many = [
            (value, _place_by_weights(graph, value) or _place_as_told(graph, value) or _place_of_many_channels(value))
            for value in inputs
        ]
        images = [(value, place) for value, place in many if place is not None]
    if not images and not planar:
        images = [(value, place) for value in inputs if (place := _place_by_weights(graph, value, ranks=(3, 5))) is not None]
    # where there are others, a line of pixels is no image: exporters make inputs of the means that one is normalised by
    images = [(value, place) for value, place in images if 1 not in place.grid] or images
    if len(images) != 1:
        which = f"called '{name}' " if name else ""
        listing = ", ".join(f"'{value.name}' {text(value.shape)}" for value in graph.inputs) or "none"
        raise ModelError(
            f"the model has {len(images)} inputs {which}that can be an image, 1 is expected: "
            "[B, C, H, W] or [B, H, W, C] with C of 1, 3 or 4, or less than H and W, or which the first convolution takes as "
            f"channels; the inputs are {listing}; "
            + (
                "name one of them"
                if len(images) > 1
                else "say its layout, NCHW or NHWC, or export the model with such an input"
            ),
            options=("image_input",) if len(images) > 1 else ("layout",),
        )
    return images[0]


def check_layout(image: Value, place: Place, layout: str) -> None:
    """Raise ModelError where an image lies otherwise than a caller says, by its sizes, or by the first weights that meet it."""
    if place.cells != LAYOUTS[layout]:
        (channels,) = {1, 2, 3} - set(place.cells) if len(place.cells) == 2 else (1,)
        raise ModelError(
            f"layout is {layout}, and input '{image.name}' {text(image.shape)} has its channels on axis {channels}, as its "
            "sizes or the first weights that meet it tell: leave the layout out, or name another input",
            node=image.name,
            options=("layout", "image_input"),
        )


def _place_as_told(graph: Graph, value: Value) -> Place | None:
    """As the model says of its axes, or who opened it."""
    cells = LAYOUTS.get(re.sub(r"[^A-Z]", "", (graph.layout or "").rpartition(":")[2].upper()))
    if cells is None or value.shape is None or len(value.shape) != 4 or value.dtype is None or value.dtype.kind == "b":
        return None
    return Place(0, cells, (value.shape[cells[0]], value.shape[cells[1]]))


def _image_place(graph: Graph, value: Value) -> Place | None:
    """Where [B, C, H, W] or [B, H, W, C] has its batch and cells; None if the value can be neither."""
    if value.shape is None or len(value.shape) != 4:
        return None
    _, second, third, last = value.shape
    if second in IMAGE_CHANNELS and last in IMAGE_CHANNELS:
        place = _place_by_weights(graph, value) or _place_as_told(graph, value)
        if place is not None:
            return place
    # where both ends can be channels, [B, 3, H, 4] is channels first, and [B, 4, W, 3] channels last
    if second in IMAGE_CHANNELS and not (last in IMAGE_CHANNELS and third not in IMAGE_CHANNELS and second != 3):
        return Place(0, (2, 3), (third, last))
    return Place(0, (1, 2), (second, third)) if last in IMAGE_CHANNELS else None


def _place_by_weights(graph: Graph, value: Value, ranks: Collection[int] = (4,)) -> Place | None:
    """As the first weights tell that meet the image, of a convolution or a linear layer: they sum over its channels."""
    if value.shape is None or len(value.shape) not in ranks or value.dtype is None or value.dtype.kind == "b":
        return None
    reached = {value: {axis: Span(axis) for axis in range(len(value.shape))}}
    for node in graph.nodes:
        index, spans = next(((index, reached[operand]) for index, operand in node.operands if operand in reached), (0, None))
        axes = axes_of(node)
        if spans is None or axes is None:
            continue
        after = {axis: there for axis, span in spans.items() if (there := follow(node, index, span)) is not None}
        if operation_of(node).weights is not None:
            sources = {source.axis for sources in axes[0] for source in sources if source.operand == index}
            summed = [axis for axis, span in spans.items() if span.pure and span.axis not in sources]
            last = len(value.shape) - 1
            possible = (1, 2, last) if last == 4 else (1, last)  # of a video each frame may have its own
            if len(summed) != 1 or 0 not in spans or summed[0] not in possible or _are_too_many(value.shape[summed[0]]):
                return None
            cells = tuple(axis for axis in range(1, last + 1) if axis != summed[0])
            sizes = tuple(value.shape[axis] for axis in cells)
            return Place(0, cells, (product(sizes[:-1]), sizes[-1]), sizes=None if len(cells) == 2 else sizes)
        reached.update((output, after) for output in node.outputs)
    return None


def _are_too_many(channels: Size) -> bool:
    """Whether no image has so many channels: a file that says so is not what it says."""
    return isinstance(channels, int) and channels > MOST_CHANNELS


def _place_of_many_channels(value: Value) -> Place | None:
    """As of an image, with any number of channels below the pixels of each side; None where both ends can be channels."""
    if value.shape is None or len(value.shape) != 4 or value.dtype is None or value.dtype.kind == "b":
        return None
    _, second, third, last = value.shape
    first_fits, last_fits = _are_fewer(second, (third, last)), _are_fewer(last, (second, third))
    if first_fits == last_fits:
        return None
    return Place(0, (2, 3), (third, last)) if first_fits else Place(0, (1, 2), (second, third))


def _are_fewer(channels: Size, sides: tuple[Size, Size]) -> bool:
    """Whether so many channels are told, and are fewer than the pixels of both sides, which may be open."""
    return isinstance(channels, int) and all(not isinstance(side, int) or channels < side for side in sides)
