"""Which axes an operation treats alike: the one table over kinds that locating and planning stand on.

An output axis *comes from* an operand's axis; it does so *exactly* when index t of the one depends on index t of the
other and on nothing else there. Along an exact axis an operation is a map over slices, so it can be repeated over more
of them: that makes a batch axis a row axis, and it makes a cell axis one that a lazy mask passes through. A kind
without an entry here is refused by name, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from openvino_xai.graph.counting import is_reshape
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, product, quotient
from openvino_xai.graph.symbolic import known_integers, symbolic_content


class Source(NamedTuple):
    """Where an output axis comes from: an operand's axis, and whether every index is treated alike."""

    operand: int
    axis: int
    exact: bool = True


Axes = list[list[Source]]  # for each axis of an output, where it comes from
Rule = Callable[[Node], "Axes | None"]

UNARY = frozenset(
    "abs asin acos atan cast ceil clip cos elu erf exp floor gelu hard_sigmoid hard_swish identity is_nan leaky_relu log mish "
    "negative not reciprocal relu round selu sigmoid sign silu sin softplus softsign sqrt tan tanh thresholded_relu".split()
)
BROADCASTING = frozenset(
    "add and divide equal fake_quantize greater greater_equal less less_equal maximum minimum mod multiply not_equal or "
    "power squared_difference subtract where xor".split()
)
REDUCTIONS = frozenset("mean sum max min prod l1 l2 log_sum_exp sum_square".split())
POOLS = frozenset("max_pool avg_pool lp_pool".split())
NORMALISES = frozenset("group_norm instance_norm layer_norm log_softmax lrn normalize_l2 softmax".split())
FOLLOWS_DATA = frozenset("batch_norm dequantize prelu quantize".split())


def axes_of(node: Node) -> list[Axes] | None:
    """For each output of `node`, where its axes come from; None where no rule knows it or its shapes are unknown."""
    rule = RULES.get(node.kind)
    if rule is None or any(value.shape is None for value in node.outputs):
        return None
    if any(value.shape is None for _, value in node.operands):
        return None
    axes = rule(node)
    if axes is None or any(len(axes) != len(_shape(value)) for value in node.outputs):
        return None
    return [axes] * len(node.outputs)


def _shape(value: Value) -> Shape:
    assert value.shape is not None
    return value.shape


def _none(rank: int) -> Axes:
    return [[] for _ in range(rank)]


def _broadcast(node: Node, operands: Iterable[int] | None = None, skip_last: int = 0) -> Axes:
    """Axes aligned from the right, as NumPy broadcasts; the last `skip_last` are left alone."""
    out = _shape(node.outputs[0])
    axes = _none(len(out))
    for index, value in node.operands:
        if operands is not None and index not in operands:
            continue
        shape = _shape(value)
        for axis, size in enumerate(shape):
            target = axis + len(out) - len(shape)
            if 0 <= target < len(out) - skip_last and axis < len(shape) - skip_last and (size != 1 or out[target] == 1):
                axes[target].append(Source(index, axis))
    return axes


def _elementwise(node: Node) -> Axes:
    return _broadcast(node)


def _follows_data(node: Node) -> Axes:
    return [[Source(0, axis)] for axis in range(len(_shape(node.outputs[0])))]


def _except_axes(node: Node) -> Axes:
    """Softmax, the norms: slices along every axis but the ones that are normalised."""
    rank = len(_shape(node.outputs[0]))
    mixed = {axis % rank for axis in node.attributes["axes"]}
    return [[] if axis in mixed else [Source(0, axis)] for axis in range(rank)]


def _group_norm(node: Node) -> Axes:
    axes = _none(len(_shape(node.outputs[0])))
    axes[0] = [Source(0, 0)]
    if node.kind == "instance_norm":
        axes[1] = [Source(0, 1)]
    for axis in range(2, len(axes)):
        axes[axis] = [Source(0, axis, exact=False)]
    return axes


def is_pointwise(node: Node, axis: int) -> bool:
    """True where a convolution or pool reads one position for each of its own along spatial axis `axis`."""
    a = node.attributes
    kernel = a["kernel"][axis]
    return bool(kernel == 1 and a["strides"][axis] == 1 and not a["pads"][axis] and not a["pads"][axis + len(a["kernel"])])


def _convolution(node: Node) -> Axes:
    axes = _none(len(_shape(node.outputs[0])))
    axes[0] = [Source(0, 0)]
    if node.kind in POOLS:
        axes[1] = [Source(0, 1)]
    elif node.kind == "conv" and node.attributes["groups"] == 1:
        axes[1] = [Source(index, 0) for index, _ in node.operands if index]
    for axis in range(2, len(axes)):
        exact = node.kind != "conv_transpose" and is_pointwise(node, axis - 2)
        axes[axis] = [Source(0, axis, exact)]
    return axes


