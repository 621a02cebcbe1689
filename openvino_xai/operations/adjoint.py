"""What a rule is given: a node, met on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, Size
from openvino_xai.graph.trace import Trace, shape_of


class Step(Protocol):
    """A node, met on the way back, with its values for every row."""

    xp: Trace
    node: Node

    def operand(self, index: int) -> Value:
        """An operand, for every row; a constant as it is."""

    def output(self, index: int = 0) -> Value:
        """An output of the node, for every row."""

    def operand_shape(self, index: int) -> Shape:
        """The shape of an operand, for every row."""

    def output_shape(self) -> Shape:
        """The shape of the output, for every row."""

    def constant(self, index: int) -> np.ndarray | None:
        """What an operand holds, where it is the same for every input."""

    def integers(self, index: int) -> list[int] | None:
        """An operand as whole numbers, where they are known before the model runs."""

    def number(self, size: Size) -> Any:
        """A size as a number to calculate with."""

    def full(self, g: Value, axes: tuple[int, ...] | None = None) -> Value:
        """The output's adjoint in its full size, along all axes or some."""

    def picked(self, weights: Value, axis: int, g: Value) -> Value | None:
        """What `g` picks along an axis of `weights`, ahead of all other axes, where each of its rows picks one; else None."""


Rule: TypeAlias = Callable[[Step, int, Value], Value]


def refused(at: Step, why: str) -> PlanError:
    """The error for a node that cannot be differentiated."""
    return PlanError(f"{at.node} cannot be differentiated: {why}", node=at.node.name)


def attribute(at: Step, name: str) -> float:
    """A number of the node's. Raises PlanError where it is not known."""
    number = at.node.attributes.get(name)
    if number is None:
        raise refused(at, f"its {name} is not known before the model runs, or is of a kind that no rule knows")
    return float(number)


def by_channel(at: Step, index: int) -> Value:
    """An operand [C], along the second axis."""
    value, rank = at.operand(index), len(at.operand_shape(0))
    return at.xp.reshape(value, (1, shape_of(value)[0], *[1] * (rank - 2)))


def same(at: Step, index: int, g: Value) -> Value:
    """What passes through as it is."""
    return g
