"""What small integer tensors hold, as arrays of numbers and sizes: how operations compute them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import Dim

LARGEST = 16  # elements; a shape has no more axes than this

IntegerRule: TypeAlias = Callable[[Node, "list[np.ndarray]"], "np.ndarray | list[np.ndarray] | None"]


def are_numbers(array: np.ndarray) -> bool:
    """Whether no element is a size that only a run knows."""
    return not any(isinstance(item, Dim) for item in array.reshape(-1))


def computed(function: Callable[..., Any]) -> Callable[[Node, list[np.ndarray]], np.ndarray | None]:
    """Arithmetic on numbers, in the type of the output."""

    def rule(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
        if not all(map(are_numbers, operands)):
            return None
        result = np.asarray(function(*(operand.astype(float) for operand in operands)))
        return result.astype(np.int64 if is_whole(node) else float).astype(object)

    return rule


def is_whole(node: Node) -> bool:
    """Whether a node's first output holds whole numbers."""
    dtype = node.outputs[0].dtype
    return dtype is not None and dtype.kind in "iu"


def first(node: Node, operands: list[np.ndarray]) -> np.ndarray:
    """The first operand, as it is."""
    return operands[0]
