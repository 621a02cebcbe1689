"""What nodes cost: operations and bytes, counted for one image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim
from openvino_xai.operations.record import elements
from openvino_xai.operations.table import axes_of, operation_of

PIXELS = 224  # of a side, where a run tells how many


def operations(nodes: Iterable[Node]) -> int:
    """Multiply-accumulates of convolutions and matrix products; one for each element that anything else computes."""
    return sum(operation_of(node).macs(node) for node in nodes)


def depth(nodes: Sequence[Node], values: Iterable[Value], plain: int) -> float:
    """The share of the `plain` operations of a model's nodes, in [0, 1], that lead to some values."""
    wanted, before = set(values), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.outputs):
            before.append(node)
            wanted.update(operand for _, operand in node.operands)
    return operations(before) / max(plain, 1)


def typical_sizes(graph: Graph) -> dict[str, int]:
    """Numbers for open sizes of a graph, by their names: as of an image of 224 x 224 pixels, as far as strides tell them.

    Counted as 1, open rows and columns would make the layers behind a pool look like most of a network.
    """
    sizes = {
        name: PIXELS
        for value in graph.inputs
        for size in (value.shape or ())[1:]
        if isinstance(size, Dim) and size.factor == 1 and len(size.names) == 1
        for name in size.names
    }
    for node in graph.nodes if sizes else ():
        strides = node.attributes.get("strides") or ()
        for axis, sources in enumerate((axes_of(node) or [[]])[0]):
            after, exact = (node.outputs[0].shape or ())[axis], [source for source in sources if source.operand == 0]
            if not isinstance(after, Dim) or after.factor != 1 or len(after.names) != 1 or not exact:
                continue
            before = (node.operand(0).shape or ())[exact[0].axis]
            length = before if isinstance(before, int) else before.factor * prod(sizes.get(name, 0) for name in before.names)
            stride = strides[axis - 2] if len(strides) == len(node.outputs[0].shape or ()) - 2 and axis > 1 else 1
            if length:
                sizes.setdefault(after.names[0], -(-length // stride))
    return sizes


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
