"""What rounds to levels: passed straight through, and flat where it clips."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes, shapes
from openvino_xai.operations.adjoint import Step
from openvino_xai.operations.families.elementwise import between
from openvino_xai.operations.record import Constant, Operation, each


def _fake_quantize(at: Step, index: int, g: Value) -> Value:
    xp, y = at.xp, at.output()
    low, high, out_low, out_high = (at.operand(i) for i in range(1, 5))
    nothing = np.zeros((), g.dtype)
    inside = xp.where(xp.greater(y, out_low), xp.where(xp.greater(out_high, y), g, nothing), nothing)
    if all(_equal(at.constant(a), at.constant(b)) for a, b in ((1, 3), (2, 4))):
        return inside
    return xp.multiply(inside, xp.divide(xp.subtract(out_high, out_low), xp.subtract(high, low)))


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b)


def _quantize(at: Step, index: int, g: Value) -> Value:
    y = at.output()
    assert y.dtype is not None
    limits = np.iinfo(y.dtype)
    return at.xp.divide(between(at.xp, at.xp.astype(y, g.dtype), limits.min, limits.max, g), _scale(at, g))


def _dequantize(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(g, _scale(at, g))


def _scale(at: Step, g: Value) -> Value:
    """A quantiser's scale, along the axis that it belongs to."""
    scale, rank = at.operand(1), len(shape_of(g))
    shape = shape_of(scale)
    if len(shape) == 0 or product(shape) == 1:
        return at.xp.reshape(scale, ())
    axis = at.node.attributes["axis"] % rank
    return at.xp.reshape(scale, tuple(shape[0] if a == axis else 1 for a in range(rank)))


def _zero_is_a_level(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    """Whether zero is one of the levels of a FakeQuantize and stays what it is."""
    ranges = [constant(value) for value in node.inputs[1:5]]
    if any(data is None for data in ranges):
        return False
    low, high, out_low, out_high = (np.asarray(data, np.float32) for data in ranges)
    steps = np.float32(node.attributes["levels"] - 1)
    level = np.rint((0 - low) / (high - low) * steps) / steps * (out_high - out_low) + out_low
    return bool(np.all((low <= 0) & (high >= 0)) and not np.any(level))


OPERATIONS = (
    Operation(name="dequantize", axes=axes.by_channel, quantises=True, macs=each, adjoint=_dequantize),
    Operation(
        name="fake_quantize",
        axes=axes.elementwise,
        keeps_zero=_zero_is_a_level,
        pointwise=True,
        quantises=True,
        macs=each,
        shape=shapes.broadcast_of_all,
        adjoint=_fake_quantize,
    ),
    Operation(name="quantize", axes=axes.by_channel, quantises=True, macs=each, adjoint=_quantize),
)
