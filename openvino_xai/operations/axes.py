"""Which axes an operation treats alike: what locating and planning stand on.

An output axis *comes from* an operand's axis; it does so *exactly* when index t of the one depends on index t of the
other and on nothing else there. Along an exact axis an operation is a map over slices, so it can be repeated over more
of them: that makes a batch axis a row axis, and it makes a cell axis one that a lazy mask passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import shape_of


class Source(NamedTuple):
    """Where an output axis comes from: an operand's axis, and whether every index is treated alike."""

    operand: int
    axis: int
    exact: bool = True


Axes = list[list[Source]]  # for each axis of an output, where it comes from
Item = TypeVar("Item")


def _none(rank: int) -> Axes:
    return [[] for _ in range(rank)]


def _broadcast(node: Node, operands: Iterable[int] | None = None, skip_last: int = 0) -> Axes:
    """Axes aligned from the right, as NumPy broadcasts; the last `skip_last` are left alone."""
    out = shape_of(node.outputs[0])
    axes = _none(len(out))
    for index, value in node.operands:
        if operands is not None and index not in operands:
            continue
        shape = shape_of(value)
        for axis, size in enumerate(shape):
            target = axis + len(out) - len(shape)
            if 0 <= target < len(out) - skip_last and axis < len(shape) - skip_last and (size != 1 or out[target] == 1):
                axes[target].append(Source(index, axis))
    return axes


def elementwise(node: Node) -> Axes:
    """Aligned from the right, as NumPy broadcasts."""
    return _broadcast(node)


def broadcast(node: Node) -> Axes:
    """The first operand's, aligned from the right."""
    return _broadcast(node, operands=(0,))


def by_channel(node: Node) -> Axes:
    """As the first operand's; the others have a number for each channel."""
    rank = len(shape_of(node.outputs[0]))
    axes = [[Source(0, axis)] for axis in range(rank)]
    each = [Source(index, 0) for index, value in node.operands if index and len(shape_of(value)) == 1 != shape_of(value)[0]]
    if each:
        axes[node.attributes.get("axis", 1) % rank] += each
    return axes


def slope_by_channel(node: Node) -> Axes:
    """A slope of one axis belongs to channels, where the dialect says so; others are broadcast."""
    belongs = node.attributes["by_channel"] and len(shape_of(node.operand(1))) == 1
    return by_channel(node) if belongs else elementwise(node)


def except_axes(node: Node) -> Axes:
    """Softmax, the norms: slices along every axis but the ones that are normalised."""
    rank = len(shape_of(node.outputs[0]))
    normalised = {axis % rank for axis in node.attributes["axes"]}
    return [[] if axis in normalised else [Source(0, axis)] for axis in range(rank)]


def group_norm(node: Node) -> Axes:
    """Images apart; positions are scaled by what is beside them."""
    axes = _none(len(shape_of(node.outputs[0])))
    axes[0] = [Source(0, 0)]
    for axis in range(2, len(axes)):
        axes[axis] = [Source(0, axis, exact=False)]
    return axes


def instance_norm(node: Node) -> Axes:
    """Images and channels apart."""
    axes = group_norm(node)
    axes[1] = by_channel(node)[1]
    return axes


def is_pointwise(node: Node, axis: int) -> bool:
    """True where a convolution or pool reads one position for each of its own along spatial axis `axis`."""
    a = node.attributes
    kernel = a["kernel"][axis]
    return bool(kernel == 1 and a["strides"][axis] == 1 and not a["pads"][axis] and not a["pads"][axis + len(a["kernel"])])


def is_1x1(node: Node) -> bool:
    """True where a convolution reads one position for each of its own."""
    return all(is_pointwise(node, axis) for axis in range(len(node.attributes["kernel"])))


def _windows(node: Node, channels: list[Source], exact: Callable[[int], bool]) -> Axes:
    """Images apart, and spatial axes exact where each position is read alone."""
    rank = len(shape_of(node.outputs[0]))
    return [[Source(0, 0)], channels, *([Source(0, axis, exact(axis - 2))] for axis in range(2, rank))]


def convolution(node: Node) -> Axes:
    """Channels come from the weights."""
    channels = [Source(index, 0) for index, _ in node.operands if index] if node.attributes["groups"] == 1 else []
    return _windows(node, channels, lambda axis: is_pointwise(node, axis))


def transposed_convolution(node: Node) -> Axes:
    """Positions are spread over others."""
    return _windows(node, [], lambda axis: False)


def pool(node: Node) -> Axes:
    """Channels apart."""
    return _windows(node, [Source(0, 1)], lambda axis: is_pointwise(node, axis))


