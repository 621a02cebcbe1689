"""Norms by the root of the mean square, and norms of a residual sum."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.writing import Results, Writing

SUM = 3  # the output of a residual norm that holds the sum


def rms(w: Writing) -> Results:
    """x / sqrt(mean(x^2) + epsilon) * scale, along the last axes."""
    x, axis = w.operand(0), w.attribute("axis", -1)
    rank = w.rank(x)
    if axis != -1 and (rank is None or not -rank <= axis < rank):
        return None
    axes = list(range(axis - rank if rank is not None and axis >= 0 else axis, 0))
    return {0: _by_root_mean_square(w, x, w.operand(1), axes, w.attribute("epsilon", 1e-5))}


def residual_norm(w: Writing) -> Results:
    """LayerNormalization of x + skip + bias, and that sum."""
    total = _sum(w)
    scales = [w.operand(2), *(beta for beta in [w.optional(3)] if beta is not None)]
    normalised = w.write("LayerNormalization", total, *scales, axis=-1, epsilon=w.attribute("epsilon", 1e-12))
    return {0: normalised, SUM: total}


def residual_rms(w: Writing) -> Results:
    """x / sqrt(mean(x^2) + epsilon) * scale, of x = input + skip + bias, and that sum."""
    total = _sum(w, bias=3)
    return {0: _by_root_mean_square(w, total, w.operand(2), [-1], w.attribute("epsilon", 1e-12)), SUM: total}


def _sum(w: Writing, bias: int = 4) -> ir.Value:
    total = w.write("Add", w.operand(0), w.operand(1))
    more = w.optional(bias)
    return total if more is None else w.write("Add", total, more)


def _by_root_mean_square(w: Writing, x: ir.Value, scale: ir.Value, axes: list[int], epsilon: float) -> ir.Value:
    like = w.operand(0)
    half = w.dtype(like) == np.float16  # whose squares are larger than it holds
    wide = w.write("Cast", x, to=int(ir.DataType.FLOAT)) if half else x
    mean = w.mean(w.write("Mul", wide, wide), axes)
    added = w.constant(np.array(epsilon, np.float32 if half else w.dtype(like)), "epsilon")
    normalised = w.write("Div", wide, w.write("Sqrt", w.write("Add", mean, added)))
    if half:
        normalised = w.write("Cast", normalised, to=int(ir.DataType.FLOAT16))
    return w.write("Mul", normalised, scale)
