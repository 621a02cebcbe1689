"""The content of small integer tensors that are computed from shapes, as sizes.

Exporters write `reshape(x, concat(shape(x)[:1], [-1]))` where they could write `reshape(x, [batch, -1])`; evaluated on
sizes instead of numbers, both read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, at_one, product, quotient

SHAPED = frozenset({"reshape", "broadcast"})  # kinds whose first operand is data, and the second the shape of the result
LARGEST = 16  # elements; a shape has no more axes than this
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


def resized_by(graph: Graph, node: Node, index: int, axes: Sequence[int]) -> dict[str, Any]:
    """The `axes` that a node resizes, of those whose factors the operand at `index` tells; None where it is no constant."""
    factors = graph.constant(node.inputs[index])
    if factors is None or factors.size != len(axes):
        return {"axes": None}
    return {"axes": [axis for axis, factor in zip(axes, factors.reshape(-1), strict=True) if factor != 1]}


def resized_to(graph: Graph, node: Node, index: int, axes: Sequence[int]) -> dict[str, Any]:
    """The `axes` that a node resizes, of those `told`, whose `sizes` the operand at `index` tells: the batch's, too."""
    sizes, before = symbolic_content(graph, node.inputs[index]), node.operand(0).shape
    if sizes is None or before is None or len(sizes) != len(axes):
        return {"axes": None}
    changed = [axis for axis, size in zip(axes, sizes, strict=True) if size != before[axis]]
    return {"axes": changed, "sizes": index, "told": axes}


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
    if node.kind in SHAPED:
        known = value.shape is not None and all(isinstance(size, int) for size in value.shape)
        return known and is_fixed(graph, node.operand(0), depth + 1)
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
    if node.kind == "split":
        return _split(graph, node, value, depth)
    if node.kind == "shape":
        shape = node.operand(0).shape
        whole = None if shape is None else np.array(shape, dtype=object)
        return None if whole is None else whole[node.attributes.get("start", 0) : node.attributes.get("end")]
    rule = _CONTENT.get(node.kind)
    if rule is None and node.kind not in _ARITHMETIC:
        return None
    operands = [_array(graph, operand, depth + 1) for _, operand in node.operands]
    found = [operand for operand in operands if operand is not None]
    if len(found) != len(operands):
        return None
    if rule is not None and (made := rule(node, found)) is not None:
        return np.asarray(made, dtype=object)
    return _computed(node, found) if node.kind in _ARITHMETIC and all(map(_numbers, found)) else None


def _split(graph: Graph, node: Node, value: Value, depth: int) -> np.ndarray | None:
    whole, axis = _array(graph, node.operand(0), depth + 1), node.attributes["axis"]
    sizes = [at_one(made.shape[axis]) if made.shape else 0 for made in node.outputs]
    if whole is None or not whole.ndim or sum(sizes) != whole.shape[axis]:
        return None
    start = sum(sizes[: node.outputs.index(value)])
    return np.take(whole, range(start, start + sizes[node.outputs.index(value)]), axis=axis)


def _too_large(value: Value) -> bool:
    return value.shape is not None and at_one(product(value.shape)) > LARGEST


def _numbers(array: np.ndarray) -> bool:
    return not any(isinstance(item, Dim) for item in array.reshape(-1))


