"""Derivatives, one rule an operation kind: from the adjoint of a node's output to that of one operand.

A rule is written in the vocabulary, so that every dialect has it. It is given a `Step` and the adjoint `g` of the output, which
may be of size 1 along an axis where it is the same everywhere. Conventions where a derivative is not one number:

* ReLU, clip, hard sigmoid and hard swish are flat at their corners; the larger of two operands gets all, at a tie neither;
* of a maximum over axes, equal ones share; in a window of a max pool the first one gets all, row by row, as in PyTorch;
* what quantises is passed straight through, and is flat where it clips: at its lowest and highest step.

A kind without an entry is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.axes import is_pointwise
from openvino_xai.graph.neutral import Node, Value
from openvino_xai.graph.sizes import Shape, Size, product
from openvino_xai.graph.symbolic import LARGEST
from openvino_xai.graph.vocabulary import Trace, shape_of
from openvino_xai.surgery.windows import Windows, put_back, spread, taken


class Step(Protocol):
    """A node, met on the way back, with its values for every row."""

    xp: Trace
    node: Node

    def operand(self, index: int) -> Value:
        """An operand, for every row; a constant as it is."""

    def output(self) -> Value:
        """The node's only output, for every row."""

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


def _attribute(at: Step, name: str) -> float:
    told = at.node.attributes.get(name)
    if told is None:
        raise refused(at, f"its {name} is not known before the model runs, or is of a kind that no rule knows")
    return float(told)


# ---- elementwise ----


def unary(slope: Callable[[Step], Value]) -> Rule:
    """The adjoint times the slope at every element."""
    return lambda at, index, g: at.xp.multiply(g, slope(at))


def same(at: Step, index: int, g: Value) -> Value:
    """What passes through as it is."""
    return g


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
    return between(at.xp, at.output(), _attribute(at, "min"), _attribute(at, "max"), g)


def _leaky(at: Step, slope: Any) -> Value:
    return at.xp.where(at.xp.greater(at.operand(0), 0.0), np.ones((), at.operand(0).dtype), slope)


def _leaky_relu(at: Step) -> Value:
    return _leaky(at, np.array(_attribute(at, "alpha"), at.operand(0).dtype))


def _prelu(at: Step) -> Value:
    by_channel = at.node.attributes["by_channel"] and len(shape_of(at.operand(1))) == 1
    return _leaky(at, _by_channel(at, 1) if by_channel else at.operand(1))


def _elu(at: Step) -> Value:
    alpha, y = _attribute(at, "alpha"), at.output()
    return at.xp.where(at.xp.greater(y, 0.0), np.ones((), y.dtype), at.xp.add(y, alpha))


def _selu(at: Step) -> Value:
    gamma, alpha, y = _attribute(at, "gamma"), _attribute(at, "alpha"), at.output()
    return at.xp.where(at.xp.greater(y, 0.0), np.array(gamma, y.dtype), at.xp.add(y, gamma * alpha))


def _sigmoid(at: Step) -> Value:
    y = at.output()
    return at.xp.multiply(y, _one_minus(at.xp, y))


def _one_minus(xp: Trace, y: Value) -> Value:
    return xp.subtract(np.ones((), y.dtype), y)


def _tanh(at: Step) -> Value:
    return _one_minus(at.xp, at.xp.multiply(at.output(), at.output()))


def _sign(xp: Trace, x: Value) -> Value:
    one, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
    return xp.where(xp.greater(x, 0.0), one, xp.where(xp.greater(zero, x), -one, zero))


