"""What nodes cost: operations and bytes, counted for one image."""

from __future__ import annotations

from collections.abc import Iterable

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.record import elements
from openvino_xai.operations.table import operation_of


def operations(nodes: Iterable[Node]) -> int:
    """Multiply-accumulates of convolutions and matrix products; one for each element that anything else computes."""
    return sum(operation_of(node).macs(node) for node in nodes)


def depth(graph: Graph, values: Iterable[Value], plain: int) -> float:
    """The share of a model's `plain` operations, in [0, 1], that lead to some values."""
    wanted, before = set(values), []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            before.append(node)
            wanted.update(operand for _, operand in node.operands)
    return operations(before) / max(plain, 1)


def bytes_of(value: Value) -> int:
    """The bytes that a value takes for one image."""
    return elements(value.shape) * (value.dtype.itemsize if value.dtype is not None else 4)


def human(count: int) -> str:
    """Bytes as a person reads them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
