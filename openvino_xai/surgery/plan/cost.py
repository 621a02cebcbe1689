"""What nodes cost: operations and bytes, counted for one image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, at_one
from openvino_xai.surgery.plan.hook import Plan

FREE = frozenset("reshape squeeze unsqueeze identity shape".split())


def operations(nodes: Iterable[Node]) -> int:
    """Multiply-accumulates of convolutions and matrix products; one for each element that anything else computes."""
    return sum(_operations(node) for node in nodes)


def _operations(node: Node) -> int:
    elements = sum(_elements(value.shape) for value in node.outputs)
    return 0 if node.kind in FREE else elements * _DEPTH.get(node.kind, _one)(node)


def _elements(shape: Shape | None) -> int:
    return prod(at_one(size) for size in shape or ())


def _one(node: Node) -> int:
    return 1


def _conv_depth(node: Node) -> int:
    """Multiplications for one element: input channels of a group times the kernel."""
    weights = node.operand(1).shape or ()
    outputs = at_one((node.outputs[0].shape or (1, 1))[1])
    return max(_elements(weights) // max(outputs, 1), 1)


def _matmul_depth(node: Node) -> int:
    shape = node.operand(0).shape or (1,)
    return at_one(shape[-2] if node.attributes.get("transpose_a") else shape[-1])


def _window_depth(node: Node) -> int:
    return prod(node.attributes["kernel"])


_DEPTH: dict[str, Callable[[Node], int]] = {
    "conv": _conv_depth,
    "conv_transpose": _conv_depth,
    "matmul": _matmul_depth,
    "max_pool": _window_depth,
    "avg_pool": _window_depth,
}


def depth(graph: Graph, value: Value, plain: int) -> float:
    """The share of a model's `plain` operations, in [0, 1], that lead to a value."""
    wanted, before = {value}, []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            before.append(node)
            wanted.update(operand for _, operand in node.operands)
    return operations(before) / max(plain, 1)


def bytes_of(value: Value) -> int:
    """The bytes that a value takes for one image."""
    return _elements(value.shape) * (value.dtype.itemsize if value.dtype is not None else 4)


def added(plan: Plan) -> int:
    """The operations that a plan adds to every inference."""
    return operations(node for node in plan.nodes if node not in plan.constants)


def largest(plan: Plan) -> int:
    """The bytes of the largest value that a plan makes, for one image; what is not stored (a reshaped view) counts, too."""
    sizes = (bytes_of(value) for node in plan.nodes if node not in plan.constants for value in node.outputs)
    return max(sizes, default=0)


def human(count: int) -> str:
    """Bytes as a person reads them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
