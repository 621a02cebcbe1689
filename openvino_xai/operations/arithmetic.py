"""Several operands, broadcast."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Shape, product
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.adjoint import Rule, Step, refused
from openvino_xai.operations.elementwise import same


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


RULES: dict[str, Rule] = {
    "add": broadcasting(same),
    "divide": broadcasting(_divide),
    "maximum": broadcasting(_larger(1)),
    "minimum": broadcasting(_larger(-1)),
    "multiply": broadcasting(_multiply),
    "power": broadcasting(_power),
    "squared_difference": broadcasting(_squared_difference),
    "subtract": broadcasting(_subtract),
    "where": broadcasting(_select),
}