def _hard_sigmoid(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(between(at.xp, at.output(), 0.0, 1.0, g), _attribute(at, "alpha"))


def _hard_swish(at: Step, index: int, g: Value) -> Value:
    """x relu6(x + 3) / 6: flat up to -3, (2 x + 3) / 6 up to 3, and 1 from there on."""
    xp, x = at.xp, at.operand(0)
    rising = between(xp, x, -3.0, np.inf, xp.multiply(g, xp.divide(xp.add(xp.multiply(x, 2.0), 3.0), 6.0)))
    return xp.where(xp.greater(np.array(3.0, x.dtype), x), rising, g)


def _silu(at: Step) -> Value:
    xp, x, beta = at.xp, at.operand(0), _attribute(at, "alpha")
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
    below = xp.add(xp.multiply(x, _sign(xp, x)), 1.0)
    return xp.divide(np.ones((), x.dtype), xp.multiply(below, below))


def _mish(at: Step) -> Value:
    """x tanh(softplus(x)); with s = sigmoid(-x), the tanh is (1 - s^2) / (1 + s^2)."""
    xp, x = at.xp, at.operand(0)
    s = xp.sigmoid(xp.multiply(x, -1.0))
    squared = xp.multiply(s, s)
    t = xp.divide(_one_minus(xp, squared), xp.add(squared, 1.0))
    rising = xp.multiply(xp.multiply(x, _one_minus(xp, s)), _one_minus(xp, xp.multiply(t, t)))
    return xp.add(t, rising)


# ---- two operands, broadcast ----


def broadcasting(rule: Rule) -> Rule:
    """A rule for operands that are broadcast: what belongs to one element of an operand is summed."""
    return lambda at, index, g: summed_to(at, rule(at, index, g), index)


def summed_to(at: Step, g: Value, index: int, whole: Shape | None = None) -> Value:
    """`g`, shaped as the output (or `whole`), summed over what an operand is broadcast along."""
    xp, target = at.xp, at.operand_shape(index)
    whole = at.output_shape() if whole is None else whole
    ahead = len(whole) - len(target)
    axes = [a for a in range(len(whole)) if a < ahead or (target[a - ahead] == 1 and whole[a] != 1)]
    held = [a for a in axes if shape_of(g)[a] != 1]
    copies = [whole[a] for a in axes if shape_of(g)[a] == 1 and whole[a] != 1]
    if held:
        g = xp.sum(g, axis=tuple(held), keepdims=True)
    if copies:
        g = xp.multiply(g, at.number(product(copies)))
    return xp.reshape(g, shape_of(g)[ahead:]) if ahead else g


def _multiply(at: Step, index: int, g: Value) -> Value:
    if product(shape_of(at.operand(1 - index))) == 1 and _is_one(at.constant(1 - index)):
        return g  # as exporters write a linear layer's own factors
    return at.xp.multiply(g, at.operand(1 - index))


def _is_one(held: np.ndarray | None) -> bool:
    return held is not None and bool((held == 1).all())


def _divide(at: Step, index: int, g: Value) -> Value:
    over = at.xp.divide(g, at.operand(1))
    return over if index == 0 else at.xp.multiply(at.xp.multiply(over, at.output()), -1.0)


def _subtract(at: Step, index: int, g: Value) -> Value:
    return g if index == 0 else at.xp.multiply(g, -1.0)


def _squared_difference(at: Step, index: int, g: Value) -> Value:
    difference = at.xp.subtract(at.operand(index), at.operand(1 - index))
    return at.xp.multiply(g, at.xp.multiply(difference, 2.0))


def _larger(sign: int) -> Rule:
    """A maximum (1) or minimum (-1) of operands."""

    def rule(at: Step, index: int, g: Value) -> Value:
        for other, _ in at.node.operands:
            if other != index:
                a, b = at.operand(index), at.operand(other)
                test = at.xp.greater(a, b) if sign > 0 else at.xp.greater(b, a)
                g = at.xp.where(test, g, np.zeros((), g.dtype))
        return g

    return rule


def _power(at: Step, index: int, g: Value) -> Value:
    """A constant exponent: p x^(p - 1)."""
    xp, held = at.xp, at.constant(1)
    if index or held is None or held.size != 1:
        raise refused(at, "its exponent is not one constant number")
    p, x = float(held.item()), at.operand(0)
    if p == 1:
        return g
    if p == int(p) and 2 <= p <= 8:
        power = x
        for _ in range(int(p) - 2):
            power = xp.multiply(power, x)
    else:
        power = xp.divide(at.output(), x)
    return xp.multiply(g, xp.multiply(power, p))


def _select(at: Step, index: int, g: Value) -> Value:
    nothing = np.zeros((), g.dtype)
    return at.xp.where(at.operand(0), *((g, nothing) if index == 1 else (nothing, g)))


# ---- quantised ----


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


# ---- reductions and norms ----


def _kept(at: Step, value: Value) -> Value:
    """A value shaped as the output of a reduction, with the axes that were reduced, of size 1."""
    if at.node.attributes.get("keepdims", True):
        return value
    shape, rank = shape_of(value), len(at.operand_shape(0))
    axes, kept = _reduced(at), iter(shape)
    return at.xp.reshape(value, tuple(1 if axis in axes else next(kept) for axis in range(rank)))


def _reduced(at: Step) -> tuple[int, ...]:
    rank = len(at.operand_shape(0))
    return tuple(sorted(axis % rank for axis in at.node.attributes["axes"]))


def _sum(at: Step, index: int, g: Value) -> Value:
    return _kept(at, g)


def _mean(at: Step, index: int, g: Value) -> Value:
    return at.xp.divide(_kept(at, g), at.number(product(at.operand_shape(0)[axis] for axis in _reduced(at))))


def _extreme(at: Step, index: int, g: Value) -> Value:
    xp, x = at.xp, at.operand(0)
    here = xp.astype(xp.equal(x, _kept(at, at.output())), g.dtype)
    return xp.multiply(here, xp.divide(_kept(at, g), xp.sum(here, axis=_reduced(at), keepdims=True)))


def _l1(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(_kept(at, g), _sign(at.xp, at.operand(0)))


def _l2(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.operand(0), at.xp.divide(_kept(at, g), _kept(at, at.output())))


def _sum_square(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.xp.multiply(at.operand(0), 2.0), _kept(at, g))


def _log_sum_exp(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    return xp.multiply(xp.exp(xp.subtract(at.operand(0), _kept(at, at.output()))), _kept(at, g))


def of_softmax(xp: Trace, y: Value, g: Value, axes: tuple[int, ...]) -> Value:
    """The adjoint ahead of a softmax whose output is `y`."""
    return xp.multiply(y, xp.subtract(g, xp.sum(xp.multiply(g, y), axis=axes, keepdims=True)))


def _softmax(at: Step, index: int, g: Value) -> Value:
    return of_softmax(at.xp, at.output(), g, _reduced(at))


def _log_softmax(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    total = xp.sum(at.full(g, _reduced(at)), axis=_reduced(at), keepdims=True)
    return xp.subtract(g, xp.multiply(xp.exp(at.output()), total))


def _normalised(at: Step, x: Value, g: Value, axes: tuple[int, ...]) -> Value:
    """The adjoint ahead of (x - mean) / sqrt(variance + epsilon) along axes, where `g` is that behind it."""
    xp = at.xp
    centred = xp.subtract(x, xp.mean(x, axis=axes, keepdims=True))
    variance = xp.mean(xp.multiply(centred, centred), axis=axes, keepdims=True)
    deviation = xp.sqrt(xp.add(variance, _attribute(at, "epsilon")))
    scaled = xp.divide(centred, deviation)
    g = xp.broadcast_to(g, shape_of(x))
    along = xp.multiply(scaled, xp.mean(xp.multiply(g, scaled), axis=axes, keepdims=True))
    centred_g = xp.subtract(g, xp.mean(g, axis=axes, keepdims=True))
    return xp.divide(xp.subtract(centred_g, along), deviation)


def _layer_norm(at: Step, index: int, g: Value) -> Value:
    if index:
        raise refused(at, "its scale depends on the image")
    if at.node.attributes.get("scaled"):
        g = at.xp.multiply(g, at.operand(1))
    return _normalised(at, at.operand(0), g, _reduced(at))


def _by_channel(at: Step, index: int) -> Value:
    """An operand [C], along the second axis."""
    value, rank = at.operand(index), len(at.operand_shape(0))
    return at.xp.reshape(value, (1, shape_of(value)[0], *[1] * (rank - 2)))


def _group_norm(at: Step, index: int, g: Value) -> Value:
    """Groups of channels with all their positions are normalised together; of an instance norm, each channel."""
    xp, shape = at.xp, at.operand_shape(0)
    groups = shape[1] if at.node.kind == "instance_norm" else int(_attribute(at, "num_groups"))
    if index or not isinstance(shape[1], int) or shape_of(at.operand(1)) != (shape[1],) or not isinstance(groups, int):
        raise refused(at, "its scale is not one for each channel")
    apart = (shape[0], groups, shape[1] // groups, *shape[2:])
    scaled = xp.broadcast_to(xp.multiply(g, _by_channel(at, 1)), shape)
    axes = tuple(range(2, len(apart)))
    return xp.reshape(_normalised(at, xp.reshape(at.operand(0), apart), xp.reshape(scaled, apart), axes), shape)


def _batch_norm(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    if index:
        raise refused(at, "its parameters depend on the image")
    deviation = xp.sqrt(xp.add(_by_channel(at, 4), _attribute(at, "epsilon")))
    return xp.multiply(g, xp.divide(_by_channel(at, 1), deviation))


def _normalize_l2(at: Step, index: int, g: Value) -> Value:
    """x / sqrt(sum of x^2 + epsilon), or with no epsilon that matters."""
    xp, x, y, axes = at.xp, at.operand(0), at.output(), _reduced(at)
    squares = xp.sum(xp.multiply(x, x), axis=axes, keepdims=True)
    epsilon = at.node.attributes.get("epsilon", 0.0)
    added = at.node.attributes.get("added", True)
    length = xp.sqrt(xp.add(squares, epsilon) if added else xp.maximum(squares, np.array(epsilon, x.dtype)))
    along = xp.multiply(y, xp.sum(xp.multiply(g, y), axis=axes, keepdims=True))
    return xp.divide(xp.subtract(g, along), length)


# ---- matrix products and convolutions ----


def of_matrices(rule: Rule) -> Rule:
    """A rule for operands whose last two axes are their own, and whose others are broadcast."""

    def summed(at: Step, index: int, g: Value) -> Value:
        return summed_to(at, rule(at, index, g), index, (*at.output_shape()[:-2], *at.operand_shape(index)[-2:]))

    return summed


def _turned(xp: Trace, value: Value) -> Value:
    """With the last two axes exchanged."""
    rank = len(shape_of(value))
    return xp.permute_dims(value, (*range(rank - 2), rank - 1, rank - 2))


def _matmul(at: Step, index: int, g: Value) -> Value:
    xp, a = at.xp, at.node.attributes
    if index == 2:
        return summed_to(at, g if a["beta"] == 1 else xp.multiply(g, a["beta"]), index)
    if any(len(at.operand_shape(i)) < 2 for i in (0, 1)):
        raise refused(at, "one of its operands has a single axis")
    turned = a.get("transpose_a", False), a.get("transpose_b", False)
    made = of_matrices(lambda at, index, g: _product_adjoint(at, index, g, turned))(at, index, g)
    return made if a.get("alpha", 1.0) == 1 else xp.multiply(made, a["alpha"])


def _product_adjoint(at: Step, index: int, g: Value, turned: tuple[bool, bool]) -> Value:
    """Of y = a b: g b^T for a, and a^T g for b, each turned as its operand is."""
    xp, other = at.xp, at.operand(1 - index)
    if index == 0 and not turned[0] and (picked := at.picked(other, 0 if turned[1] else 1, g)) is not None:
        return picked
    g = at.full(g, (len(at.output_shape()) - 1 - index,))
    across = other if turned[1 - index] else _turned(xp, other)
    made = xp.matmul(g, across) if index == 0 else xp.matmul(across, g)
    return _turned(xp, made) if turned[index] else made


def _conv(at: Step, index: int, g: Value) -> Value:
    a, before, after = at.node.attributes, at.operand_shape(0), at.output_shape()
    if index:
        raise refused(at, "its weights depend on the image")
    weights, n = at.operand(1), len(a["kernel"])
    pointwise = all(is_pointwise(at.node, axis) for axis in range(n))
    if pointwise and a["groups"] == 1 and (found := at.picked(weights, 0, g)) is not None:
        return found
    g = at.full(g, (1,) if pointwise else None)
    more = [] if pointwise else [_left_over(at, i, before[i + 2], after[i + 2]) for i in range(n)]
    return at.xp.conv_transpose(
        g,
        weights,
        strides=a["strides"],
        pads=a["pads"],
        dilations=a["dilations"],
        groups=a["groups"],
        output_padding=more or [0] * n,
    )


def _left_over(at: Step, axis: int, before: Size, after: Size) -> int:
    """What a strided convolution did not read at the end of an axis."""
    a, n = at.node.attributes, len(at.node.attributes["kernel"])
    stride, reach = a["strides"][axis], (a["kernel"][axis] - 1) * a["dilations"][axis] + 1
    if isinstance(before, int) and isinstance(after, int):
        return int(before + a["pads"][axis] + a["pads"][axis + n] - ((after - 1) * stride + reach))
    if stride == 1 and before == after:
        return 0
    raise refused(at, "the sizes that it reads are known only when the model runs; give the model a fixed height and width")


# ---- pools ----


def _windows(at: Step) -> tuple[Windows, Windows]:
    before, after = at.operand_shape(0), at.output_shape()
    if len(before) != 4 or not all(isinstance(size, int) for size in (*before[2:], *after[2:])):
        raise refused(at, "its windows are known only for images of a fixed height and width")
    sizes = [(int(str(before[i + 2])), int(str(after[i + 2]))) for i in range(2)]
    return Windows.along(at.node.attributes, 0, *sizes[0]), Windows.along(at.node.attributes, 1, *sizes[1])


def _max_pool(at: Step, index: int, g: Value) -> Value:
    """The first of the largest in each window gets all."""
    xp, (rows, columns) = at.xp, _windows(at)
    x, y, g = at.operand(0), at.output(), at.full(g)
    lead, (h, kh), (w, kw) = shape_of(g)[:2], rows.reads.shape, columns.reads.shape
    placed = (*lead, h, 1, w, 1)
    order = np.arange(kh * kw, dtype=x.dtype).reshape(1, 1, 1, kh, 1, kw)
    largest = xp.equal(taken(xp, x, rows, columns), xp.reshape(y, placed))
    place = xp.where(largest, order, np.array(kh * kw, x.dtype))
    first = xp.equal(place, xp.min(place, axis=(3, 5), keepdims=True))
    return put_back(xp, xp.where(first, xp.reshape(g, placed), np.zeros((), g.dtype)), rows, columns)


def _avg_pool(at: Step, index: int, g: Value) -> Value:
    xp, (rows, columns), a = at.xp, _windows(at), at.node.attributes
    g = at.full(g)
    if a["exclude_pad"]:
        counts = rows.inside.sum(axis=1)[:, None] * columns.inside.sum(axis=1)
    elif a["ceil"]:
        raise refused(at, "how it counts what lies beyond the padding differs between runtimes")
    else:
        counts = np.array(rows.reads.shape[1] * columns.reads.shape[1])
    lead, (h, kh), (w, kw) = shape_of(g)[:2], rows.reads.shape, columns.reads.shape
    share = xp.reshape(xp.divide(g, counts.astype(g.dtype)), (*lead, h, 1, w, 1))
    whole = xp.broadcast_to(share, (*lead, h, kh, w, kw))
    return spread(xp, xp.reshape(whole, (*lead, h * kh, w * kw)), rows, columns)


# ---- layout ----


def _reshape(at: Step, index: int, g: Value) -> Value:
    """Axes that the adjoint is the same along stay of size 1 where the reshape leaves them alone."""
    before, after, lazy = at.operand_shape(0), at.output_shape(), shape_of(g)
    if lazy == after:
        return at.xp.reshape(g, before)
    groups = _groups(before, after)
    if groups is not None and all(all(lazy[t] == after[t] for t in ts) or all(lazy[t] == 1 for t in ts) for _, ts in groups):
        kept = {s: before[s] if all(lazy[t] == after[t] for t in ts) else 1 for ss, ts in groups for s in ss}
        return at.xp.reshape(g, tuple(kept.get(axis, 1) for axis in range(len(before))))
    return at.xp.reshape(at.full(g), before)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Runs of axes before and after that hold the same elements, each as short as can be."""
    groups: list[tuple[list[int], list[int]]] = []
    s = t = 0
    while s < len(before) or t < len(after):
        left: list[int] = []
        right: list[int] = []
        while True:
            if s < len(before) and (not left or _small(before, left) <= _small(after, right)):
                left.append(s)
                s += 1
            elif t < len(after):
                right.append(t)
                t += 1
            else:
                return groups if not right and product(before[i] for i in left) == 1 else None
            if left and right and product(before[i] for i in left) == product(after[i] for i in right):
                break
            if s == len(before) and t == len(after):
                return None
        groups.append((left, right))
    return groups


def _small(shape: Shape, axes: list[int]) -> int:
    return math.prod(size if isinstance(size, int) else size.factor for size in (shape[axis] for axis in axes))


def _squeeze(at: Step, index: int, g: Value) -> Value:
    axes = {axis % len(at.operand_shape(0)) for axis in at.node.attributes["axes"]}
    kept = iter(shape_of(g))
    return at.xp.reshape(g, tuple(1 if axis in axes else next(kept) for axis in range(len(at.operand_shape(0)))))


def _unsqueeze(at: Step, index: int, g: Value) -> Value:
    axes = {axis % len(at.output_shape()) for axis in at.node.attributes["axes"]}
    return at.xp.reshape(g, tuple(size for axis, size in enumerate(shape_of(g)) if axis not in axes))


def _transpose(at: Step, index: int, g: Value) -> Value:
    return at.xp.permute_dims(g, tuple(int(i) for i in np.argsort(at.node.attributes["perm"])))


def _concat(at: Step, index: int, g: Value) -> Value:
    axis = at.node.attributes["axis"] % len(at.output_shape())
    if shape_of(g)[axis] == 1 and at.output_shape()[axis] != 1:
        return g
    start = sum(_length(at, i, axis) for i, _ in at.node.operands if i < index)
    return at.xp.take(g, np.arange(start, start + _length(at, index, axis)), axis=axis)


def _length(at: Step, index: int, axis: int) -> int:
    size = at.operand_shape(index)[axis]
    if not isinstance(size, int):
        raise refused(at, "the sizes of its operands are known only when the model runs")
    return size


def moved(at: Step, g: Value, axis: int, places: np.ndarray) -> Value:
    """The adjoint of an operand of which the output holds the items at `places` along an axis, one after the other."""
    return _moved(at.xp, at.full(g, (axis,)), axis, places, _length(at, 0, axis))


def _moved(xp: Trace, g: Value, axis: int, places: np.ndarray, size: int) -> Value:
    """`g` with item i at `places[i]` of `size` along an axis, 0 where nothing is put; items at one place are summed."""
    rank = len(shape_of(g))
    if len(np.unique(places)) < len(places):
        order = (*(a for a in range(rank) if a != axis), axis)
        there = (places[:, None] == np.arange(size)).astype(g.dtype)
        return xp.permute_dims(xp.matmul(xp.permute_dims(g, order), there), tuple(int(i) for i in np.argsort(order)))
    source = np.full(size, len(places))
    source[places] = np.arange(len(places))
    if (source == len(places)).any():
        one = tuple(1 if a == axis else n for a, n in enumerate(shape_of(g)))
        g = xp.concat([g, xp.broadcast_to(np.zeros((1,) * rank, g.dtype), one)], axis=axis)
    return xp.take(g, source, axis=axis)


def _slice(at: Step, index: int, g: Value) -> Value:
    a, shape = at.node.attributes, at.operand_shape(0)
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        axis %= len(shape)
        if shape[axis] == at.output_shape()[axis] and step == 1:
            continue
        size = _length(at, 0, axis)
        stop = None if step < 0 and end < -size else end
        g = moved(at, g, axis, np.arange(size)[slice(start, stop, step)])
    return g


def _pad(at: Step, index: int, g: Value) -> Value:
    a, shape = at.node.attributes, at.operand_shape(0)
    if str(a["mode"]).lower() != "constant":
        raise refused(at, f"it pads by '{a['mode']}', and a constant is expected")
    for axis, size in enumerate(shape):
        begin, end = a["pads"][axis], a["pads"][axis + len(shape)]
        if not (begin or end) or (shape_of(g)[axis] == 1 and at.output_shape()[axis] != 1):
            continue
        if begin < 0 or end < 0 or not isinstance(size, int):
            raise refused(at, "it cuts off, or its sizes are known only when the model runs")
        g = at.xp.take(g, np.arange(begin, begin + size), axis=axis)
    return g


def _gather(at: Step, index: int, g: Value) -> Value:
    rank = len(at.operand_shape(0))
    axis, indices = at.node.attributes["axis"] % rank, at.constant(1)
    if indices is None or indices.size > LARGEST:
        raise refused(at, "its indices are known only when the model runs")
    places = indices.reshape(-1).astype(np.int64) % _length(at, 0, axis)
    g = at.full(g, tuple(range(axis, axis + indices.ndim)))
    shape = shape_of(g)
    flat = at.xp.reshape(g, (*shape[:axis], places.size, *shape[axis + indices.ndim :]))
    return _moved(at.xp, flat, axis, places, _length(at, 0, axis))


def _roll(at: Step, index: int, g: Value) -> Value:
    shifts = at.integers(1)
    if shifts is None:
        raise refused(at, "how far it rolls is known only when the model runs")
    for shift, axis in zip(shifts, at.node.attributes["axes"], strict=True):
        axis %= len(at.operand_shape(0))
        g = moved(at, g, axis, (np.arange(_length(at, 0, axis)) - shift) % _length(at, 0, axis))
    return g


# ---- attention ----


def _attention(at: Step, index: int, g: Value) -> Value:
    """Of softmax(q k^T s + mask) v, which a runtime computes in one."""
    xp, inputs = at.xp, at.node.inputs
    if at.node.attributes["causal"] or index > 2:
        raise refused(at, "it is causal, or its mask depends on the image")
    q, k, v = (at.operand(i) for i in range(3))
    depth = at.operand_shape(0)[-1]
    scale: Any = at.operand(4) if len(inputs) > 4 and inputs[4] is not None else int(str(depth)) ** -0.5
    logits = xp.multiply(xp.matmul(q, _turned(xp, k)), scale)
    if len(inputs) > 3 and inputs[3] is not None:
        logits = xp.add(logits, at.operand(3))
    last = len(shape_of(logits)) - 1
    p, g = xp.softmax(logits, axis=last), at.full(g)
    if index == 2:
        return xp.matmul(_turned(xp, p), g)
    behind = xp.multiply(of_softmax(xp, p, xp.matmul(g, _turned(xp, v)), (last,)), scale)
    return xp.matmul(behind, k) if index == 0 else xp.matmul(_turned(xp, behind), q)


DERIVATIVES: dict[str, Rule] = {
    "abs": unary(lambda at: _sign(at.xp, at.operand(0))),
    "add": broadcasting(same),
    "attention": of_matrices(_attention),
    "avg_pool": _avg_pool,
    "batch_norm": _batch_norm,
    "broadcast": broadcasting(same),
    "cast": same,
    "clip": _clip,
    "concat": _concat,
    "conv": _conv,
    "dequantize": _dequantize,
    "divide": broadcasting(_divide),
    "elu": unary(_elu),
    "erf": unary(_erf),
    "exp": unary(lambda at: at.output()),
    "fake_quantize": _fake_quantize,
    "gather": _gather,
    "gelu": unary(_gelu),
    "group_norm": _group_norm,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _hard_swish,
    "identity": same,
    "instance_norm": _group_norm,
    "l1": _l1,
    "l2": _l2,
    "layer_norm": _layer_norm,
    "leaky_relu": unary(_leaky_relu),
    "log": unary(lambda at: at.xp.divide(np.ones((), at.operand(0).dtype), at.operand(0))),
    "log_softmax": _log_softmax,
    "log_sum_exp": _log_sum_exp,
    "matmul": _matmul,
    "max": _extreme,
    "max_pool": _max_pool,
    "maximum": broadcasting(_larger(1)),
    "mean": _mean,
    "min": _extreme,
    "minimum": broadcasting(_larger(-1)),
    "mish": unary(_mish),
    "multiply": broadcasting(_multiply),
    "negative": lambda at, index, g: at.xp.multiply(g, -1.0),
    "normalize_l2": _normalize_l2,
    "pad": _pad,
    "power": broadcasting(_power),
    "prelu": unary(_prelu),
    "quantize": _quantize,
    "reciprocal": unary(lambda at: at.xp.multiply(at.xp.multiply(at.output(), at.output()), -1.0)),
    "relu": _where(lambda at: at.xp.greater(at.output(), 0.0)),
    "reshape": _reshape,
    "roll": _roll,
    "selu": unary(_selu),
    "sigmoid": unary(_sigmoid),
    "silu": unary(_silu),
    "slice": _slice,
    "softmax": _softmax,
    "softplus": unary(lambda at: at.xp.sigmoid(at.operand(0))),
    "softsign": unary(_softsign),
    "sqrt": unary(lambda at: at.xp.divide(np.array(0.5, at.output().dtype), at.output())),
    "squared_difference": broadcasting(_squared_difference),
    "squeeze": _squeeze,
    "subtract": broadcasting(_subtract),
    "sum": _sum,
    "sum_square": _sum_square,
    "tanh": unary(_tanh),
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "where": broadcasting(_select),
}
