"""Outputs that hold class scores in another form than [B, K] floats: whole numbers of a quantiser, or without an axis of 1.

Such an output is followed back, through what moves, rounds or squashes each element, to the [B, K] floats that it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, product
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.table import operation_of


@dataclass(frozen=True)
class Levels:
    """What whole numbers stand for: level q is (q - `zero`) * `step`."""

    step: float
    zero: float

    def __str__(self) -> str:
        return f"{self.step!r},{self.zero!r}"

    @classmethod
    def parse(cls, text: str) -> Levels:
        """What a record tells. Raises ValueError."""
        step, zero = map(float, text.split(","))
        if not (np.isfinite([step, zero]).all() and step):
            raise ValueError(text)
        return cls(step, zero)

    def real(self, levels: np.ndarray) -> np.ndarray:
        """What these levels stand for, f64."""
        return (levels.astype(np.float64) - self.zero) * self.step


@dataclass(frozen=True, eq=False)
class OutputForm:
    """The [B, K] floats, `value`, of which an output is made.

    Behind it `squash` makes probabilities, None where nothing does. `levels` are what whole numbers of the output stand for,
    None where it holds floats.
    """

    value: Value
    squash: Node | None
    levels: Levels | None


def form_of(graph: Graph, output: Value) -> OutputForm | None:
    """The form of an output, None where it is not known to be made of class scores alone."""
    value, squash, levels = output, None, None
    is_integer = output.dtype is not None and output.dtype.kind in "iu"
    while not (is_floats_by_class(value) and (levels is not None or not is_integer)):
        node = value.producer
        if node is None or not node.inputs or node.inputs[0] is None or len(node.outputs) != 1:
            return None
        operation, before = operation_of(node), node.operand(0)
        if operation.quantises:
            if levels is None and is_integer:
                levels = _levels_of(graph, node)
                if levels is None:
                    return None
        elif squashes(node):
            if squash is not None or not _squashes_all_classes(node):
                return None
            squash = node
        elif operation.moves is None or not _keeps_order(node):
            return None
        value = before
    if graph.is_constant(value) or not _holds_the_same(value.shape or (), output.shape):
        return None
    return OutputForm(value, squash, levels)


def has_classes(value: Value) -> bool:
    """Whether a value is [B, K] or [B, K, 1, 1] with a known K."""
    shape = value.shape
    return shape is not None and len(shape) in (2, 4) and isinstance(shape[1], int) and product(shape[2:]) == 1


def is_floats_by_class(value: Value) -> bool:
    """Whether a value is [B, K] or [B, K, 1, 1] floats with a known K."""
    return value.dtype is not None and value.dtype.kind == "f" and has_classes(value)


def is_another_form(value: Value) -> bool:
    """Whether a value may hold scores in another form: [K] of the only image, [B] of the only class, or whole numbers."""
    shape, dtype = value.shape, value.dtype
    if shape is None or dtype is None or dtype.kind not in "fiu":
        return False
    return len(shape) == 1 or (dtype.kind in "iu" and has_classes(value))


def _holds_the_same(scores: Shape, output: Shape | None) -> bool:
    """Whether an output has all of some scores [B, K, ...] in their order: all of them, those of one image, or of one class."""
    batch, classes = scores[:2]
    flat = tuple(size for size in output or () if size != 1)
    return flat in {tuple(size for size in sizes if size != 1) for sizes in ((batch, classes), (classes,), (batch,))} and (
        product(output or (0,)) == product(scores)
    )


def squashes(node: Node) -> bool:
    """Whether a node makes probabilities of logits."""
    return node.kind in ("sigmoid", "softmax")


def _keeps_order(node: Node) -> bool:
    """Whether the output of a node that moves elements has all of them, in their order: axes of 1 come and go."""
    before, after = node.operand(0).shape, node.outputs[0].shape
    if before is None or after is None:
        return False
    spans = [follow(node, 0, Span(axis)) for axis, size in enumerate(before) if size != 1]
    axes = [span.axis for span in spans if span is not None]
    return len(axes) == len(spans) and axes == sorted(axes) and product(before) == product(after)


def _squashes_all_classes(node: Node) -> bool:
    """Whether a node squashes each element, or all that are no single image of a batch."""
    if operation_of(node).pointwise:
        return True
    shape = node.outputs[0].shape or ()
    axes = [axis % len(shape) for axis in node.attributes.get("axes", [])] if shape else []
    return len(axes) == 1 and product(size for axis, size in enumerate(shape) if axis != axes[0]) == 1


def _levels_of(graph: Graph, node: Node) -> Levels | None:
    """What the levels that a quantiser makes stand for; None where that differs from class to class."""
    numbers = [graph.constant(value) for value in node.inputs[1:]]
    if any(number is None or number.size != 1 for number in numbers):
        return None
    single = [float(number.reshape(-1)[0]) for number in numbers if number is not None]
    if "levels" not in node.attributes:  # a scale, and a zero point where there is one
        return Levels(single[0], single[1] if len(single) > 1 else 0.0)
    low, high, out_low, out_high = single
    if out_high == out_low or high == low:
        return None
    step = (high - low) / (out_high - out_low)
    return Levels(step, out_low - low / step)


def form_in_record(record: Mapping[str, str], output: Value) -> tuple[int, Levels | None] | None:
    """K and the levels of an output of a compiled model, as its hook's record tells; None where it tells nothing of them.

    Raises ValueError where these are no such output's.
    """
    if "classes" not in record:
        return None
    classes = int(record["classes"])
    levels = Levels.parse(record["levels"]) if "levels" in record else None
    count = product(output.shape or ())
    if classes < 1 or (isinstance(count, int) and count % classes):
        raise ValueError(record["classes"])
    return classes, levels