def _computed(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    """Arithmetic on numbers; on whole ones, a quotient is cut off as runtimes do."""
    whole = node.outputs[0].dtype is not None and node.outputs[0].dtype.kind in "iu"
    if node.kind == "divide" and whole:
        return np.asarray(np.trunc(operands[0].astype(float) / operands[1].astype(float)).astype(np.int64)).astype(object)
    made = _ARITHMETIC[node.kind](*(operand.astype(float) for operand in operands))
    return np.asarray(made).astype(np.int64 if whole else float).astype(object)


def _gather(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    data, indices = operands[:2]
    if not _numbers(indices):
        return None
    made = np.empty(indices.shape, dtype=object)
    made[...] = np.take(data, indices.astype(np.int64), axis=node.attributes["axis"])
    return made


def _slice(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    a = node.attributes
    cut = [slice(None)] * operands[0].ndim
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        cut[axis] = slice(start, None if step < 0 and end < -operands[0].shape[axis] else end, step)
    return operands[0][tuple(cut)]


def _multiply(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    factors = [item for operand in operands for item in operand.reshape(-1)]
    if any(isinstance(item, float) for item in factors) or all(map(_numbers, operands)):
        return None
    return np.asarray(operands[0] * operands[1], dtype=object)


def _divide(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    a, b = np.broadcast_arrays(*operands)
    pairs = list(zip(a.reshape(-1), b.reshape(-1), strict=True))
    if any(isinstance(item, float) for pair in pairs for item in pair) or all(map(_numbers, operands)):
        return None
    result = [quotient(x, y) for x, y in pairs]
    return None if None in result else np.array(result, dtype=object).reshape(a.shape)


def _mod(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    """The remainder of numbers that are not negative: there all definitions of it agree."""
    if not all(map(_numbers, operands)) or any((operand < 0).any() for operand in operands):
        return None
    return np.asarray(operands[0] % operands[1], dtype=object)


def _prod(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if operands[0].ndim != 1 or any(isinstance(item, float) for item in operands[0]):
        return None
    made = np.empty((1,) if node.attributes["keepdims"] else (), dtype=object)
    made[...] = product(operands[0].tolist())
    return made


def _equal(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    """Whether sizes are equal, where that is the same for every run: a size is never negative."""
    a, b = np.broadcast_arrays(*operands)
    made = np.empty(a.shape, dtype=object)
    for index in np.ndindex(a.shape):
        x, y = a[index], b[index]
        if isinstance(x, Dim) != isinstance(y, Dim) and (y if isinstance(x, Dim) else x) >= 0:
            return None
        if isinstance(x, Dim) and isinstance(y, Dim) and x != y:
            return None
        made[index] = x == y
    return made


def _where(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    condition, a, b = np.broadcast_arrays(*operands)
    made = np.empty(condition.shape, dtype=object)
    for index in np.ndindex(condition.shape):
        made[index] = a[index] if condition[index] else b[index]
    return made


def _full(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not _numbers(operands[0]):
        return None
    return np.full([int(size) for size in operands[0].reshape(-1)], node.attributes["value"], dtype=object)


def _broadcast(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not _numbers(operands[1]):
        return None
    return np.broadcast_to(operands[0], [int(size) for size in operands[1].reshape(-1)])


def _clip(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    limits = node.attributes
    if not limits or not _numbers(operands[0]):
        return None
    return np.asarray(np.clip(operands[0].astype(float), limits["min"], limits["max"])).astype(object)


def _range(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if not all(map(_numbers, operands)):
        return None
    return np.arange(*(int(operand.reshape(-1)[0]) for operand in operands)).astype(object)


def _reshape(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if len(operands) < 2 or not _numbers(operands[1]):
        return None
    told, before = [int(size) for size in operands[1].reshape(-1)], operands[0].shape
    sizes = [before[axis] if size == 0 and axis < len(before) else size for axis, size in enumerate(told)]  # 0 is as before
    known = int(np.prod([size for size in sizes if size != -1]))
    fits = operands[0].size == known if -1 not in sizes else known and operands[0].size % known == 0
    return operands[0].reshape(sizes) if fits and sizes.count(-1) < 2 and min(sizes, default=0) >= -1 else None


def _cast(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    dtype = node.outputs[0].dtype
    if not _numbers(operands[0]) or dtype is None or dtype.kind not in "iuf":
        return operands[0]
    return operands[0].astype(float).astype(np.int64 if dtype.kind in "iu" else float).astype(object)


_CONTENT: dict[str, Callable[[Node, list[np.ndarray]], np.ndarray | None]] = {
    "gather": _gather,
    "slice": _slice,
    "multiply": _multiply,
    "divide": _divide,
    "equal": _equal,
    "mod": _mod,
    "prod": _prod,
    "where": _where,
    "range": _range,
    "full": _full,
    "broadcast": _broadcast,
    "clip": _clip,
    "transpose": lambda node, operands: operands[0].transpose(node.attributes["perm"]),
    "cast": _cast,
    "identity": lambda node, operands: operands[0],
    "concat": lambda node, operands: np.concatenate([np.atleast_1d(operand) for operand in operands]),
    "reshape": _reshape,
    "squeeze": lambda node, operands: np.squeeze(operands[0], axis=tuple(node.attributes["axes"])),
    "unsqueeze": lambda node, operands: np.expand_dims(operands[0], axis=tuple(node.attributes["axes"])),
}

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "ceil": np.ceil,
    "divide": np.divide,
    "floor": np.floor,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "negative": np.negative,
    "relu": lambda x: np.maximum(x, 0),
    "sqrt": np.sqrt,
    "subtract": np.subtract,
}
