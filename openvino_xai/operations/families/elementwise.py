"""One operand, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations import axes, contents, shapes
from openvino_xai.operations.adjoint import Rule, Step, attribute, by_channel, refused
from openvino_xai.operations.record import IN_FIRST, Constant, Operation, always, each, in_data


def slope_times(slope: Callable[[Step], Value]) -> Rule:
    """The adjoint times the slope at every element."""
    return lambda at, index, g: at.xp.multiply(g, slope(at))


def _where(test: Callable[[Step], Value]) -> Rule:
    """The adjoint where a test holds, else 0."""
    return lambda at, index, g: at.xp.where(test(at), g, np.zeros((), g.dtype))


def between(xp: Trace, x: Value, low: float, high: float, g: Value) -> Value:
    """`g` where low < x < high, else 0; an infinite limit is none."""
    nothing = np.zeros((), g.dtype)
    if low > -np.inf:
        g = xp.where(xp.greater(x, low), g, nothing)
    return xp.where(xp.greater(np.array(high, x.dtype), x), g, nothing) if high < np.inf else g


def _clip(at: Step, index: int, g: Value) -> Value:
    return between(at.xp, at.output(), attribute(at, "min"), attribute(at, "max"), g)


def _leaky(at: Step, slope: Any) -> Value:
    return at.xp.where(at.xp.greater(at.operand(0), 0.0), np.ones((), at.operand(0).dtype), slope)


def _leaky_relu(at: Step) -> Value:
    return _leaky(at, np.array(attribute(at, "alpha"), at.operand(0).dtype))


def _prelu(at: Step, index: int, g: Value) -> Value:
    if index:
        raise refused(at, "its slope depends on the image")
    one_each = at.node.attributes["by_channel"] and len(shape_of(at.operand(1))) == 1
    return at.xp.multiply(g, _leaky(at, by_channel(at, 1) if one_each else at.operand(1)))


def _elu(at: Step) -> Value:
    alpha, y = attribute(at, "alpha"), at.output()
    return at.xp.where(at.xp.greater(y, 0.0), np.ones((), y.dtype), at.xp.add(y, alpha))


def _selu(at: Step) -> Value:
    gamma, alpha, y = attribute(at, "gamma"), attribute(at, "alpha"), at.output()
    return at.xp.where(at.xp.greater(y, 0.0), np.array(gamma, y.dtype), at.xp.add(y, gamma * alpha))


def _sigmoid(at: Step) -> Value:
    y = at.output()
    return at.xp.multiply(y, _one_minus(at.xp, y))


def _one_minus(xp: Trace, y: Value) -> Value:
    return xp.subtract(np.ones((), y.dtype), y)


def _tanh(at: Step) -> Value:
    return _one_minus(at.xp, at.xp.multiply(at.output(), at.output()))


def sign_of(xp: Trace, x: Value) -> Value:
    """-1, 0 or 1 at every element."""
    unit, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
    return xp.where(xp.greater(x, 0.0), unit, xp.where(xp.greater(zero, x), -unit, zero))


def _hard_sigmoid(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(between(at.xp, at.output(), 0.0, 1.0, g), attribute(at, "alpha"))


def _hard_swish(at: Step, index: int, g: Value) -> Value:
    """x relu6(x + 3) / 6: flat up to -3, (2 x + 3) / 6 up to 3, and 1 from there on."""
    xp, x = at.xp, at.operand(0)
    rising = between(xp, x, -3.0, np.inf, xp.multiply(g, xp.divide(xp.add(xp.multiply(x, 2.0), 3.0), 6.0)))
    return xp.where(xp.greater(np.array(3.0, x.dtype), x), rising, g)


def _silu(at: Step) -> Value:
    xp, x, beta = at.xp, at.operand(0), attribute(at, "alpha")
    scaled = x if beta == 1 else xp.multiply(x, beta)
    s = xp.sigmoid(scaled)
    return xp.multiply(s, xp.add(xp.multiply(scaled, _one_minus(xp, s)), 1.0))


def _gelu(at: Step) -> Value:
    xp, x = at.xp, at.operand(0)
    squared = xp.multiply(x, x)
    if at.node.attributes["by_tanh"]:
        factor = math.sqrt(2 / math.pi)
        t = xp.tanh(xp.multiply(xp.multiply(x, xp.add(xp.multiply(squared, 0.044715), 1.0)), factor))
        inner = xp.multiply(xp.add(xp.multiply(squared, 3 * 0.044715), 1.0), factor)
        rising = xp.multiply(xp.multiply(x, inner), _one_minus(xp, xp.multiply(t, t)))
        return xp.multiply(xp.add(xp.add(t, 1.0), rising), 0.5)
    below = xp.multiply(xp.add(xp.erf(xp.multiply(x, math.sqrt(0.5))), 1.0), 0.5)
    density = xp.multiply(xp.exp(xp.multiply(squared, -0.5)), 1 / math.sqrt(2 * math.pi))
    return xp.add(below, xp.multiply(x, density))


def _erf(at: Step) -> Value:
    x = at.operand(0)
    return at.xp.multiply(at.xp.exp(at.xp.multiply(at.xp.multiply(x, x), -1.0)), 2 / math.sqrt(math.pi))


def _softsign(at: Step) -> Value:
    xp, x = at.xp, at.operand(0)
    below = xp.add(xp.multiply(x, sign_of(xp, x)), 1.0)
    return xp.divide(np.ones((), x.dtype), xp.multiply(below, below))


def _mish(at: Step) -> Value:
    """x tanh(softplus(x)); with s = sigmoid(-x), the tanh is (1 - s^2) / (1 + s^2)."""
    xp, x = at.xp, at.operand(0)
    s = xp.sigmoid(xp.multiply(x, -1.0))
    squared = xp.multiply(s, s)
    t = xp.divide(_one_minus(xp, squared), xp.add(squared, 1.0))
    rising = xp.multiply(xp.multiply(x, _one_minus(xp, s)), _one_minus(xp, xp.multiply(t, t)))
    return xp.add(t, rising)


def _asin(at: Step) -> Value:
    x = at.operand(0)
    return at.xp.divide(np.ones((), x.dtype), at.xp.sqrt(_one_minus(at.xp, at.xp.multiply(x, x))))


def _sqrt(at: Step) -> Value:
    return at.xp.divide(np.array(0.5, at.output().dtype), at.output())


def _relu(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(x, 0))


def _clips_around_zero(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    limits = node.attributes
    return bool(limits) and bool(limits["min"] <= 0 <= limits["max"])


def _clipped(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    limits = node.attributes
    if not limits or not contents.are_numbers(operands[0]):
        return None
    return np.asarray(np.clip(operands[0].astype(float), limits["min"], limits["max"])).astype(object)


# a function of each element of one operand
unary = partial(Operation, axes=axes.elementwise, pointwise=True, macs=each, shape=shapes.broadcast_of_all)


OPERATIONS = (
    unary("abs", adjoint=slope_times(lambda at: sign_of(at.xp, at.operand(0))), keeps_zero=always),
    unary("asin", adjoint=slope_times(_asin), keeps_zero=always),
    unary("ceil", keeps_zero=always, integers=contents.computed(np.ceil)),
    unary("clip", adjoint=_clip, keeps_zero=_clips_around_zero, integers=_clipped),
    unary("cos", adjoint=slope_times(lambda at: at.xp.multiply(at.xp.sin(at.operand(0)), -1.0))),
    unary("elu", adjoint=slope_times(_elu), keeps_zero=always),
    unary("erf", adjoint=slope_times(_erf), keeps_zero=always),
    unary("exp", adjoint=slope_times(lambda at: at.output())),
    unary("floor", keeps_zero=always, integers=contents.computed(np.floor), stepwise=True),
    unary("gelu", adjoint=slope_times(_gelu), keeps_zero=always),
    unary("hard_sigmoid", adjoint=_hard_sigmoid),
    unary("hard_swish", adjoint=_hard_swish, keeps_zero=always),
    unary("is_nan", stepwise=True),
    unary("leaky_relu", adjoint=slope_times(_leaky_relu), keeps_zero=always),
    unary("log", adjoint=slope_times(lambda at: at.xp.divide(np.ones((), at.operand(0).dtype), at.operand(0)))),
    unary("mish", adjoint=slope_times(_mish), keeps_zero=always),
    unary("not", stepwise=True),
    unary("reciprocal", adjoint=slope_times(lambda at: at.xp.multiply(at.xp.multiply(at.output(), at.output()), -1.0))),
    unary(
        "relu", adjoint=_where(lambda at: at.xp.greater(at.output(), 0.0)), keeps_zero=always, integers=contents.computed(_relu)
    ),
    unary("round", keeps_zero=always),
    unary("selu", adjoint=slope_times(_selu), keeps_zero=always),
    unary("sigmoid", adjoint=slope_times(_sigmoid)),
    unary("sign", keeps_zero=always),
    unary("silu", adjoint=slope_times(_silu), keeps_zero=always),
    unary("sin", adjoint=slope_times(lambda at: at.xp.cos(at.operand(0))), keeps_zero=always),
    unary("softplus", adjoint=slope_times(lambda at: at.xp.sigmoid(at.operand(0)))),
    unary("softsign", adjoint=slope_times(_softsign), keeps_zero=always),
    unary(
        "sqrt",
        adjoint=slope_times(_sqrt),
        keeps_zero=always,
        integers=contents.computed(np.sqrt),
    ),
    unary("tan", keeps_zero=always),
    unary("tanh", adjoint=slope_times(_tanh), keeps_zero=always),
    unary("thresholded_relu"),
    unary(
        "negative",
        factors=(IN_FIRST,),
        integers=contents.computed(np.negative),
        lazy_adjoint=True,
        adjoint=lambda at, index, g: at.xp.multiply(g, -1.0),
    ),
    Operation(name="prelu", axes=axes.slope_by_channel, keeps_zero=in_data, macs=each, adjoint=_prelu),
)
