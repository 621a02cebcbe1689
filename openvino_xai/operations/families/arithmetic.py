"""Several operands, broadcast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim, Shape, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes, contents, shapes
from openvino_xai.operations.adjoint import Rule, Step, refused, same
from openvino_xai.operations.record import ALL, IN_FIRST, IN_SECOND, Operation, always, each, together


def broadcasting(rule: Rule) -> Rule:
    """A rule for operands that are broadcast: what belongs to one element of an operand is summed."""
    return lambda at, index, g: summed_to(at, rule(at, index, g), index)


def summed_to(at: Step, g: Value, index: int, shape: Shape | None = None) -> Value:
    """`g`, shaped as the output (or `shape`), summed over what an operand is broadcast along."""
    xp, target = at.xp, at.operand_shape(index)
    full = at.output_shape() if shape is None else shape
    ahead = len(full) - len(target)
    along = [a for a in range(len(full)) if a < ahead or (target[a - ahead] == 1 and full[a] != 1)]
    there = [a for a in along if shape_of(g)[a] != 1]
    copies = [full[a] for a in along if shape_of(g)[a] == 1 and full[a] != 1]
    if there:
        g = xp.sum(g, axis=tuple(there), keepdims=True)
    if copies:
        g = xp.multiply(g, at.number(product(copies)))
    return xp.reshape(g, shape_of(g)[ahead:]) if ahead else g


def _multiply(at: Step, index: int, g: Value) -> Value:
    if product(shape_of(at.operand(1 - index))) == 1 and _is_one(at.constant(1 - index)):
        return g  # as exporters write a linear layer's own factors
    return at.xp.multiply(g, at.operand(1 - index))


def _is_one(data: np.ndarray | None) -> bool:
    return data is not None and bool((data == 1).all())


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
    xp, exponent = at.xp, at.constant(1)
    if index or exponent is None or exponent.size != 1:
        raise refused(at, "its exponent is not one constant number")
    p, x = float(exponent.item()), at.operand(0)
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


def _folded(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> contents.IntegerRule:
    """Of as many operands as there are, from the first to the last."""
    return contents.computed(lambda *operands: reduce(function, operands))


def _products(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    factors = [item for operand in operands for item in operand.reshape(-1)]
    if all(map(contents.are_numbers, operands)):
        return contents.computed(np.multiply)(node, operands)
    if any(isinstance(item, float) for item in factors):
        return None
    return np.asarray(operands[0] * operands[1], dtype=object)


def _quotients(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    """Quotients of whole numbers are cut off, as runtimes do."""
    if all(map(contents.are_numbers, operands)):
        divided = contents.computed(_truncated if contents.is_whole(node) else np.divide)
        return divided(node, operands)
    a, b = np.broadcast_arrays(*operands)
    pairs = list(zip(a.reshape(-1), b.reshape(-1), strict=True))
    if any(isinstance(item, float) for pair in pairs for item in pair):
        return None
    result = [quotient(x, y) for x, y in pairs]
    return None if None in result else np.array(result, dtype=object).reshape(a.shape)


def _truncated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.trunc(a / b))


def _remainders(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    """The remainder of numbers that are not negative: there all definitions of it agree."""
    if not all(map(contents.are_numbers, operands)) or any((operand < 0).any() for operand in operands):
        return None
    return np.asarray(operands[0] % operands[1], dtype=object)


def _equalities(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    """Whether sizes are equal, where that is the same for every run: a size is never negative."""
    a, b = np.broadcast_arrays(*operands)
    result = np.empty(a.shape, dtype=object)
    for index in np.ndindex(a.shape):
        x, y = a[index], b[index]
        if isinstance(x, Dim) != isinstance(y, Dim) and (y if isinstance(x, Dim) else x) >= 0:
            return None
        if isinstance(x, Dim) and isinstance(y, Dim) and x != y:
            return None
        result[index] = x == y
    return result


def _compared(comparison: Callable[..., np.ndarray]) -> contents.IntegerRule:
    """Which of two numbers is larger; of a size that only a run knows that is not told."""

    def rule(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
        return np.asarray(comparison(*operands), dtype=object) if all(map(contents.are_numbers, operands)) else None

    return rule


def _choices(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    condition, a, b = np.broadcast_arrays(*operands)
    result = np.empty(condition.shape, dtype=object)
    for index in np.ndindex(condition.shape):
        result[index] = a[index] if condition[index] else b[index]
    return result


# a function of one element of each operand, broadcast
of_several = partial(Operation, axes=axes.elementwise, pointwise=True, macs=each, shape=shapes.broadcast_of_all)
of_numbers = partial(of_several, rank=shapes.rank_of_broadcast)  # the output is of the operands' type


OPERATIONS = (
    of_numbers("add", adjoint=broadcasting(same), addends=ALL, integers=_folded(np.add), lazy_adjoint=True),
    of_several("and", stepwise=True),
    of_numbers("divide", adjoint=broadcasting(_divide), factors=(IN_FIRST,), integers=_quotients, lazy_adjoint=True),
    of_several("equal", integers=_equalities, stepwise=True),
    of_several("greater", integers=_compared(np.greater), stepwise=True),
    of_several("greater_equal", integers=_compared(np.greater_equal), stepwise=True),
    of_several("less", integers=_compared(np.less), stepwise=True),
    of_several("less_equal", integers=_compared(np.less_equal), stepwise=True),
    of_numbers("maximum", adjoint=broadcasting(_larger(1)), keeps_zero=together, integers=_folded(np.maximum)),
    of_numbers("minimum", adjoint=broadcasting(_larger(-1)), keeps_zero=together, integers=_folded(np.minimum)),
    of_several("mod", integers=_remainders),
    of_numbers(
        "multiply",
        adjoint=broadcasting(_multiply),
        factors=(IN_FIRST, IN_SECOND),
        keeps_zero=always,
        integers=_products,
        lazy_adjoint=True,
    ),
    of_several("not_equal", stepwise=True),
    of_several("or", stepwise=True),
    of_several("power", adjoint=broadcasting(_power)),
    of_several("squared_difference", adjoint=broadcasting(_squared_difference), keeps_zero=together),
    of_numbers(
        "subtract", adjoint=broadcasting(_subtract), addends=ALL, integers=contents.computed(np.subtract), lazy_adjoint=True
    ),
    of_several("where", adjoint=broadcasting(_select), addends=(1, 2), selectors=IN_FIRST, integers=_choices),
    of_several("xor", stepwise=True),
)
