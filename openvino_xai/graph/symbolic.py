"""The content of small integer tensors that are computed from shapes, as sizes.

Exporters write `reshape(x, concat(shape(x)[:1], [-1]))` where they could write `reshape(x, [batch, -1])`; evaluated on
sizes instead of numbers, both read the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, quotient

SHAPED = frozenset({"reshape", "broadcast"})  # kinds whose first operand is data, and the second the shape of the result
LARGEST = 16  # elements; a shape has no more axes than this


def symbolic_content(graph: Graph, value: Value | None) -> tuple[Size, ...] | None:
    """The elements of an integer tensor as sizes, flattened, or None where they cannot be told before the model runs."""
    array = None if value is None else _array(graph, value)
    return None if array is None else tuple(array.reshape(-1).tolist())


def known_integers(graph: Graph, node: Node, index: int) -> list[int] | None:
    """The elements of the operand at `index` as numbers, or None where it is absent or they depend on the input."""
    content = symbolic_content(graph, node.inputs[index]) if index < len(node.inputs) else None
    numbers = [size for size in content or () if isinstance(size, int)]
    return numbers if content is not None and len(numbers) == len(content) else None


def is_fixed(graph: Graph, value: Value) -> bool:
    """True for a value that is the same for every input and batch: constant, or computed from nothing but known sizes."""
    if graph.is_constant(value):
        return True
    content = symbolic_content(graph, value)
    if content is not None:
        return all(isinstance(size, int) for size in content)
    node = value.producer
    if node is None or node.kind in ("", "shape"):
        return False
    if node.kind in SHAPED:
        known = value.shape is not None and all(isinstance(size, int) for size in value.shape)
        return known and is_fixed(graph, node.operand(0))
    return all(is_fixed(graph, operand) for _, operand in node.operands)


def _array(graph: Graph, value: Value) -> np.ndarray | None:
    if graph.is_constant(value):
        if value.dtype is None or value.dtype.kind not in "iub":
            return None
        data = graph.constant(value)
        return None if data is None or data.size > LARGEST else data.astype(np.int64).astype(object)
    node = value.producer
    if node is None or (rule := _CONTENT.get(node.kind)) is None:
        return None
    if node.kind == "shape":
        shape = node.operand(0).shape
        return None if shape is None else rule(node, [np.array(shape, dtype=object)])
    operands = [_array(graph, operand) for _, operand in node.operands]
    if any(operand is None for operand in operands):
        return None
    return rule(node, [operand for operand in operands if operand is not None])


def _shape(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    (whole,) = operands
    return whole[node.attributes.get("start", 0) : node.attributes.get("end")]


def _gather(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    return np.take(operands[0], operands[1].astype(np.int64), axis=node.attributes["axis"])


def _slice(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    attributes = node.attributes
    if operands[0].ndim != 1 or len(attributes["starts"]) != 1:
        return None
    return operands[0][slice(attributes["starts"][0], attributes["ends"][0], attributes["steps"][0])]


def _multiply(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    return np.asarray(operands[0] * operands[1], dtype=object)


def _divide(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    a, b = np.broadcast_arrays(*operands)
    result = [quotient(x, y) for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True)]
    return None if None in result else np.array(result, dtype=object).reshape(a.shape)


def _add(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if any(isinstance(item, Dim) for operand in operands for item in operand.reshape(-1)):
        return None
    return np.asarray(operands[0] + operands[1], dtype=object)


def _range(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    bounds = [operand.reshape(-1)[0] for operand in operands]
    return None if any(isinstance(bound, Dim) for bound in bounds) else np.arange(*bounds).astype(object)


_CONTENT: dict[str, Callable[[Node, list[np.ndarray]], np.ndarray | None]] = {
    "shape": _shape,
    "gather": _gather,
    "slice": _slice,
    "multiply": _multiply,
    "divide": _divide,
    "add": _add,
    "range": _range,
    "cast": lambda node, operands: operands[0],
    "identity": lambda node, operands: operands[0],
    "concat": lambda node, operands: np.concatenate([np.atleast_1d(operand) for operand in operands]),
    "reshape": lambda node, operands: operands[0].reshape(operands[1].astype(np.int64)),
    "squeeze": lambda node, operands: operands[0].reshape(()) if operands[0].size == 1 else None,
    "unsqueeze": lambda node, operands: operands[0].reshape(1) if operands[0].size == 1 else None,
}
