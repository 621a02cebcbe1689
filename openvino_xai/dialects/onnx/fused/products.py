"""Products and convolutions with a factor, turned matrices or an activation."""

from __future__ import annotations

import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.activations import activated
from openvino_xai.dialects.onnx.fused.writing import MATRIX, Results, Writing

WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def matmul(w: Writing) -> Results:
    """alpha a b, of matrices that may be transposed; not of transposed batches."""
    if w.attribute("transBatchA", 0) or w.attribute("transBatchB", 0):
        return None
    factors: list[ir.Value] = []
    for index, name in enumerate(("transA", "transB")):
        factor = w.operand(index)
        if w.attribute(name, 0):
            rank = w.rank(factor)
            if rank is None or rank < MATRIX:
                return None
            factor = w.transposed(factor, rank)
        factors.append(factor)
    return {0: w.scaled(w.write("MatMul", *factors), w.attribute("alpha", 1.0), w.operand(0))}


def convolution(w: Writing) -> Results:
    """An activation of a convolution, to which a value may be added ahead of it."""
    y = w.write("Conv", w.operand(0), w.operand(1), w.optional(2), **w.attributes(WINDOW))
    if (addend := w.optional(3)) is not None:
        y = w.write("Add", y, addend)
    return _results(activated(w, y, w.attribute("activation_params", ())))


def gemm(w: Writing) -> Results:
    """An activation of alpha a b + beta c, of matrices that may be transposed."""
    y = w.write("Gemm", w.operand(0), w.operand(1), w.optional(2), **w.attributes(("alpha", "beta", "transA", "transB")))
    return _results(activated(w, y, [w.attribute(name) for name in ("activation_alpha", "activation_beta")]))


def _results(value: ir.Value | None) -> Results:
    return None if value is None else {0: value}