def _matmul(node: Node) -> Axes | None:
    a, b = (len(_shape(node.operand(i))) for i in (0, 1))
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


def _attention(node: Node) -> Axes:
    """Scaled dot-product attention: queries [..., Q, D], keys [..., T, D], values [..., T, V], perhaps a mask and a scale."""
    axes = _broadcast(node, operands=(0, 1, 2), skip_last=2)
    axes[-2] = [Source(0, len(_shape(node.operand(0))) - 2)]
    axes[-1] = [Source(2, len(_shape(node.operand(2))) - 1)]
    if len(node.inputs) > 3 and node.inputs[3] is not None and len(_shape(node.operand(3))) > 1:
        for target, sources in enumerate(_broadcast(node, operands=(3,))[:-1]):
            axes[target].extend(sources)
    return axes


def _einsum(node: Node) -> Axes | None:
    """An axis of the result is the axes of the operands that have its letter; letters it does not have are summed over."""
    sides = node.attributes["equation"].replace(" ", "").split("->")
    if len(sides) != 2 or "." in sides[0] or len(set(sides[1])) != len(sides[1]):
        return None
    read = sides[0].split(",")
    return [[Source(i, labels.index(letter)) for i, labels in enumerate(read) if letter in labels] for letter in sides[1]]


def _reduce(node: Node) -> Axes:
    rank = len(_shape(node.operand(0)))
    reduced = {axis % rank for axis in node.attributes["axes"]}
    axes: Axes = []
    for axis in range(rank):
        if axis not in reduced:
            axes.append([Source(0, axis)])
        elif node.attributes["keepdims"]:
            axes.append([])
    return axes


def _squeeze(node: Node) -> Axes:
    rank = len(_shape(node.operand(0)))
    gone = {axis % rank for axis in node.attributes["axes"]}
    return [[Source(0, axis)] for axis in range(rank) if axis not in gone]


def _unsqueeze(node: Node) -> Axes:
    rank = len(_shape(node.outputs[0]))
    new = {axis % rank for axis in node.attributes["axes"]}
    kept = iter(range(rank))
    return [[] if axis in new else [Source(0, next(kept))] for axis in range(rank)]


def _transpose(node: Node) -> Axes:
    return [[Source(0, axis)] for axis in node.attributes["perm"]]


def _reshape(node: Node) -> Axes:
    """An axis survives a reshape where as many elements stand before it as before, and it is as long as before."""
    before, after = _shape(node.operand(0)), _shape(node.outputs[0])
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


def _concat(node: Node) -> Axes:
    rank = len(_shape(node.outputs[0]))
    along = node.attributes["axis"] % rank
    every = [index for index, _ in node.operands]
    return [[] if axis == along else [Source(index, axis) for index in every] for axis in range(rank)]


def _split(node: Node) -> Axes:
    rank = len(_shape(node.operand(0)))
    along = node.attributes["axis"] % rank
    return [[] if axis == along else [Source(0, axis)] for axis in range(rank)]


def _slice(node: Node) -> Axes:
    rank = len(_shape(node.operand(0)))
    a = node.attributes
    steps = {axis % rank: (step, start) for axis, step, start in zip(a["axes"], a["steps"], a["starts"], strict=True)}
    axes: Axes = []
    for axis in range(rank):
        step, start = steps.get(axis, (1, 0))
        if axis not in steps or (step == 1 and start == 0 and _shape(node.outputs[0])[axis] == _shape(node.operand(0))[axis]):
            axes.append([Source(0, axis)])
        elif step > 1 and 0 <= start < step:  # every step-th: coarser, and still from end to end
            axes.append([Source(0, axis, exact=False)])
        else:
            axes.append([])
    return axes


def _resize(node: Node) -> Axes:
    """Rows and columns are made anew of their neighbours; the axes ahead of them are treated alike."""
    before, after = _shape(node.operand(0)), _shape(node.outputs[0])
    if len(before) != len(after) or before[:2] != after[:2]:
        return _none(len(after))
    return [[Source(0, axis, exact=axis < 2)] for axis in range(len(after))]


def _roll(node: Node) -> Axes:
    """Along the axes that are rolled, items move to other places."""
    rank = len(_shape(node.operand(0)))
    rolled = {axis % rank for axis in node.attributes["axes"]}
    return [[] if axis in rolled else [Source(0, axis)] for axis in range(rank)]


def _gather(node: Node) -> Axes:
    rank, added = len(_shape(node.operand(0))), len(_shape(node.operand(1)))
    along = node.attributes["axis"] % rank
    axes: Axes = [[Source(0, axis)] for axis in range(rank)]
    axes[along : along + 1] = _none(added)
    return axes


