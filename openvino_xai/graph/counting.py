"""Indices that count up: exporters write a reshape as a gather with them, where strides were in the way."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.symbolic import symbolic_content

LARGEST = 2**20  # elements of a constant that are looked at


def is_reshape(graph: Graph, node: Node) -> bool:
    """Whether a gather takes every element of a flat operand, one after the other."""
    if node.kind != "gather" or node.operand(0).rank != 1 or node.outputs[0].shape is None or node.attributes["axis"] != 0:
        return False
    shape, steps = node.outputs[0].shape, _steps(graph, node.operand(1))
    if steps is None or len(steps) != len(shape):
        return False
    return all(size == 1 or steps[axis] == product(shape[axis + 1 :]) for axis, size in enumerate(shape))


def _steps(graph: Graph, value: Value) -> tuple[int, ...] | None:
    """By how much an integer tensor grows along each axis, where it grows evenly from 0; None where it does not."""
    if graph.is_constant(value):
        return _steps_of_array(graph.constant(value))
    node = value.producer
    if node is None or value.rank is None:
        return None
    if node.kind == "range":
        start, step = (symbolic_content(graph, node.operand(index)) for index in (0, 2))
        return (1,) if start == (0,) and step == (1,) else None
    if node.kind in ("cast", "identity"):
        return _steps(graph, node.operand(0))
    if node.kind == "unsqueeze":
        before = _steps(graph, node.operand(0))
        new = {axis % value.rank for axis in node.attributes["axes"]}
        kept = iter(before or ())
        return None if before is None else tuple(0 if axis in new else next(kept) for axis in range(value.rank))
    if node.kind in ("add", "multiply"):
        return _combined(graph, node, value.rank)
    return None


def _combined(graph: Graph, node: Node, rank: int) -> tuple[int, ...] | None:
    """Sums of what grows evenly, and multiples of it."""
    if node.kind == "multiply":
        for index in (0, 1):
            factor = symbolic_content(graph, node.operand(index))
            steps = _steps(graph, node.operand(1 - index))
            if factor is not None and len(factor) == 1 and isinstance(factor[0], int) and steps is not None:
                return tuple(step * factor[0] for step in steps)
        return None
    both = [_steps(graph, node.operand(index)) for index in (0, 1)]
    found = [steps for steps in both if steps is not None]
    padded = [(0,) * (rank - len(steps)) + steps for steps in found]
    return tuple(map(sum, zip(*padded, strict=True))) if len(found) == 2 else None


def _steps_of_array(array: np.ndarray | None) -> tuple[int, ...] | None:
    if array is None or array.dtype.kind not in "iu" or not 0 < array.size <= LARGEST:
        return None
    first = (0,) * array.ndim
    steps = [int(array[(*first[:axis], 1, *first[axis + 1 :])]) if size > 1 else 0 for axis, size in enumerate(array.shape)]
    grown = np.zeros(array.shape, np.int64)
    for axis, step in enumerate(steps):
        grown += np.indices(array.shape, sparse=True)[axis] * step
    return tuple(steps) if np.array_equal(grown, array) else None