def matmul(node: Node) -> Axes | None:
    """Batch axes are broadcast, rows are the first operand's, columns the second's; an addend is broadcast."""
    a, b = (len(shape_of(node.operand(i))) for i in (0, 1))
    transposed = node.attributes.get("transpose_a", False), node.attributes.get("transpose_b", False)
    if a < 2 or b < 2:
        if b == 1 and a >= 2 and not transposed[0]:
            return [[Source(0, axis)] for axis in range(a - 1)]
        return None
    axes = _broadcast(node, operands=(0, 1), skip_last=2)
    axes[-2] = [Source(0, a - 1 if transposed[0] else a - 2)]
    axes[-1] = [Source(1, b - 2 if transposed[1] else b - 1)]
    if len(node.inputs) > 2 and node.inputs[2] is not None:  # Gemm's addend
        for target, sources in zip(axes, _broadcast(node, operands=(2,)), strict=True):
            target.extend(sources)
    return axes


def attention(node: Node) -> Axes:
    """Scaled dot-product attention: queries [..., Q, D], keys [..., T, D], values [..., T, V], perhaps a mask and a scale."""
    axes = _broadcast(node, operands=(0, 1, 2), skip_last=2)
    axes[-2] = [Source(0, len(shape_of(node.operand(0))) - 2)]
    axes[-1] = [Source(2, len(shape_of(node.operand(2))) - 1)]
    if len(node.inputs) > 3 and node.inputs[3] is not None and len(shape_of(node.operand(3))) > 1:
        for target, sources in enumerate(_broadcast(node, operands=(3,))[:-1]):
            axes[target].extend(sources)
    return axes


def einsum(node: Node) -> Axes | None:
    """An axis of the result is the axes of the operands that have its letter; letters it does not have are summed over."""
    sides = node.attributes["equation"].replace(" ", "").split("->")
    if len(sides) != 2 or "." in sides[0] or len(set(sides[1])) != len(sides[1]):
        return None
    read = sides[0].split(",")
    return [[Source(i, labels.index(letter)) for i, labels in enumerate(read) if letter in labels] for letter in sides[1]]


def reduced(node: Node) -> Axes:
    """Axes that are not reduced."""
    rank = len(shape_of(node.operand(0)))
    reduced = {axis % rank for axis in node.attributes["axes"]}
    axes: Axes = []
    for axis in range(rank):
        if axis not in reduced:
            axes.append([Source(0, axis)])
        elif node.attributes["keepdims"]:
            axes.append([])
    return axes


def squeezed(node: Node) -> Axes:
    """Axes that stay."""
    rank = len(shape_of(node.operand(0)))
    gone = {axis % rank for axis in node.attributes["axes"]}
    return [[Source(0, axis)] for axis in range(rank) if axis not in gone]


def unsqueezed(node: Node) -> Axes:
    """Axes that were there."""
    rank = len(shape_of(node.outputs[0]))
    new = {axis % rank for axis in node.attributes["axes"]}
    sources = iter(range(rank))
    return [[] if axis in new else [Source(0, next(sources))] for axis in range(rank)]


def transposed(node: Node) -> Axes:
    """Axes in another order."""
    return [[Source(0, axis)] for axis in node.attributes["perm"]]


def reshaped(node: Node) -> Axes:
    """An axis survives a reshape where as many elements stand before it as before, and it is as long as before."""
    before, after = shape_of(node.operand(0)), shape_of(node.outputs[0])
    axes = _none(len(after))
    start = 0
    for axis, size in enumerate(before):
        ahead = product(before[:axis])
        for target in range(start, len(after)):
            if after[target] == size and product(after[:target]) == ahead:
                axes[target] = [Source(0, axis)]
                start = target + 1
                break
    return axes


def joined(node: Node) -> Axes:
    """Axes along which nothing is joined."""
    rank = len(shape_of(node.outputs[0]))
    along = node.attributes["axis"] % rank
    return [[] if axis == along else [Source(index, axis) for index, _ in node.operands] for axis in range(rank)]


def split(node: Node) -> Axes:
    """Axes along which nothing is split."""
    rank = len(shape_of(node.operand(0)))
    along = node.attributes["axis"] % rank
    return [[] if axis == along else [Source(0, axis)] for axis in range(rank)]


def relaid(node: Node, items: Iterable[Item], new: Item) -> list[Item]:
    """Items, one for each axis of a slice's operand, as its output has axes: some are dropped, and others are `new`."""
    left = [item for axis, item in enumerate(items) if axis not in node.attributes.get("dropped", ())]
    for axis in sorted(node.attributes.get("added", ())):
        left.insert(axis, new)
    return left


