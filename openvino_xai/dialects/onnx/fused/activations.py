"""Activations with what lies ahead of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.writing import Results, Writing

OF_GELU = 20  # the opset that has Gelu
PARAMETERS = {"Clip": 2, "HardSigmoid": 2, "LeakyRelu": 1, "Relu": 0, "Sigmoid": 0, "Tanh": 0}


def bias_gelu(w: Writing) -> Results:
    """Gelu of x + bias."""
    return {0: _gelu(w, w.write("Add", w.operand(0), w.operand(1)))}


def fast_gelu(w: Writing) -> Results:
    """Gelu of x + bias by a tanh: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    x, bias, like = w.operand(0), w.optional(1), w.operand(0)
    if bias is not None:
        x = w.write("Add", x, bias)
    if w.opset >= OF_GELU:
        return {0: w.write("Gelu", x, approximate="tanh")}
    cube = w.write("Mul", x, w.write("Mul", x, x))
    inner = w.write("Add", x, w.scaled(cube, 0.044715, like))
    return {0: _half_of_one_and(w, x, w.write("Tanh", w.scaled(inner, math.sqrt(2 / math.pi), like)))}


def quick_gelu(w: Writing) -> Results:
    """x sigmoid(alpha x)."""
    x = w.operand(0)
    return {0: w.write("Mul", x, w.write("Sigmoid", w.scaled(x, w.attribute("alpha", 1.702), x)))}


def _gelu(w: Writing, x: ir.Value) -> ir.Value:
    if w.opset >= OF_GELU:
        return w.write("Gelu", x)
    return _half_of_one_and(w, x, w.write("Erf", w.scaled(x, math.sqrt(0.5), w.operand(0))))


def _half_of_one_and(w: Writing, x: ir.Value, value: ir.Value) -> ir.Value:
    """x (1 + value) / 2."""
    like = w.operand(0)
    return w.scaled(w.write("Mul", x, w.write("Add", value, w.number(1, like, "unit"))), 0.5, like)


def activated(w: Writing, x: ir.Value, numbers: Sequence[float | None]) -> ir.Value | None:
    """What the activation that a node names makes of a value, by its parameters; None for one that is not known."""
    name, parameters = w.attribute("activation", ""), [number for number in numbers if number is not None]
    if name == "":
        return x
    if PARAMETERS.get(name) != len(parameters):
        return None
    if name == "Clip":
        return w.write("Clip", x, *(w.number(number, w.operand(0), "limit") for number in parameters))
    return w.write(name, x, **dict(zip(("alpha", "beta"), parameters, strict=False)))
