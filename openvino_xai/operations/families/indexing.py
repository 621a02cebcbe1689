"""Elements that are picked, repeated, joined, moved, counted, or added up on the way."""

from __future__ import annotations

from functools import partial

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Size, at_one, quotient
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations import axes, centres, contents, shapes
from openvino_xai.operations.adjoint import Step, refused, same
from openvino_xai.operations.families.arithmetic import broadcasting
from openvino_xai.operations.record import (
    ALL,
    IN_FIRST,
    IN_SECOND,
    Operation,
    each,
    each_read,
    mixed,
    nothing,
)
from openvino_xai.operations.resizing import repetition, weights_along

MOST_SUMS = 2**12  # items of a running sum: its derivative is a table of all pairs


def _concat(at: Step, index: int, g: Value) -> Value:
    axis = at.node.attributes["axis"] % len(at.output_shape())
    if shape_of(g)[axis] == 1 and at.output_shape()[axis] != 1:
        return g
    start = sum(_length(at, i, axis) for i, _ in at.node.operands if i < index)
    return at.xp.take(g, np.arange(start, start + _length(at, index, axis)), axis=axis)


def _length(at: Step, index: int, axis: int) -> int:
    size = at.operand_shape(index)[axis]
    if not isinstance(size, int):
        raise refused(at, "the sizes of its operands are known only when the model runs")
    return size


def moved(at: Step, g: Value, axis: int, places: np.ndarray) -> Value:
    """The adjoint of an operand of which the output holds the items at `places` along an axis, one after the other."""
    return _moved(at.xp, at.full(g, (axis,)), axis, places, _length(at, 0, axis))


def _moved(xp: Trace, g: Value, axis: int, places: np.ndarray, size: int) -> Value:
    """`g` with item i at `places[i]` of `size` along an axis, 0 where nothing is put; items at one place are summed."""
    rank = len(shape_of(g))
    if len(np.unique(places)) < len(places):
        return _back_along(xp, g, axis, places[:, None] == np.arange(size))
    source = np.full(size, len(places))
    source[places] = np.arange(len(places))
    if (source == len(places)).any():
        slice_shape = tuple(1 if a == axis else n for a, n in enumerate(shape_of(g)))
        g = xp.concat([g, xp.broadcast_to(np.zeros((1,) * rank, g.dtype), slice_shape)], axis=axis)
    return xp.take(g, source, axis=axis)


def _slice(at: Step, index: int, g: Value) -> Value:
    a, shape = at.node.attributes, at.operand_shape(0)
    places = axes.relaid(at.node, range(len(shape)), -1)
    as_before = places == list(range(len(shape)))
    if not as_before:  # as it is before axes are dropped, and new ones come
        sizes = dict(zip(places, at.output_shape(), strict=True))
        g = at.xp.reshape(at.full(g), tuple(sizes.get(axis, 1) for axis in range(len(shape))))
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        axis %= len(shape)
        if step == 1 and axis in places and shape[axis] == at.output_shape()[places.index(axis)]:
            continue
        size = _length(at, 0, axis)
        taken = np.arange(size)[slice(start, None if step < 0 and end < -size else end, step)]
        g = _moved(at.xp, at.full(g, (axis,)) if as_before else g, axis, taken, size)
    return g


def _pad(at: Step, index: int, g: Value) -> Value:
    a, shape = at.node.attributes, at.operand_shape(0)
    if str(a["mode"]).lower() != "constant":
        raise refused(at, f"it pads by '{a['mode']}', and a constant is expected")
    for axis, size in enumerate(shape):
        begin, end = a["pads"][axis], a["pads"][axis + len(shape)]
        if not (begin or end) or (shape_of(g)[axis] == 1 and at.output_shape()[axis] != 1):
            continue
        if begin < 0 or end < 0 or not isinstance(size, int):
            raise refused(at, "it cuts off, or its sizes are known only when the model runs")
        g = at.xp.take(g, np.arange(begin, begin + size), axis=axis)
    return g


def _gather(at: Step, index: int, g: Value) -> Value:
    rank = len(at.operand_shape(0))
    axis, indices = at.node.attributes["axis"] % rank, at.constant(1)
    if indices is None or indices.size > contents.LARGEST:
        raise refused(at, "its indices are known only when the model runs")
    places = indices.reshape(-1).astype(np.int64) % _length(at, 0, axis)
    g = at.full(g, tuple(range(axis, axis + indices.ndim)))
    shape = shape_of(g)
    flat = at.xp.reshape(g, (*shape[:axis], places.size, *shape[axis + indices.ndim :]))
    return _moved(at.xp, flat, axis, places, _length(at, 0, axis))


def _gather_elements(at: Step, index: int, g: Value) -> Value:
    """Each element goes back to where it was picked; which ones are picked has no slope."""
    axis = at.node.attributes["axis"] % len(at.operand_shape(0))
    nothing = at.xp.broadcast_to(np.zeros((1,) * len(shape_of(g)), g.dtype), at.operand_shape(0))
    return at.xp.scatter_add(nothing, at.xp.astype(at.operand(1), np.int64), at.full(g), axis=axis)


