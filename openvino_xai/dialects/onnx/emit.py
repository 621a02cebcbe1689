"""The vocabulary as ONNX operators: one table. Operators, attributes, and constants that are inputs in an opset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import concrete

Emitted = tuple[str, dict[str, Any], list[np.ndarray]]


def _plain(op: str, **attributes: Any) -> Callable[[Node, int], Emitted]:
    return lambda node, opset: (op, attributes, [])


def _reducer(op: str, since: int) -> Callable[[Node, int], Emitted]:
    """A reduction, with its axes as an input from opset `since` on and as an attribute before."""

    def make(node: Node, opset: int) -> Emitted:
        axes, keepdims = list(node.attributes["axes"]), int(node.attributes["keepdims"])
        if opset >= since:
            return op, {"keepdims": keepdims}, [np.array(axes, np.int64)]
        return op, {"keepdims": keepdims, "axes": axes}, []

    return make


def _matmul(node: Node, opset: int) -> Emitted:
    if node.attributes["transpose_a"] or node.attributes["transpose_b"]:
        return "Gemm", {"transA": int(node.attributes["transpose_a"]), "transB": int(node.attributes["transpose_b"])}, []
    return "MatMul", {}, []


def _conv(node: Node, opset: int) -> Emitted:
    a = node.attributes
    same = {name: list(a[name]) for name in ("strides", "pads", "dilations")}
    return "Conv", {**same, "group": a["groups"], "kernel_shape": list(a["kernel"])}, []


def _conv_transpose(node: Node, opset: int) -> Emitted:
    a, n = node.attributes, len(node.attributes["strides"])
    kernel = list(concrete((node.operand(1).shape or ())[-n:], f"the kernel of {node}"))
    same = {name: list(a[name]) for name in ("strides", "pads", "dilations", "output_padding")}
    return "ConvTranspose", {**same, "group": a["groups"], "kernel_shape": kernel}, []


def _max_pool(node: Node, opset: int) -> Emitted:
    a = node.attributes
    same = {name: list(a[name]) for name in ("strides", "pads", "dilations")}
    return "MaxPool", {**same, "kernel_shape": list(a["kernel"])}, []


def _scatter_add(node: Node, opset: int) -> Emitted:
    if opset < 16:
        raise PlanError(
            f"the derivative of what is picked is summed by an operation of opset 16, and the model has opset {opset}: export "
            "it with 16 or higher"
        )
    return "ScatterElements", {"axis": node.attributes["axis"], "reduction": "add"}, []


EMIT: dict[str, Callable[[Node, int], Emitted]] = {
    "add": _plain("Add"),
    "subtract": _plain("Sub"),
    "multiply": _plain("Mul"),
    "divide": _plain("Div"),
    "maximum": _plain("Max"),
    "minimum": _plain("Min"),
    "equal": _plain("Equal"),
    "greater": _plain("Greater"),
    "where": _plain("Where"),
    "exp": _plain("Exp"),
    "log": _plain("Log"),
    "sqrt": _plain("Sqrt"),
    "tanh": _plain("Tanh"),
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "erf": _plain("Erf"),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "round": _plain("Round"),
    "sigmoid": _plain("Sigmoid"),
    "softmax": lambda node, opset: ("Softmax", {"axis": node.attributes["axes"][0]}, []),
    "max": _reducer("ReduceMax", 18),
    "min": _reducer("ReduceMin", 18),
    "mean": _reducer("ReduceMean", 18),
    "sum": _reducer("ReduceSum", 13),
    "reshape": _plain("Reshape"),
    "transpose": lambda node, opset: ("Transpose", {"perm": list(node.attributes["perm"])}, []),
    "broadcast": _plain("Expand"),
    "concat": lambda node, opset: ("Concat", {"axis": node.attributes["axis"]}, []),
    "gather": lambda node, opset: ("Gather", {"axis": node.attributes["axis"]}, []),
    "gather_elements": lambda node, opset: ("GatherElements", {"axis": node.attributes["axis"]}, []),
    "matmul": _matmul,
    "cast": lambda node, opset: ("Cast", {"to": int(ir.DataType.from_numpy(np.dtype(node.attributes["dtype"])))}, []),
    "non_zero": _plain("NonZero"),
    "scatter_rows": _plain("ScatterND"),
    "scatter_add": _scatter_add,
    "max_pool": _max_pool,
    "top_k": lambda node, opset: (
        "TopK",
        {"axis": node.attributes["axis"], "largest": 1, "sorted": int(node.attributes["ordered"])},
        [np.array([node.attributes["k"]], np.int64)],
    ),
}
