"""Names of what is written into an ONNX graph, and constants that have one."""

from __future__ import annotations

from itertools import chain, count

import numpy as np
import onnx_ir as ir


def names_of(graph: ir.Graph) -> set[str]:
    """The names that a graph has taken, of its inputs, initializers, nodes and what these make."""
    names = {str(value.name) for value in [*graph.inputs, *graph.initializers.values()]}
    for node in graph:
        names.update([str(node.name), *(str(value.name) for value in node.outputs)])
    return names


def unused(name: str, names: set[str]) -> str:
    """The name, or it with a number behind, as none of `names` is: taken from now on."""
    free = next(item for item in chain([name], (f"{name}_{i}" for i in count(1))) if item not in names)
    names.add(free)
    return free


def initializer(name: str, array: np.ndarray) -> ir.Value:
    """A value that holds an array, for a graph to register."""
    value = ir.Value(name=name, const_value=ir.tensor(array, name=name), shape=ir.Shape(array.shape))
    value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
    return value
