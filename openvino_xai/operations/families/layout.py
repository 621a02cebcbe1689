"""Changes of layout and type: every element of an operand stands in the output once, in another place."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, Size, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes, contents, shapes
from openvino_xai.operations.adjoint import Step, refused, same
from openvino_xai.operations.record import IN_FIRST, Contents, Operation, each, nothing


def _reshape(at: Step, index: int, g: Value) -> Value:
    """Axes that the adjoint is the same along stay of size 1 where the reshape leaves them alone."""
    before, after, lazy = at.operand_shape(0), at.output_shape(), shape_of(g)
    if lazy == after:
        return at.xp.reshape(g, before)
    groups = _groups(before, after)
    if groups is not None and all(all(lazy[t] == after[t] for t in ts) or all(lazy[t] == 1 for t in ts) for _, ts in groups):
        sizes = {s: before[s] if all(lazy[t] == after[t] for t in ts) else 1 for ss, ts in groups for s in ss}
        return at.xp.reshape(g, tuple(sizes.get(axis, 1) for axis in range(len(before))))
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
    gone = {axis % len(at.operand_shape(0)) for axis in at.node.attributes["axes"]}
    sizes = iter(shape_of(g))
    return at.xp.reshape(g, tuple(1 if axis in gone else next(sizes) for axis in range(len(at.operand_shape(0)))))


def _unsqueeze(at: Step, index: int, g: Value) -> Value:
    new = {axis % len(at.output_shape()) for axis in at.node.attributes["axes"]}
    return at.xp.reshape(g, tuple(size for axis, size in enumerate(shape_of(g)) if axis not in new))


def _transpose(at: Step, index: int, g: Value) -> Value:
    return at.xp.permute_dims(g, tuple(int(i) for i in np.argsort(at.node.attributes["perm"])))


def _regrouped(at: Step, g: Value, parts: tuple[Size | None, ...], order: tuple[int, ...]) -> Value:
    """An adjoint with its axes split into parts, which come in another order."""
    sizes = tuple(size for size in parts if size is not None)
    if len(sizes) < len(parts):
        raise refused(at, "its sizes are known only when the model runs")
    return at.xp.reshape(at.xp.permute_dims(at.xp.reshape(at.full(g), sizes), order), at.operand_shape(0))


def _depth_to_space(at: Step, index: int, g: Value) -> Value:
    (images, channels, height, width), block = at.output_shape(), at.node.attributes["block"]
    parts = (images, channels, quotient(height, block), block, quotient(width, block), block)
    return _regrouped(at, g, parts, (0, 1, 3, 5, 2, 4) if at.node.attributes["depth_first"] else (0, 3, 5, 1, 2, 4))


def _space_to_depth(at: Step, index: int, g: Value) -> Value:
    (images, channels, *cells), block = at.output_shape(), at.node.attributes["block"]
    deep = quotient(channels, block**2)
    if at.node.attributes["depth_first"]:
        return _regrouped(at, g, (images, deep, block, block, *cells), (0, 1, 4, 2, 5, 3))
    return _regrouped(at, g, (images, block, block, deep, *cells), (0, 3, 4, 1, 5, 2))


def _fold(at: Step, index: int, g: Value) -> Value:
    """Of windows that tile an image: each element comes from one place."""
    (images, channels, height, width), (high, wide) = at.output_shape(), at.node.attributes["kernel"]
    if not tiles(at.node):
        raise refused(at, "its windows overlap, or leave places out")
    parts = (images, channels, quotient(height, high), high, quotient(width, wide), wide)
    return _regrouped(at, g, parts, (0, 1, 3, 5, 2, 4))


def tiles(node: Node) -> bool:
    """Whether windows lie side by side, without padding: each place of an image is in one of them."""
    a = node.attributes
    return bool(a["kernel"] == a["strides"] and not any(a["pads"]) and all(size == 1 for size in a["dilations"]))


def _folded_shape(node: Node, content: Contents) -> list[Shape] | None:
    """The rows and columns that an operand tells, and as many channels as windows leave."""
    (images, channels, _), sizes = shape_of(node.operand(0)), content(1)
    deep = quotient(channels, math.prod(node.attributes["kernel"]))
    return None if deep is None or sizes is None or len(sizes) != 2 else [(images, deep, *sizes)]


def _cast_content(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    dtype = node.outputs[0].dtype
    if not contents.are_numbers(operands[0]) or dtype is None or dtype.kind not in "iuf":
        return operands[0]
    return operands[0].astype(float).astype(np.int64 if dtype.kind in "iu" else float).astype(object)


def _reshaped_content(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if len(operands) < 2 or not contents.are_numbers(operands[1]):
        return None
    target, before = [int(size) for size in operands[1].reshape(-1)], operands[0].shape
    sizes = [before[axis] if size == 0 and axis < len(before) else size for axis, size in enumerate(target)]  # 0 is as before
    count = int(np.prod([size for size in sizes if size != -1]))
    fits = operands[0].size == count if -1 not in sizes else count and operands[0].size % count == 0
    return operands[0].reshape(sizes) if fits and sizes.count(-1) < 2 and min(sizes, default=0) >= -1 else None


# elements in another place, or of another type; all but a reshape leave an adjoint as small as it is
change = partial(Operation, factors=(IN_FIRST,), moves="all", controls=(1,), macs=nothing, lazy_adjoint=True)


# channels [b b C, or C b b where `depth_first`] and blocks of b x b cells become each other
blocks = partial(Operation, factors=(IN_FIRST,), moves="all", axes=axes.in_blocks, macs=each)


OPERATIONS = (
    # windows [B, C k k, N] of an image, summed where they overlap: what is taken apart by gathers, put together again
    Operation(
        "col2im",
        axes=axes.folded,
        factors=(IN_FIRST,),
        controls=(1, 2),
        macs=each,
        shape=_folded_shape,
        adjoint=_fold,
    ),
    blocks("depth_to_space", adjoint=_depth_to_space),
    blocks("space_to_depth", adjoint=_space_to_depth),
    change(
        "cast",
        axes=axes.elementwise,
        adjoint=same,
        macs=each,
        pointwise=True,
        shape=shapes.broadcast_of_all,
        integers=_cast_content,
    ),
    change(
        "identity",
        axes=axes.elementwise,
        adjoint=same,
        pointwise=True,
        shape=shapes.broadcast_of_all,
        integers=contents.first,
    ),
    change(
        "reshape",
        axes=axes.reshaped,
        adjoint=_reshape,
        takes_shape=True,
        rank=shapes.rank_of_target,
        shape=shapes.reshaped,
        integers=_reshaped_content,
        lazy_adjoint=False,
    ),
    change(
        "squeeze",
        axes=axes.squeezed,
        adjoint=_squeeze,
        rank=shapes.rank_less_axes,
        integers=lambda node, operands: np.squeeze(operands[0], axis=tuple(node.attributes["axes"])),
    ),
    change(
        "transpose",
        axes=axes.transposed,
        adjoint=_transpose,
        macs=each,
        rank=shapes.rank_as_before,
        integers=lambda node, operands: operands[0].transpose(node.attributes["perm"]),
    ),
    change(
        "unsqueeze",
        axes=axes.unsqueezed,
        adjoint=_unsqueeze,
        rank=shapes.rank_with_axes,
        shape=shapes.unsqueezed,
        integers=lambda node, operands: np.expand_dims(operands[0], axis=tuple(node.attributes["axes"])),
    ),
)