def _pad(node: Node) -> Axes:
    pads = node.attributes["pads"]
    rank = len(_shape(node.operand(0)))
    return [[Source(0, axis, exact=not (pads[axis] or pads[axis + rank]))] for axis in range(rank)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, _elementwise),
    **dict.fromkeys(BROADCASTING, _elementwise),
    **dict.fromkeys(FOLLOWS_DATA, _follows_data),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(POOLS, _convolution),
    "attention": _attention,
    "broadcast": lambda node: _broadcast(node, operands=(0,)),
    "concat": _concat,
    "conv": _convolution,
    "conv_transpose": _convolution,
    "einsum": _einsum,
    "gather": _gather,
    "group_norm": _group_norm,
    "instance_norm": _group_norm,
    "layer_norm": _except_axes,
    "log_softmax": _except_axes,
    "lrn": _except_axes,
    "matmul": _matmul,
    "normalize_l2": _except_axes,
    "pad": _pad,
    "reshape": _reshape,
    "resize": _resize,
    "roll": _roll,
    "slice": _slice,
    "softmax": _except_axes,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
}


def refine_shapes(graph: Graph, node: Node) -> None:
    """Name the sizes of a node's outputs that the model leaves open: an axis that comes exactly from another has its size.

    A gather that is a reshape becomes one.
    """
    if is_reshape(graph, node):
        node.kind, node.inputs, node.attributes = "reshape", node.inputs[:1], {}
    first = node.outputs[0]
    for value in node.outputs:
        if graph.is_constant(value) and (value.shape is None or any(isinstance(size, Dim) for size in value.shape)):
            data = graph.constant(value)  # computed from shapes that are known only once it is
            value.shape, value.dtype = (value.shape, value.dtype) if data is None else (data.shape, data.dtype)
    if first.shape is None:
        _find_rank(graph, node)
    if first.shape is not None and node.inputs and node.inputs[0] is not None and node.operand(0).shape is not None:
        if node.kind == "reshape":
            first.shape = _reshaped(graph, node, first.shape)
        elif node.kind == "broadcast":
            first.shape = _broadcast_shape(graph, node, first.shape)
        elif node.kind == "concat":
            first.shape = _concat_shape(node, first.shape)
        elif node.kind == "slice":
            first.shape = _slice_shape(node, first.shape)
        elif node.kind in NORMALISES or node.kind == "roll":
            first.shape = node.operand(0).shape
        elif node.kind == "matmul" and node.operand(1).shape is not None:
            first.shape = (*(_broadcast_size(node, axis) for axis in range(len(first.shape) - 2)), *first.shape[-2:])
        elif node.kind in UNARY or node.kind in BROADCASTING:
            first.shape = tuple(
                _broadcast_size(node, axis) if isinstance(size, Dim) else size for axis, size in enumerate(first.shape)
            )
        elif node.kind in _SPATIAL and len(node.operand(0).shape or ()) == len(first.shape):
            first.shape = tuple(
                _spatial_size(node, axis) if isinstance(size, Dim) else size for axis, size in enumerate(first.shape)
            )
    if node.kind == "split" and all(value.shape is not None for value in (node.operand(0), *node.outputs)):
        _split_shapes(graph, node)
    for value, axes in zip(node.outputs, axes_of(node) or (), strict=False):
        shape = list(_shape(value))
        for axis, sources in enumerate(axes):
            if isinstance(shape[axis], Dim):
                exact = (_shape(node.operand(s.operand))[s.axis] for s in sources if s.exact)
                shape[axis] = next(exact, shape[axis])
        value.shape = tuple(shape)


def _find_rank(graph: Graph, node: Node) -> None:
    """Give the output of a change of layout its rank, with sizes that are not known yet, where the model tells none."""
    before = node.operand(0).shape if node.inputs and node.inputs[0] is not None else None
    told = symbolic_content(graph, node.inputs[1]) if node.kind == "reshape" and len(node.inputs) > 1 else None
    ranks = {
        "reshape": None if told is None else len(told),
        "transpose": len(before or ()),
        "squeeze": len(before or ()) - len(node.attributes.get("axes", ())),
        "unsqueeze": len(before or ()) + len(node.attributes.get("axes", ())),
        "gather": len(before or ()) - 1 + (node.operand(1).rank or 0) if len(node.inputs) > 1 else None,
    }
    rank, value = ranks.get(node.kind), node.outputs[0]
    if before is None or rank is None or (node.kind == "gather" and node.operand(1).shape is None):
        return
    value.shape = tuple(Dim(1, (f"{value.name}[{axis}]",)) for axis in range(rank))
    value.dtype = value.dtype or node.operand(0).dtype
    if node.kind == "unsqueeze":
        new = {axis % rank for axis in node.attributes["axes"]}
        value.shape = tuple(1 if axis in new else size for axis, size in enumerate(value.shape))


