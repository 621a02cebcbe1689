"""Nodes of a plan with other sizes in place of those that only a run knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size


def resized(
    nodes: Iterable[Node], size_of: Callable[[Size], Size], inputs: Mapping[Value, Value] | None = None
) -> tuple[list[Node], dict[Value, Value]]:
    """Copies of nodes that read `inputs`, each size of theirs as `size_of` says; and what stands for each of their values."""
    values, copies = dict(inputs or {}), []
    for node in nodes:
        inputs_of_copy = tuple(None if value is None else values.get(value, value) for value in node.inputs)
        copy = replace(node, inputs=inputs_of_copy, settled=False)
        if node.kind == "size":
            copy.attributes = {**node.attributes, "size": size_of(node.attributes["size"])}
        copy.outputs = tuple(replace(value, shape=_resized(value.shape, size_of), producer=copy) for value in node.outputs)
        values.update(zip(node.outputs, copy.outputs, strict=True))
        copies.append(copy)
    return copies, values


def at(sizes: Mapping[str, int]) -> Callable[[Size], Size]:
    """Sizes with numbers for some names."""

    def size_of(size: Size) -> Size:
        if not isinstance(size, Dim) or sizes.keys().isdisjoint(size.names):
            return size
        names = tuple(name for name in size.names if name not in sizes)
        factor = size.factor
        for name in size.names:
            factor *= sizes.get(name, 1)
        return Dim(factor, names) if names else factor

    return size_of


def _resized(shape: Shape | None, size_of: Callable[[Size], Size]) -> Shape | None:
    return None if shape is None else tuple(map(size_of, shape))
