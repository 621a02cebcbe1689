"""The neutral form: what a model is, whichever file it came from.

A dialect reads its nodes into `Node`s whose `kind` and `attributes` mean the same thing in every dialect; plans are
made of the same nodes, so that one table over kinds serves both. A node keeps its `native` counterpart: what a plan
repeats is copied natively, and only what a plan adds is emitted by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from openvino_xai.errors import ModelError
from openvino_xai.graph.sizes import Dim, Shape


@dataclass(eq=False, slots=True)
class Value:
    """One tensor: an input, a constant (`data` is set), or an output of `producer`; `aliases` are its other names.

    Where NumPy does not compute with what the file holds, as bfloat16, `dtype` is what it is read as, and `stored` what it is.
    """

    name: str
    shape: Shape | None
    dtype: np.dtype[Any] | None
    producer: Node | None = None
    native: Any = None
    data: np.ndarray | None = None
    aliases: frozenset[str] = frozenset()
    stored: np.dtype[Any] | None = None

    @property
    def dtype_in_file(self) -> np.dtype[Any] | None:
        """The type that clients meet."""
        return self.dtype if self.stored is None else self.stored

    @property
    def rank(self) -> int | None:
        """The number of axes, None where the model does not tell it."""
        return None if self.shape is None else len(self.shape)


@dataclass(eq=False, slots=True)
class Node:
    """One operation. `kind` is neutral ("" where no table knows the operation); `op` is the dialect's own name.

    A node of a model that is read is `settled`: what is known of the graph was told by it.
    """

    name: str
    kind: str
    op: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    native: Any = None
    settled: bool = False

    def __setattr__(self, name: str, value: object) -> None:
        if getattr(self, "settled", False):
            raise AttributeError(f"{self} is read, and does not change any more")
        object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return f"'{self.name}' ({self.op})"

    def operand(self, index: int) -> Value:
        """The operand at `index`, which must be there."""
        value = self.inputs[index]
        assert value is not None
        return value

    @property
    def operands(self) -> Iterator[tuple[int, Value]]:
        """The operands that are there, with their index."""
        return ((i, v) for i, v in enumerate(self.inputs) if v is not None)


def opaque(inputs: Sequence[Value], outputs: Sequence[Value]) -> Graph:
    """A graph of one node: a compiled model, of which nothing inside is known."""

    def unknown(value: Value) -> np.ndarray:
        raise ModelError(f"what '{value.name}' holds is not known of a compiled model")

    node = Node("model", "", "compiled", tuple(inputs), tuple(outputs))
    return Graph([node], list(inputs), {value.name: value for value in outputs}, fold=unknown)


@contextmanager
def understood(node: Node) -> Iterator[None]:
    """Read what a node says of itself. Raises ModelError where its attributes, operands and shapes do not go together."""
    try:
        yield
    except (
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        AttributeError,
        ZeroDivisionError,
        AssertionError,
    ) as error:
        raise ModelError(
            f"{node} cannot be understood: its attributes, operands and shapes do not go together "
            f"({type(error).__name__}: {str(error)[:200]})",
            node=node.name,
        ) from error


@dataclass(eq=False)
class Graph:
    """The nodes of a model in topological order. `fold(value)` computes a value that depends on no input.

    `fused` are those that do what several operations do, and are not read. `layout` is what the model says of the axes of its
    image, as `NHWC`.
    """

    nodes: list[Node]
    inputs: list[Value]
    outputs: dict[str, Value]
    fold: Callable[[Value], np.ndarray]

    def __post_init__(self) -> None:
        varying = set(self.inputs)
        for node in self.nodes:
            if any(value in varying for _, value in node.operands):
                varying.update(node.outputs)
        self._varying = varying
        self.contents: dict[Value, np.ndarray | None] = {}  # of small integer tensors, and what is fixed: as far as asked for
        self.fixed: dict[Value, bool] = {}
        self.fused: list[Node] = []
        self.layout: str | None = None

    @cached_property
    def consumers(self) -> dict[Value, list[tuple[Node, int]]]:
        """The nodes that read each value, with the index of the operand. Asked for once all nodes are settled."""
        consumers: dict[Value, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for index, value in node.operands:
                consumers.setdefault(value, []).append((node, index))
        return consumers

    @cached_property
    def origins(self) -> dict[str, tuple[Value, int]]:
        """For each named size, an axis of a value that has it; inputs first."""
        origins: dict[str, tuple[Value, int]] = {}
        for value in [*self.inputs, *(value for node in self.nodes for value in node.outputs)]:
            for axis, size in enumerate(value.shape or ()):
                if isinstance(size, Dim) and size.factor == 1 and len(size.names) == 1:
                    origins.setdefault(size.names[0], (value, axis))
        return origins

    def is_constant(self, value: Value) -> bool:
        """True for a value that is the same for every input."""
        return value not in self._varying

    def constant(self, value: Value | None) -> np.ndarray | None:
        """The content of a value that is the same for every input, else None."""
        if value is None or not self.is_constant(value):
            return None
        if value.data is None:
            value.data = self.fold(value)
        return value.data
