"""Sizes that a model leaves open, named: an axis that comes exactly from another has its size, and arithmetic tells more."""

from __future__ import annotations

from openvino_xai.graph.model import Graph, Node
from openvino_xai.graph.sizes import Dim, Shape, Size, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.axes import BROADCASTING, NORMALISES, POOLS, UNARY, axes_of
from openvino_xai.operations.counting import is_reshape
from openvino_xai.operations.integers import known_integers, symbolic_content


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
    if first.shape is None and node.kind in NORMALISES:
        first.shape, first.dtype = node.operand(0).shape, first.dtype or node.operand(0).dtype
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
        shape = list(shape_of(value))
        for axis, sources in enumerate(axes):
            if isinstance(shape[axis], Dim):
                exact = (shape_of(node.operand(s.operand))[s.axis] for s in sources if s.exact)
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
    before = shape_of(node.operand(0))
    sizes: list[Size] = []
    for axis, old in enumerate(shape):
        told = target[axis - len(shape) + len(target)] if axis >= len(shape) - len(target) else 1
        own = before[axis - len(shape) + len(before)] if axis >= len(shape) - len(before) else 1
        sizes.append(old if isinstance(old, int) else told if told != 1 else own)
    return tuple(sizes)


def _slice_shape(node: Node, shape: Shape) -> Shape:
    """The shape of a slice, along axes of which the size is known."""
    before, a, sizes = shape_of(node.operand(0)), node.attributes, list(shape)
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        length = before[axis]
        if isinstance(length, int):
            sizes[axis] = len(range(length)[slice(start, end, step)])
    return tuple(sizes)


def _split_shapes(graph: Graph, node: Node) -> None:
    """Give the parts of a split their size, where the parts or their number tell it."""
    axis = node.attributes["axis"] % len(shape_of(node.operand(0)))
    whole, count = shape_of(node.operand(0))[axis], len(node.outputs)
    told = known_integers(graph, node, 1)
    if told is None and isinstance(whole, int) and whole % count == 0:
        told = [whole // count] * count
    if told is None or len(told) != count or sum(told) != whole:
        return
    for value, size in zip(node.outputs, told, strict=True):
        shape = shape_of(value)
        value.shape = (*shape[:axis], size, *shape[axis + 1 :])


def _concat_shape(node: Node, shape: Shape) -> Shape:
    """The shape after operands are joined, where all of them tell their size."""
    axis = node.attributes["axis"] % len(shape)
    sizes = [value.shape[axis] if value.shape else None for _, value in node.operands]
    known = [size for size in sizes if isinstance(size, int)]
    return (*shape[:axis], sum(known), *shape[axis + 1 :]) if len(known) == len(sizes) else shape


def _broadcast_size(node: Node, axis: int) -> Size:
    """The size of an axis that operands broadcast to, where one of them tells it, or all are 1 there."""
    after = shape_of(node.outputs[0])
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
    before, after = shape_of(node.operand(0))[axis], shape_of(node.outputs[0])[axis]
    a, rank = node.attributes, len(shape_of(node.operand(0)))
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
    before = shape_of(node.operand(0))
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