def sliced(node: Node) -> Axes:
    """Axes that are whole, and, coarser, those of which every step-th item is taken."""
    rank = len(shape_of(node.operand(0)))
    a, places = node.attributes, relaid(node, range(rank), -1)
    steps = {axis % rank: (step, start) for axis, step, start in zip(a["axes"], a["steps"], a["starts"], strict=True)}
    axes: Axes = []
    for axis in range(rank):
        step, start = steps.get(axis, (1, 0))
        after = shape_of(node.outputs[0])[places.index(axis)] if axis in places else None
        if axis not in steps or (step == 1 and start == 0 and after == shape_of(node.operand(0))[axis]):
            axes.append([Source(0, axis)])
        elif step > 1 and 0 <= start < step:  # every step-th: coarser, and still from end to end
            axes.append([Source(0, axis, exact=False)])
        else:
            axes.append([])
    return relaid(node, axes, [])


def resized(node: Node) -> Axes:
    """Rows and columns are made anew of their neighbours; the axes that are not resized are treated alike."""
    rank = len(shape_of(node.operand(0)))
    resized = {axis % rank for axis in node.attributes["axes"]}
    if rank != len(shape_of(node.outputs[0])):
        return _none(len(shape_of(node.outputs[0])))
    return [[Source(0, axis, exact=axis not in resized)] for axis in range(rank)]


def in_blocks(node: Node) -> Axes:
    """Images apart; rows and columns are coarser, or finer, and channels are others."""
    return [[Source(0, 0)], [], *([Source(0, axis, exact=False)] for axis in (2, 3))]


def folded(node: Node) -> Axes:
    """Images apart; windows are spread over rows and columns."""
    return [[Source(0, 0)], [], [], []]


def rolled(node: Node) -> Axes:
    """Along the axes that are rolled, items move to other places."""
    rank = len(shape_of(node.operand(0)))
    rolled = {axis % rank for axis in node.attributes["axes"]}
    return [[] if axis in rolled else [Source(0, axis)] for axis in range(rank)]


def gathered(node: Node) -> Axes:
    """Axes along which nothing is picked."""
    rank, added = len(shape_of(node.operand(0))), len(shape_of(node.operand(1)))
    along = node.attributes["axis"] % rank
    axes: Axes = [[Source(0, axis)] for axis in range(rank)]
    axes[along : along + 1] = _none(added)
    return axes


def gathered_by_places(node: Node) -> Axes:
    """Axes that a place says nothing of: those behind the ones that it counts along."""
    data, places, rank = (len(shape_of(value)) for value in (node.operand(0), node.operand(1), node.outputs[0]))
    counted = shape_of(node.operand(1))[places - 1]
    left = data - node.attributes["batch_dims"] - counted if isinstance(counted, int) else 0
    return [*_none(rank - left), *([Source(0, axis)] for axis in range(data - left, data))]


def padded(node: Node) -> Axes:
    """Axes without padding are treated alike."""
    pads = node.attributes["pads"]
    rank = len(shape_of(node.operand(0)))
    return [[Source(0, axis, exact=not (pads[axis] or pads[axis + rank]))] for axis in range(rank)]


def picked_by_element(node: Node) -> Axes:
    """Axes along which nothing is picked, and each item picks in its own: they are as long in both operands."""
    data, indices = (shape_of(node.operand(index)) for index in (0, 1))
    along = node.attributes["axis"] % len(data)
    return [
        [] if axis == along or size != data[axis] else [Source(0, axis), Source(1, axis)] for axis, size in enumerate(indices)
    ]


def ranked(node: Node) -> Axes:
    """Axes along which nothing is compared."""
    rank = len(shape_of(node.operand(0)))
    along = node.attributes["axis"] % rank
    return [[] if axis == along else [Source(0, axis)] for axis in range(rank)]


def tiled(node: Node) -> Axes:
    """Axes that are as long as before."""
    before, after = shape_of(node.operand(0)), shape_of(node.outputs[0])
    ahead = len(after) - len(before)
    return [
        [Source(0, axis - ahead)] if axis >= ahead and before[axis - ahead] == size else [] for axis, size in enumerate(after)
    ]


def sampled(node: Node) -> Axes:
    """Images apart; channels are those of what is sampled, and rows and columns those of the places."""
    return [[Source(0, 0), Source(1, 0)], [Source(0, 1)], [Source(1, 1)], [Source(1, 2)]]


def recurrent_steps(node: Node) -> Axes:
    """Sequences apart. A step depends on others, and what is handed on is made of all that a step reads."""
    return _sequences(node, node.attributes["result"])


def recurrent_states(node: Node) -> Axes:
    """Sequences apart, of the last states."""
    return _sequences(node, node.attributes["states"])


def _sequences(node: Node, output: str) -> Axes:
    """By letters of axes: those of the data, of how long sequences are, and of the first states, which are operands 4 to 6."""
    states = node.attributes["states"]
    letters = {0: node.attributes["data"], 4: "b", 5: states, 6: states}
    sequences = [Source(index, letters[index].index("b")) for index, _ in node.operands if index in letters]
    return [sequences if letter == "b" else [] for letter in output]