def _top_k(at: Step, index: int, g: Value) -> Value:
    """Of the largest items: each goes back to where it was."""
    axis = at.node.attributes["axis"] % len(at.operand_shape(0))
    nothing = at.xp.broadcast_to(np.zeros((1,) * len(shape_of(g)), g.dtype), at.operand_shape(0))
    return at.xp.scatter_add(nothing, at.xp.astype(at.output(1), np.int64), at.full(g), axis=axis)


def _tile(at: Step, index: int, g: Value) -> Value:
    """The sum over all copies."""
    before, after = at.operand_shape(0), at.output_shape()
    g = at.full(g)
    sizes: list[Size] = []
    summed: list[int] = []
    for axis, size in enumerate((1,) * (len(after) - len(before)) + before):
        copies = quotient(after[axis], size)
        if copies is None:
            raise refused(at, "how often it repeats is known only when the model runs")
        if copies != 1:
            summed.append(len(sizes))
            sizes.append(copies)
        sizes.append(size)
    total = at.xp.sum(at.xp.reshape(g, tuple(sizes)), axis=tuple(summed)) if summed else g
    return at.xp.reshape(total, before)


def _roll(at: Step, index: int, g: Value) -> Value:
    shifts = at.integers(1)
    if shifts is None:
        raise refused(at, "how far it rolls is known only when the model runs")
    for shift, axis in zip(shifts, at.node.attributes["axes"], strict=True):
        axis %= len(at.operand_shape(0))
        g = moved(at, g, axis, (np.arange(_length(at, 0, axis)) - shift) % _length(at, 0, axis))
    return g


def _shuffle(at: Step, index: int, g: Value) -> Value:
    axis, groups = at.node.attributes["axis"] % len(at.operand_shape(0)), at.node.attributes["groups"]
    size = _length(at, 0, axis)
    if shape_of(g)[axis] == 1 and size != 1:
        return g
    return moved(at, g, axis, np.arange(size).reshape(groups, -1).T.reshape(-1))


def _resize(at: Step, index: int, g: Value) -> Value:
    """Each axis goes back by its own weights; elements that are only repeated are summed."""
    weights = {axis: weights_along(at.node, axis) for axis in at.node.attributes["axes"]}
    g = at.full(g, tuple(weights))
    repeats: dict[int, int] = {}
    for axis, matrix in weights.items():
        if matrix is None:
            raise refused(at, f"how it interpolates along axis {axis} is not known")
        count = repetition(matrix)
        if count is None:
            g = _back_along(at.xp, g, axis, matrix)
        else:
            repeats[axis] = count
    return _summed(at.xp, g, repeats)


def _back_along(xp: Trace, g: Value, axis: int, weights: np.ndarray) -> Value:
    """`g` [..., after, ...] times `weights` [after, before] along an axis."""
    rank, weights = len(shape_of(g)), weights.astype(g.dtype)
    if axis == rank - 2:
        return xp.matmul(np.ascontiguousarray(weights.T), g)
    order = (*(a for a in range(rank) if a != axis), axis)
    back = tuple(int(i) for i in np.argsort(order))
    return xp.permute_dims(xp.matmul(xp.permute_dims(g, order), weights), back)