def _broadcast_shape(graph: Graph, node: Node, shape: Shape) -> Shape:
    """The shape after a broadcast, where its target is known as sizes: a 1 there keeps what is broadcast."""
    target = symbolic_content(graph, node.operand(1)) if len(node.inputs) > 1 and node.inputs[1] else None
    if target is None or len(target) > len(shape):
        return shape
    before = _shape(node.operand(0))
    sizes: list[Size] = []
    for axis, old in enumerate(shape):
        told = target[axis - len(shape) + len(target)] if axis >= len(shape) - len(target) else 1
        own = before[axis - len(shape) + len(before)] if axis >= len(shape) - len(before) else 1
        sizes.append(old if isinstance(old, int) else told if told != 1 else own)
    return tuple(sizes)


def _slice_shape(node: Node, shape: Shape) -> Shape:
    """The shape of a slice, along axes of which the size is known."""
    before, a, sizes = _shape(node.operand(0)), node.attributes, list(shape)
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        length = before[axis]
        if isinstance(length, int):
            sizes[axis] = len(range(length)[slice(start, end, step)])
    return tuple(sizes)


def _split_shapes(graph: Graph, node: Node) -> None:
    """Give the parts of a split their size, where the parts or their number tell it."""
    axis = node.attributes["axis"] % len(_shape(node.operand(0)))
    whole, count = _shape(node.operand(0))[axis], len(node.outputs)
    told = known_integers(graph, node, 1)
    if told is None and isinstance(whole, int) and whole % count == 0:
        told = [whole // count] * count
    if told is None or len(told) != count or sum(told) != whole:
        return
    for value, size in zip(node.outputs, told, strict=True):
        shape = _shape(value)
        value.shape = (*shape[:axis], size, *shape[axis + 1 :])


def _concat_shape(node: Node, shape: Shape) -> Shape:
    """The shape after operands are joined, where all of them tell their size."""
    axis = node.attributes["axis"] % len(shape)
    sizes = [value.shape[axis] if value.shape else None for _, value in node.operands]
    known = [size for size in sizes if isinstance(size, int)]
    return (*shape[:axis], sum(known), *shape[axis + 1 :]) if len(known) == len(sizes) else shape


def _broadcast_size(node: Node, axis: int) -> Size:
    """The size of an axis that operands broadcast to, where one of them tells it, or all are 1 there."""
    after = _shape(node.outputs[0])
    sizes = set()
    for _, value in node.operands:
        if value.shape is None:
            return after[axis]
        place = axis - len(after) + len(value.shape)
        sizes.add(value.shape[place] if place >= 0 else 1)
    told = sizes - {1}
    return told.pop() if len(told) == 1 else 1 if not told else after[axis]


_SPATIAL = frozenset({"conv", "pad", *POOLS})


def _spatial_size(node: Node, axis: int) -> Size:
    """The size of an axis after a convolution, pool or pad, where that of its operand is a number."""
    before, after = _shape(node.operand(0))[axis], _shape(node.outputs[0])[axis]
    a, rank = node.attributes, len(_shape(node.operand(0)))
    if not isinstance(before, int):
        return after
    if node.kind == "pad":
        return int(before + a["pads"][axis] + a["pads"][axis + rank])
    if axis < 2 or a.get("ceil"):
        return after
    i, n = axis - 2, rank - 2
    reach = (a["kernel"][i] - 1) * a["dilations"][i] + 1
    return int((before + a["pads"][i] + a["pads"][i + n] - reach) // a["strides"][i] + 1)


def _reshaped(graph: Graph, node: Node, shape: Shape) -> Shape:
    """The shape after a reshape, from its target where that is known as sizes; one open size follows from the rest."""
    before = _shape(node.operand(0))
    sizes: list[Size | None] = [size if isinstance(size, int) else None for size in shape]
    target = symbolic_content(graph, node.operand(1)) if len(node.inputs) > 1 and node.inputs[1] else None
    if target is not None and len(target) == len(sizes):
        for axis, size in enumerate(target):
            if size == 0 and axis < len(before):
                sizes[axis] = before[axis]
            elif size != -1:
                sizes[axis] = size
    if sizes.count(None) == 1:
        known = product(size for size in sizes if size is not None)
        sizes[sizes.index(None)] = quotient(product(before), known)
    return tuple(old if new is None else new for old, new in zip(shape, sizes, strict=True))
