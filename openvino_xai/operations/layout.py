"""Changes of layout: what moves, repeats, cuts or joins."""

from __future__ import annotations

import math

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Shape, product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.adjoint import Rule, Step, refused
from openvino_xai.operations.arithmetic import broadcasting
from openvino_xai.operations.elementwise import same
from openvino_xai.operations.integers import LARGEST


def _reshape(at: Step, index: int, g: Value) -> Value:
    """Axes that the adjoint is the same along stay of size 1 where the reshape leaves them alone."""
    before, after, lazy = at.operand_shape(0), at.output_shape(), shape_of(g)
    if lazy == after:
        return at.xp.reshape(g, before)
    groups = _groups(before, after)
    if groups is not None and all(all(lazy[t] == after[t] for t in ts) or all(lazy[t] == 1 for t in ts) for _, ts in groups):
        kept = {s: before[s] if all(lazy[t] == after[t] for t in ts) else 1 for ss, ts in groups for s in ss}
        return at.xp.reshape(g, tuple(kept.get(axis, 1) for axis in range(len(before))))
    return at.xp.reshape(at.full(g), before)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Runs of axes before and after that hold the same elements, each as short as can be."""
    groups: list[tuple[list[int], list[int]]] = []
    s = t = 0
    while s < len(before) or t < len(after):
        left: list[int] = []
        right: list[int] = []
        while True:
            if s < len(before) and (not left or _small(before, left) <= _small(after, right)):
                left.append(s)
                s += 1
            elif t < len(after):
                right.append(t)
                t += 1
            else:
                return groups if not right and product(before[i] for i in left) == 1 else None
            if left and right and product(before[i] for i in left) == product(after[i] for i in right):
                break
            if s == len(before) and t == len(after):
                return None
        groups.append((left, right))
    return groups


def _small(shape: Shape, axes: list[int]) -> int:
    return math.prod(size if isinstance(size, int) else size.factor for size in (shape[axis] for axis in axes))


def _squeeze(at: Step, index: int, g: Value) -> Value:
    axes = {axis % len(at.operand_shape(0)) for axis in at.node.attributes["axes"]}
    kept = iter(shape_of(g))
    return at.xp.reshape(g, tuple(1 if axis in axes else next(kept) for axis in range(len(at.operand_shape(0)))))


def _unsqueeze(at: Step, index: int, g: Value) -> Value:
    axes = {axis % len(at.output_shape()) for axis in at.node.attributes["axes"]}
    return at.xp.reshape(g, tuple(size for axis, size in enumerate(shape_of(g)) if axis not in axes))


def _transpose(at: Step, index: int, g: Value) -> Value:
    return at.xp.permute_dims(g, tuple(int(i) for i in np.argsort(at.node.attributes["perm"])))


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
        order = (*(a for a in range(rank) if a != axis), axis)
        there = (places[:, None] == np.arange(size)).astype(g.dtype)
        return xp.permute_dims(xp.matmul(xp.permute_dims(g, order), there), tuple(int(i) for i in np.argsort(order)))
    source = np.full(size, len(places))
    source[places] = np.arange(len(places))
    if (source == len(places)).any():
        one = tuple(1 if a == axis else n for a, n in enumerate(shape_of(g)))
        g = xp.concat([g, xp.broadcast_to(np.zeros((1,) * rank, g.dtype), one)], axis=axis)
    return xp.take(g, source, axis=axis)


def _slice(at: Step, index: int, g: Value) -> Value:
    a, shape = at.node.attributes, at.operand_shape(0)
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        axis %= len(shape)
        if shape[axis] == at.output_shape()[axis] and step == 1:
            continue
        size = _length(at, 0, axis)
        stop = None if step < 0 and end < -size else end
        g = moved(at, g, axis, np.arange(size)[slice(start, stop, step)])
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
    if indices is None or indices.size > LARGEST:
        raise refused(at, "its indices are known only when the model runs")
    places = indices.reshape(-1).astype(np.int64) % _length(at, 0, axis)
    g = at.full(g, tuple(range(axis, axis + indices.ndim)))
    shape = shape_of(g)
    flat = at.xp.reshape(g, (*shape[:axis], places.size, *shape[axis + indices.ndim :]))
    return _moved(at.xp, flat, axis, places, _length(at, 0, axis))


def _roll(at: Step, index: int, g: Value) -> Value:
    shifts = at.integers(1)
    if shifts is None:
        raise refused(at, "how far it rolls is known only when the model runs")
    for shift, axis in zip(shifts, at.node.attributes["axes"], strict=True):
        axis %= len(at.operand_shape(0))
        g = moved(at, g, axis, (np.arange(_length(at, 0, axis)) - shift) % _length(at, 0, axis))
    return g


RULES: dict[str, Rule] = {
    "broadcast": broadcasting(same),
    "cast": same,
    "concat": _concat,
    "gather": _gather,
    "identity": same,
    "pad": _pad,
    "reshape": _reshape,
    "roll": _roll,
    "slice": _slice,
    "split": same,  # the adjoints of its parts come side by side
    "squeeze": _squeeze,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
}