def _summed(xp: Trace, g: Value, repeats: dict[int, int]) -> Value:
    """`g` with the sums of so many neighbours along some axes."""
    sizes: list[Size] = []
    summed: list[int] = []
    for axis, size in enumerate(shape_of(g)):
        if axis in repeats:
            assert isinstance(size, int)
            summed.append(len(sizes) + 1)
            sizes += [size // repeats[axis], repeats[axis]]
        else:
            sizes.append(size)
    return xp.sum(xp.reshape(g, tuple(sizes)), axis=tuple(summed)) if summed else g


def _running(at: Step, index: int, g: Value) -> Value:
    """Each item goes back from every sum that it is in."""
    axis, a = at.node.attributes["axis"] % len(at.operand_shape(0)), at.node.attributes
    length = _length(at, 0, axis)
    if length > MOST_SUMS:
        raise refused(at, f"it adds up {length} items on the way, and at most {MOST_SUMS} are written down for every pair")
    sums = np.tri(length, k=-1 if a["exclusive"] else 0)
    return _back_along(at.xp, at.full(g, (axis,)), axis, sums.T if a["reverse"] else sums)


def _gathered_content(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    data, indices = operands[:2]
    if not contents.are_numbers(indices):
        return None
    axis = node.attributes["axis"] % data.ndim
    result = np.empty((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]), dtype=object)
    result[...] = np.take(data, indices.astype(np.int64), axis=axis)
    return result


def _sliced_content(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    a = node.attributes
    cut = [slice(None)] * operands[0].ndim
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        cut[axis] = slice(start, None if step < 0 and end < -operands[0].shape[axis] else end, step)
    cut_off = np.squeeze(operands[0][tuple(cut)], axis=tuple(a.get("dropped", ())))
    return np.expand_dims(cut_off, axis=tuple(a.get("added", ())))


def _split_content(node: Node, operands: list[np.ndarray]) -> list[np.ndarray] | None:
    data, axis = operands[0], node.attributes["axis"]
    sizes = [at_one(value.shape[axis]) if value.shape else 0 for value in node.outputs]
    if not data.ndim or sum(sizes) != data.shape[axis]:
        return None
    return np.split(data, np.cumsum(sizes)[:-1], axis=axis)


def _joined_content(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(operand) for operand in operands], axis=node.attributes["axis"])


def _broadcast_content(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not contents.are_numbers(operands[1]):
        return None
    target = tuple(int(size) for size in operands[1].reshape(-1))
    return np.broadcast_to(operands[0], np.broadcast_shapes(operands[0].shape, target))


def _filled_content(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not contents.are_numbers(operands[0]):
        return None
    return np.full([int(size) for size in operands[0].reshape(-1)], node.attributes["value"], dtype=object)


def _counted_content(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not all(map(contents.are_numbers, operands)):
        return None
    return np.arange(*(int(operand.reshape(-1)[0]) for operand in operands)).astype(object)


# some elements of the first operand, in other places
picked = partial(Operation, factors=(IN_FIRST,), moves="some", macs=each)


BEHIND = range(1, 8)  # every operand but the first

OPERATIONS = (
    picked(
        "broadcast",
        axes=axes.broadcast,
        adjoint=broadcasting(same),
        controls=(1,),
        takes_shape=True,
        shape=shapes.broadcast_to,
        integers=_broadcast_content,
    ),
    picked(
        "gather",
        axes=axes.gathered,
        adjoint=_gather,
        selectors=IN_SECOND,
        rank=shapes.rank_gathered,
        shape=shapes.gathered,
        integers=_gathered_content,
    ),
    picked(
        "gather_elements",
        axes=axes.picked_by_element,
        adjoint=_gather_elements,
        selectors=IN_SECOND,
        equal_batches=True,
        shape=shapes.as_indices,
    ),
    picked(
        "gather_nd",
        axes=axes.gathered_by_places,
        selectors=IN_SECOND,
        rank=shapes.rank_gathered_by_places,
        shape=shapes.gathered_by_places,
    ),
    picked("roll", axes=axes.rolled, adjoint=_roll, controls=BEHIND, shape=shapes.as_data),
    # items of as many groups in turn: the first of each, then the second of each
    picked("shuffle", axes=axes.split, adjoint=_shuffle, moves="all", shape=shapes.as_data),
    picked("tile", axes=axes.tiled, adjoint=_tile, controls=(1,), shape=shapes.tiled),
    picked(
        "slice",
        axes=axes.sliced,
        centres=centres.every_step,
        adjoint=_slice,
        controls=BEHIND,
        rank=shapes.rank_sliced,
        shape=shapes.sliced,
        integers=_sliced_content,
    ),
    # the adjoints of its parts come side by side
    picked("split", axes=axes.split, adjoint=same, controls=BEHIND, shape=shapes.split, integers=_split_content, splits=True),
    Operation(
        name="concat",
        axes=axes.joined,
        addends=ALL,
        joins=True,
        equal_batches=True,
        macs=each,
        rank=shapes.rank_as_before,
        shape=shapes.joined,
        integers=_joined_content,
        adjoint=_concat,
    ),
    # each item and those ahead of it along an axis
    Operation(
        name="cumsum", axes=axes.split, factors=(IN_FIRST,), controls=(1,), macs=each, shape=shapes.as_data, adjoint=_running
    ),
    Operation(
        name="pad",
        axes=axes.padded,
        centres=centres.padded,
        factors=(IN_FIRST,),
        addends=(2, 3),  # the value, which an operand holds in one dialect or the other
        controls=(1,),
        macs=each,
        shape=shapes.padded,
        adjoint=_pad,
    ),
    Operation(
        name="resize",
        axes=axes.resized,
        centres=centres.resized,
        factors=(IN_FIRST,),
        controls=BEHIND,
        macs=each,
        shape=shapes.resized,
        adjoint=_resize,
    ),
    # boxes, scores, then counts and thresholds
    Operation(name="non_max_suppression", axes=mixed, controls=range(2, 6), macs=each),
    # offsets of boxes, scores, priors
    Operation(name="detection_output", axes=mixed, macs=each),
    Operation(name="full", axes=mixed, controls=(0,), macs=each, shape=shapes.filled, integers=_filled_content),
    Operation(name="non_zero", axes=mixed, macs=each),
    Operation(name="range", axes=mixed, macs=each, shape=shapes.counted, integers=_counted_content),
    Operation(name="scatter_rows", axes=mixed, shape=shapes.as_data, macs=each),
    Operation(name="shape", axes=mixed, controls=(0,), macs=nothing),
    Operation(name="size", axes=mixed, controls=(0,), macs=each),
    Operation(name="scatter_add", axes=mixed, selectors=IN_SECOND, macs=each),
    Operation(name="top_k", axes=axes.ranked, controls=(1,), ranks=True, macs=each_read, shape=shapes.ranked, adjoint=_top_k),
    Operation(name="argmax", axes=mixed, ranks=True, macs=each_read),
)
