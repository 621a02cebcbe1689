"""Indices that count up: exporters write a reshape as a gather with them, where strides were in the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, product
from openvino_xai.operations.integers import symbolic_content

DEEPEST = 24  # sums and products, one in the other, that make indices
LARGEST = 2**20  # elements of a constant that are looked at


@dataclass(frozen=True)
class _Even:
    """An integer tensor of a `shape` that is 0 at the start and grows by `steps` along its axes."""

    shape: Shape
    steps: tuple[int, ...]


def is_reshape(graph: Graph, node: Node) -> bool:
    """Whether a gather takes every element of a flat operand, one after the other."""
    if node.kind != "gather" or node.attributes["axis"] != 0 or node.operand(0).rank != 1 or (node.outputs[0].rank or 0) < 2:
        return False
    indices = _even(graph, node.operand(1))
    if indices is None or product(indices.shape) != product(node.operand(0).shape or ()):
        return False
    return all(
        size == 1 or indices.steps[axis] == product(indices.shape[axis + 1 :]) for axis, size in enumerate(indices.shape)
    )


def _even(graph: Graph, value: Value, depth: int = 0) -> _Even | None:
    """How an integer tensor grows, where it does so evenly; None where it does not, or is made in too many steps."""
    if depth >= DEEPEST:
        return None
    if graph.is_constant(value):
        return _of_array(graph.constant(value))
    node = value.producer
    if node is None:
        return None
    if node.kind == "range":
        start, limit, step = (symbolic_content(graph, node.operand(index)) for index in (0, 1, 2))
        return _Even((limit[0],), (1,)) if limit and start == (0,) and step == (1,) else None
    if node.kind in ("cast", "identity"):
        return _even(graph, node.operand(0), depth + 1)
    if node.kind == "unsqueeze" and (before := _even(graph, node.operand(0), depth + 1)) is not None:
        rank = len(before.shape) + len(node.attributes["axes"])
        new = {axis % rank for axis in node.attributes["axes"]}
        pairs = iter(zip(before.shape, before.steps, strict=True))
        both = [(1, 0) if axis in new else next(pairs) for axis in range(rank)]
        return _Even(tuple(size for size, _ in both), tuple(step for _, step in both))
    if node.kind == "multiply":
        return _multiple(graph, node, depth)
    if node.kind == "add":
        if (a := _even(graph, node.operand(0), depth + 1)) is None:
            return None
        b = a if node.operand(1) is node.operand(0) else _even(graph, node.operand(1), depth + 1)
        return None if b is None else _sum(a, b)
    return None


def _multiple(graph: Graph, node: Node, depth: int) -> _Even | None:
    for index in (0, 1):
        factor = symbolic_content(graph, node.operand(index))
        if factor is None or len(factor) != 1 or not isinstance(factor[0], int):
            continue
        if (grown := _even(graph, node.operand(1 - index), depth + 1)) is not None:
            return _Even(grown.shape, tuple(step * factor[0] for step in grown.steps))
    return None


def _sum(a: _Even, b: _Even) -> _Even | None:
    rank = max(len(a.shape), len(b.shape))
    sizes = [(1,) * (rank - len(term.shape)) + term.shape for term in (a, b)]
    steps = [(0,) * (rank - len(term.steps)) + term.steps for term in (a, b)]
    if any(x != y and 1 not in (x, y) for x, y in zip(*sizes, strict=True)):
        return None
    return _Even(
        tuple(y if x == 1 else x for x, y in zip(*sizes, strict=True)), tuple(x + y for x, y in zip(*steps, strict=True))
    )


def _of_array(array: np.ndarray | None) -> _Even | None:
    if array is None or array.dtype.kind not in "iu" or not 0 < array.size <= LARGEST:
        return None
    first = (0,) * array.ndim
    steps = [int(array[(*first[:axis], 1, *first[axis + 1 :])]) if size > 1 else 0 for axis, size in enumerate(array.shape)]
    grown = np.zeros(array.shape, np.int64)
    for axis, step in enumerate(steps):
        grown += np.indices(array.shape, sparse=True)[axis] * step
    return _Even(array.shape, tuple(steps)) if np.array_equal(grown, array) else None
