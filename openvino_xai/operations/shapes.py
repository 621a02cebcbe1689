"""Shapes of outputs, from those of operands and from what operands hold, where a model leaves sizes open.

A rule gives the shape of each output of a node, of which the number of axes is known; a rank rule gives that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import numpy as np

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import Dim, Shape, Size, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.axes import relaid
from openvino_xai.operations.record import Contents


def as_data(node: Node, content: Contents) -> list[Shape]:
    """As the first operand."""
    return [shape_of(node.operand(0))]


def broadcast_of_all(node: Node, content: Contents) -> list[Shape]:
    """Open sizes as operands broadcast to them."""
    shape = shape_of(node.outputs[0])
    return [tuple(_broadcast_size(node, axis) if isinstance(size, Dim) else size for axis, size in enumerate(shape))]


def matmul(node: Node, content: Contents) -> list[Shape] | None:
    """Batch axes as they broadcast."""
    shape = shape_of(node.outputs[0])
    if any((value.rank or 0) < 2 for _, value in list(node.operands)[:2]):  # a vector has no batch
        return None
    return [(*(_broadcast_size(node, axis) for axis in range(len(shape) - 2)), *shape[-2:])]


def _broadcast_size(node: Node, axis: int) -> Size:
    """The size of an axis that operands broadcast to, where one of them tells it, or all are 1 there."""
    after = shape_of(node.outputs[0])
    sizes = set()
    for _, value in node.operands:
        if value.shape is None:
            return after[axis]
        place = axis - len(after) + len(value.shape)
        sizes.add(value.shape[place] if place >= 0 else 1)
    larger = sizes - {1}
    return larger.pop() if len(larger) == 1 else 1 if not larger else after[axis]


def broadcast_to(node: Node, content: Contents) -> list[Shape]:
    """As the target says, where that is known as sizes: a 1 there keeps what is broadcast."""
    shape, target = shape_of(node.outputs[0]), content(1)
    if target is None or len(target) > len(shape):
        return [shape]
    before = shape_of(node.operand(0))
    sizes: list[Size] = []
    for axis, old in enumerate(shape):
        new = target[axis - len(shape) + len(target)] if axis >= len(shape) - len(target) else 1
        source = before[axis - len(shape) + len(before)] if axis >= len(shape) - len(before) else 1
        sizes.append(old if isinstance(old, int) else new if new != 1 else source)
    return [tuple(sizes)]


def reshaped(node: Node, content: Contents) -> list[Shape]:
    """As the target says, where that is known as sizes; one open size follows from the rest."""
    before, shape, target = shape_of(node.operand(0)), shape_of(node.outputs[0]), content(1)
    sizes: list[Size | None] = [size if isinstance(size, int) else None for size in shape]
    if target is not None and len(target) == len(sizes):
        for axis, size in enumerate(target):
            if size == 0 and axis < len(before):
                sizes[axis] = before[axis]
            elif size != -1:
                sizes[axis] = size
    if sizes.count(None) == 1:
        others = product(size for size in sizes if size is not None)
        sizes[sizes.index(None)] = quotient(product(before), others)
    return [tuple(old if new is None else new for old, new in zip(shape, sizes, strict=True))]


def unsqueezed(node: Node, content: Contents) -> list[Shape]:
    """New axes are of size 1."""
    shape = shape_of(node.outputs[0])
    new = {axis % len(shape) for axis in node.attributes["axes"]}
    return [tuple(1 if axis in new else size for axis, size in enumerate(shape))]


def joined(node: Node, content: Contents) -> list[Shape]:
    """The sum of the sizes, where all operands tell theirs."""
    shape = shape_of(node.outputs[0])
    axis = node.attributes["axis"] % len(shape)
    sizes = [value.shape[axis] if value.shape else None for _, value in node.operands]
    numbers = [size for size in sizes if isinstance(size, int)]
    return [(*shape[:axis], sum(numbers), *shape[axis + 1 :]) if len(numbers) == len(sizes) else shape]


def sliced(node: Node, content: Contents) -> list[Shape]:
    """How many items a slice takes, along axes of which the size is known."""
    before, a, sizes = shape_of(node.operand(0)), node.attributes, list(shape_of(node.outputs[0]))
    places = relaid(node, range(len(before)), -1)
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        length, place = before[axis], axis % len(before)
        if isinstance(length, int) and place in places:
            sizes[places.index(place)] = len(range(length)[slice(start, end, step)])
    return [tuple(1 if place == -1 else size for place, size in zip(places, sizes, strict=True))]


def rank_sliced(node: Node, content: Contents) -> int:
    """Without the axes that are dropped, and with those that are new."""
    return len(relaid(node, shape_of(node.operand(0)), 1))


def split(node: Node, content: Contents) -> list[Shape] | None:
    """The parts' sizes, where an operand or their number tells them."""
    if any(value.shape is None for value in node.outputs):
        return None
    axis, count = node.attributes["axis"] % len(shape_of(node.operand(0))), len(node.outputs)
    length, sizes = shape_of(node.operand(0))[axis], _numbers(content(1))
    if sizes is None and isinstance(length, int) and length % count == 0:
        sizes = [length // count] * count
    if sizes is None or len(sizes) != count or sum(sizes) != length:
        return None
    return [
        (*shape_of(value)[:axis], size, *shape_of(value)[axis + 1 :]) for value, size in zip(node.outputs, sizes, strict=True)
    ]


def _numbers(sizes: Sequence[Size] | None) -> list[int] | None:
    numbers = [size for size in sizes or () if isinstance(size, int)]
    return numbers if sizes is not None and len(numbers) == len(sizes) else None


def padded(node: Node, content: Contents) -> list[Shape] | None:
    """Open sizes with their padding."""
    before, after, pads = shape_of(node.operand(0)), shape_of(node.outputs[0]), node.attributes["pads"]
    if len(before) != len(after):
        return None
    return [
        tuple(
            int(old + pads[axis] + pads[axis + len(before)]) if isinstance(new, Dim) and isinstance(old, int) else new
            for axis, (old, new) in enumerate(zip(before, after, strict=True))
        )
    ]


def windows(node: Node, content: Contents) -> list[Shape] | None:
    """Open sizes by how many windows fit; with windows that end beyond the padding, where there are none."""
    before, after, a = shape_of(node.operand(0)), shape_of(node.outputs[0]), node.attributes
    if len(before) != len(after):
        return None
    n, sizes = len(before) - 2, list(after)
    for i, (old, new) in enumerate(zip(before[2:], after[2:], strict=True)):
        if isinstance(new, Dim) and isinstance(old, int):
            reach = (a["kernel"][i] - 1) * a["dilations"][i] + 1
            steps, rest = divmod(old + a["pads"][i] + a["pads"][i + n] - reach, a["strides"][i])
            sizes[i + 2] = new if rest and a.get("ceil") else int(steps + 1)
    return [tuple(sizes)]


def resized(node: Node, content: Contents) -> list[Shape] | None:
    """Open sizes as an operand tells them, or by the factor from a size that is known."""
    before, after, a = shape_of(node.operand(0)), shape_of(node.outputs[0]), node.attributes
    if len(before) != len(after):
        return None
    sizes = list(after)
    target = content(a["sizes"]) if "sizes" in a else None
    for axis, new in zip(a.get("along", ()), target or (), strict=False):
        sizes[axis] = new
    for axis, factor in zip(a["axes"], a.get("factors", ()), strict=False):
        old = before[axis]
        if isinstance(old, int):
            sizes[axis] = int(np.float32(old) * np.float32(factor))  # as runtimes round
    return [tuple(old if isinstance(old, int) else new for old, new in zip(after, sizes, strict=True))]


def rank_as_before(node: Node, content: Contents) -> int:
    """As the first operand."""
    return len(shape_of(node.operand(0)))


def rank_of_target(node: Node, content: Contents) -> int | None:
    """As many axes as the target has."""
    target = content(1)
    return None if target is None else len(target)


def rank_less_axes(node: Node, content: Contents) -> int:
    """Without the axes that go."""
    return len(shape_of(node.operand(0))) - len(node.attributes.get("axes", ()))


def rank_with_axes(node: Node, content: Contents) -> int:
    """With the axes that are new."""
    return len(shape_of(node.operand(0))) + len(node.attributes.get("axes", ()))


def rank_gathered(node: Node, content: Contents) -> int | None:
    """The axes of the indices in place of one."""
    if len(node.inputs) < 2 or node.operand(1).shape is None:
        return None
    return len(shape_of(node.operand(0))) - 1 + len(shape_of(node.operand(1)))


def as_indices(node: Node, content: Contents) -> list[Shape]:
    """As the second operand."""
    return [shape_of(node.operand(1))]


def tiled(node: Node, content: Contents) -> list[Shape] | None:
    """Open sizes as often as an operand tells."""
    before, after, repeats = shape_of(node.operand(0)), shape_of(node.outputs[0]), content(1)
    if repeats is None or len(repeats) != len(after) or len(before) > len(after):
        return None
    old: Shape = (1,) * (len(after) - len(before)) + before
    return [tuple(new if isinstance(new, int) else size * count for new, size, count in zip(after, old, repeats, strict=True))]


def ranked(node: Node, content: Contents) -> list[Shape] | None:
    """As many items along an axis as an operand tells; the others as before."""
    axis, count = node.attributes["axis"] % len(shape_of(node.operand(0))), content(1)
    before = shape_of(node.operand(0))
    along = count[0] if count is not None and len(count) == 1 else shape_of(node.outputs[0])[axis]
    return [(*before[:axis], along, *before[axis + 1 :])] * len(node.outputs)


def gathered(node: Node, content: Contents) -> list[Shape] | None:
    """The axes of the indices in place of one."""
    data, indices = node.operand(0).shape, node.operand(1).shape
    if data is None or indices is None or len(shape_of(node.outputs[0])) != len(data) - 1 + len(indices):
        return None
    axis = node.attributes["axis"] % len(data)
    return [(*data[:axis], *indices, *data[axis + 1 :])]


def rank_gathered_by_places(node: Node, content: Contents) -> int | None:
    """The axes of the places but the last, and those of the data that these say nothing of; None where batches are apart."""
    if node.attributes["batch_dims"] or not isinstance(counted := shape_of(node.operand(1))[-1], int):
        return None
    return len(shape_of(node.operand(1))) - 1 + len(shape_of(node.operand(0))) - counted


def gathered_by_places(node: Node, content: Contents) -> list[Shape] | None:
    """As many items as places, each with the axes of the data that these say nothing of."""
    data, places = shape_of(node.operand(0)), shape_of(node.operand(1))
    rank = rank_gathered_by_places(node, content)
    return None if rank is None else [(*places[:-1], *data[len(places) - 1 + len(data) - rank :])]


def counted(node: Node, content: Contents) -> list[Shape] | None:
    """As many items as there are whole numbers from 0 up to a limit, or by a step between two numbers that are known."""
    start, limit, step = (content(index) for index in (0, 1, 2))
    numbers = [number for sizes in (start, limit, step) for number in sizes or () if not isinstance(number, Dim)]
    if len(numbers) == len(node.inputs) == 3 and numbers[2]:
        first, end, pace = map(Fraction, numbers)
        count = ceil((end - first) / pace)
        # of fractions a runtime rounds the difference and the quotient: where that matters it is left open
        rounded = ceil((np.float32(end) - np.float32(first)) / np.float32(pace))
        return [(max(count, 0),)] if count == rounded else None
    if start != (0,) or step != (1,) or limit is None or len(limit) != 1:
        return None
    return [(limit[0] if isinstance(limit[0], Dim) else ceil(limit[0]),)]


def filled(node: Node, content: Contents) -> list[Shape] | None:
    """As its operand says, where that is known as sizes."""
    sizes = content(0)
    return None if sizes is None or len(sizes) != len(shape_of(node.outputs[0])) else [tuple(sizes)]


def rank_of_broadcast(node: Node, content: Contents) -> int | None:
    """The most axes that an operand has."""
    ranks = [value.rank for _, value in node.operands]
    return None if None in ranks else max(rank for rank in ranks if rank is not None)


def rank_reduced(node: Node, content: Contents) -> int:
    """Without the axes that are reduced, unless they are kept."""
    a = node.attributes
    return len(shape_of(node.operand(0))) - (0 if a["keepdims"] else len(a["axes"]))


def reduced(node: Node, content: Contents) -> list[Shape]:
    """Axes that are reduced are gone, or of size 1."""
    before, a = shape_of(node.operand(0)), node.attributes
    axes = {axis % len(before) for axis in a["axes"]}
    return [tuple(1 if axis in axes else size for axis, size in enumerate(before) if a["keepdims"] or axis not in axes)]
