"""The content of small integer tensors that are computed from shapes, as sizes.

Exporters write `reshape(x, concat(shape(x)[:1], [-1]))` where they could write `reshape(x, [batch, -1])`; evaluated on
sizes instead of numbers, both read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, at_one, product
from openvino_xai.operations.contents import LARGEST
from openvino_xai.operations.table import operation_of

DEEPEST = 128  # operations on sizes, one behind the other: no exporter writes as many, and what is deeper is not followed

RANDOM = frozenset("Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike".split())


def symbolic_content(graph: Graph, value: Value | None) -> tuple[Size, ...] | None:
    """The elements of an integer tensor as sizes, flattened, or None where they cannot be told before the model runs."""
    array = None if value is None else _array(graph, value)
    return None if array is None else tuple(array.reshape(-1).tolist())


def known_integers(graph: Graph, node: Node, index: int) -> list[int] | None:
    """The elements of the operand at `index` as numbers, or None where it is absent or they depend on the input."""
    content = symbolic_content(graph, node.inputs[index]) if index < len(node.inputs) else None
    numbers = [size for size in content or () if isinstance(size, int)]
    return numbers if content is not None and len(numbers) == len(content) else None


def reverses(graph: Graph, node: Node, axis: int) -> bool:
    """Whether a node has all items along an axis of its first operand the other way round, and leaves the axis where it is."""
    before, after, attributes = node.operand(0).shape, node.outputs[0].shape, node.attributes
    if before is None or after is None or len(before) != len(after) or before[axis] != after[axis] or before[axis] == 1:
        return False
    if attributes.get("steps"):  # a slice that takes as many items as there are, one by one from the end
        steps = dict(zip((a % len(before) for a in attributes["axes"] or ()), attributes["steps"], strict=False))
        return steps.get(axis) == -1
    if operation_of(node).selectors != {1} or attributes.get("axis") is None or attributes["axis"] % len(before) != axis:
        return False
    indices, length = node.operand(1), before[axis]
    order = known_integers(graph, node, 1) if len(indices.shape or ()) == 1 else None
    return isinstance(length, int) and order in ([*range(length)][::-1], [*range(-length, 0)][::-1])


def lays_in_blocks(graph: Graph, node: Node, axis: int) -> bool:
    """Whether a node takes the items along an axis as blocks that lie side by side: item i of block j at [:, i, j, :] there."""
    before, attributes = node.operand(0).shape, node.attributes
    if before is None or operation_of(node).selectors != {1} or attributes.get("axis") is None:
        return False
    sizes, length = node.operand(1).shape or (), before[axis]
    if attributes["axis"] % len(before) != axis or len(sizes) != 2 or not isinstance(sizes[0], int) or not sizes[0]:
        return False
    places = known_integers(graph, node, 1)
    if places is None or not isinstance(length, int) or len(places) != length or length % sizes[0]:
        return False
    return np.array(places).reshape(sizes[0], -1).T.reshape(-1).tolist() == list(range(length))


def resized_by(graph: Graph, node: Node, index: int, axes: Sequence[int]) -> dict[str, Any]:
    """The `axes` that a node resizes and their `factors`, which the operand at `index` tells; None where it is no constant."""
    factors = graph.constant(node.inputs[index])
    if factors is None or factors.size != len(axes):
        return {"axes": None}
    resized = {axis: float(factor) for axis, factor in zip(axes, factors.reshape(-1), strict=True) if factor != 1}
    return {"axes": list(resized), "factors": list(resized.values())}


def resized_to(graph: Graph, node: Node, index: int, axes: Sequence[int]) -> dict[str, Any]:
    """The `axes` that a node resizes, of those in `axes`, whose `sizes` the operand at `index` holds: the batch's, too."""
    sizes, before = symbolic_content(graph, node.inputs[index]), node.operand(0).shape
    if sizes is None or before is None or len(sizes) != len(axes):
        return {"axes": None}
    changed = [axis for axis, size in zip(axes, sizes, strict=True) if size != before[axis]]
    return {"axes": changed, "sizes": index, "along": axes}


def is_fixed(graph: Graph, value: Value, depth: int = 0) -> bool:
    """True for a value that is the same for every input and batch: constant, or computed from nothing but known sizes."""
    if value not in graph.fixed:  # asked once, since values that are read twice may be made of such again and again
        graph.fixed[value] = depth < DEEPEST and _is_fixed(graph, value, depth)
    return graph.fixed[value]


def _is_fixed(graph: Graph, value: Value, depth: int) -> bool:
    if graph.is_constant(value):
        return True
    content = symbolic_content(graph, value)
    if content is not None:
        return not any(isinstance(size, Dim) for size in content)
    node = value.producer
    if node is None or node.kind == "shape" or node.op in RANDOM:
        return False
    if operation_of(node).takes_shape:
        sized = value.shape is not None and all(isinstance(size, int) for size in value.shape)
        return sized and is_fixed(graph, node.operand(0), depth + 1)
    return all(is_fixed(graph, operand, depth + 1) for _, operand in node.operands)


def _array(graph: Graph, value: Value, depth: int = 0) -> np.ndarray | None:
    """The content as an array of numbers and sizes; None where it is large, or known only when the model runs."""
    if value not in graph.contents:
        graph.contents[value] = None if depth >= DEEPEST else _content(graph, value, depth)
    return graph.contents[value]


def _content(graph: Graph, value: Value, depth: int) -> np.ndarray | None:
    if graph.is_constant(value):
        if value.dtype is None or value.dtype.kind not in "iubf" or _too_large(value):
            return None
        data = graph.constant(value)
        return None if data is None or data.size > LARGEST else data.astype(object)
    node = value.producer
    if node is None:
        return None
    if node.kind == "shape":
        shape = node.operand(0).shape
        if shape is None:
            return None
        if node.attributes.get("product"):
            return np.array(product(shape), dtype=object)
        return np.array(shape, dtype=object)[node.attributes.get("start", 0) : node.attributes.get("end")]
    rule = operation_of(node).integers
    if rule is None:
        return None
    contents = [_array(graph, operand, depth + 1) for _, operand in node.operands]
    operands = [array for array in contents if array is not None]
    if len(operands) != len(contents):
        return None
    outputs = rule(node, operands)
    if outputs is None:
        return None
    return np.asarray(outputs if len(node.outputs) == 1 else outputs[node.outputs.index(value)], dtype=object)


def _too_large(value: Value) -> bool:
    return value.shape is not None and at_one(product(value.shape)) > LARGEST
