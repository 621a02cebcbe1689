"""The vector among the outputs of a model: an embedding, which is compared with others."""

from __future__ import annotations

from dataclasses import dataclass

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import product, text
from openvino_xai.locate.scores import Scores
from openvino_xai.operations.table import operation_of

SHAPES = "[B, E], [B, E, 1, 1] or [B, 1, 1, E]"


@dataclass(frozen=True, eq=False)
class Vector(Scores):
    """The output with a vector of E = `classes` numbers; `value` is where it is read: in floats, ahead of what rounds it."""


def find_vector(graph: Graph, name: str | None = None) -> Vector:
    """The vector: the output called `name`, or the only one that can be it.

    Raises ModelError if there is no such output, if it cannot be a vector or holds whole numbers of which the model does not
    tell what they stand for, or if none or several can.
    """
    listing = ", ".join(f"'{key}' {text(value.shape)}" for key, value in graph.outputs.items())
    if name is not None and name not in graph.outputs:
        raise ModelError(f"the model has no output '{name}'; its outputs are {listing}", node=name)
    named = graph.outputs if name is None else {name: graph.outputs[name]}
    possible = {key: value for key, value in named.items() if length_of(value) is not None and not graph.is_constant(value)}
    if len(possible) != 1:
        raise ModelError(
            f"{len(possible)} of the model's outputs can be a vector ({SHAPES}), 1 is expected; the outputs are {listing}"
            + ("; name one of them" if possible else ""),
            options=("scores",) if possible else (),
        )
    ((name, value),) = possible.items()
    read = _ahead_of_rounding(value)
    if read.dtype is None or read.dtype.kind != "f" or read.dtype.itemsize < 2:
        raise ModelError(
            f"output '{name}' holds {value.dtype}, and the model does not tell which numbers these stand for (no quantiser "
            "leads to it): a vector of floats, or one that a quantiser makes, is expected",
            node=name,
        )
    length = length_of(value)
    assert length is not None
    return Vector(name, read, length, None)


def length_of(value: Value) -> int | None:
    """E, of a value that can be a vector of each image; None for any other."""
    shape = value.shape or ()
    if len(shape) not in (2, 4) or value.dtype is None or value.dtype.kind not in "fiu":
        return None
    length = product(shape[1:])
    return length if isinstance(length, int) and length > 1 and length in shape[1:] else None


def _ahead_of_rounding(value: Value) -> Value:
    """The value ahead of the quantisers that end a model, looked for behind changes of layout and type."""
    read, before = value, value
    while (node := before.producer) is not None and length_of(before) is not None:
        operation, before = operation_of(node), node.operand(0)
        if not operation.quantises and operation.moves != "all":
            break
        if operation.quantises and before.dtype is not None and before.dtype.kind == "f":
            read = before
    return read
