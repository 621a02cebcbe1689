"""What rounds to levels: passed straight through, and flat where it clips."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.adjoint import Rule, Step
from openvino_xai.operations.elementwise import between


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


RULES: dict[str, Rule] = {
    "dequantize": _dequantize,
    "fake_quantize": _fake_quantize,
    "quantize": _quantize,
}
