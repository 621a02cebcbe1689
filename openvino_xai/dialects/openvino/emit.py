"""The vocabulary as OpenVINO operations: one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset

from openvino_xai.graph.model import Node

SIZES = np.int64


def _const(values: object, dtype: Any = SIZES) -> ov.Node:
    return opset.constant(np.asarray(values, dtype))


def _reducer(make: Callable[..., ov.Node]) -> Callable[..., ov.Node]:
    return lambda node, x: make(x, _const(node.attributes["axes"]), keep_dims=node.attributes["keepdims"])


def _top_k(node: Node, x: ov.Output) -> ov.Output:
    top = opset.topk(x, _const(node.attributes["k"]), node.attributes["axis"], "max", "value", index_element_type="i64")
    return top.output(1)


def _conv(node: Node, x: ov.Output, weights: ov.Output) -> ov.Node:
    a, n = node.attributes, len(node.attributes["strides"])
    make = opset.group_convolution if len(weights.get_partial_shape()) == n + 3 else opset.convolution
    return make(x, weights, a["strides"], a["pads"][:n], a["pads"][n:], a["dilations"])


def _max_pool(node: Node, x: ov.Output) -> ov.Output:
    a, n = node.attributes, len(node.attributes["strides"])
    return opset.max_pool(x, a["strides"], a["dilations"], a["pads"][:n], a["pads"][n:], a["kernel"]).output(0)


def _conv_transpose(node: Node, x: ov.Output, weights: ov.Output) -> ov.Node:
    a, n = node.attributes, len(node.attributes["strides"])
    grouped = len(weights.get_partial_shape()) == n + 3
    make = opset.group_convolution_backprop_data if grouped else opset.convolution_backprop_data
    begin, end = a["pads"][:n], a["pads"][n:]
    more = {"pads_begin": begin, "pads_end": end, "dilations": a["dilations"], "output_padding": a["output_padding"]}
    return make(x, weights, a["strides"], **more)


EMIT: dict[str, Callable[..., ov.Node | ov.Output]] = {
    "add": lambda node, a, b: opset.add(a, b),
    "subtract": lambda node, a, b: opset.subtract(a, b),
    "multiply": lambda node, a, b: opset.multiply(a, b),
    "divide": lambda node, a, b: opset.divide(a, b),
    "maximum": lambda node, a, b: opset.maximum(a, b),
    "minimum": lambda node, a, b: opset.minimum(a, b),
    "equal": lambda node, a, b: opset.equal(a, b),
    "greater": lambda node, a, b: opset.greater(a, b),
    "where": lambda node, condition, a, b: opset.select(condition, a, b),
    "exp": lambda node, x: opset.exp(x),
    "log": lambda node, x: opset.log(x),
    "sqrt": lambda node, x: opset.sqrt(x),
    "tanh": lambda node, x: opset.tanh(x),
    "sin": lambda node, x: opset.sin(x),
    "cos": lambda node, x: opset.cos(x),
    "erf": lambda node, x: opset.erf(x),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "round": lambda node, x: opset.round(x, "half_to_even"),
    "sigmoid": lambda node, x: opset.sigmoid(x),
    "softmax": lambda node, x: opset.softmax(x, node.attributes["axes"][0]),
    "max": _reducer(opset.reduce_max),
    "min": _reducer(opset.reduce_min),
    "mean": _reducer(opset.reduce_mean),
    "sum": _reducer(opset.reduce_sum),
    "reshape": lambda node, x, shape: opset.reshape(x, shape, special_zero=True),
    "transpose": lambda node, x: opset.transpose(x, _const(node.attributes["perm"])),
    "broadcast": lambda node, x, shape: opset.broadcast(x, shape, broadcast_spec="BIDIRECTIONAL"),
    "concat": lambda node, *xs: opset.concat(list(xs), node.attributes["axis"]),
    "gather": lambda node, x, indices: opset.gather(x, indices, _const(node.attributes["axis"])),
    "gather_elements": lambda node, x, indices: opset.gather_elements(x, indices, node.attributes["axis"]),
    "matmul": lambda node, a, b: opset.matmul(a, b, node.attributes["transpose_a"], node.attributes["transpose_b"]),
    "cast": lambda node, x: opset.convert(x, np.dtype(node.attributes["dtype"])),
    "top_k": _top_k,
    "non_zero": lambda node, x: opset.non_zero(x, "i64"),
    "max_pool": _max_pool,
    "scatter_rows": lambda node, x, rows, updates: opset.scatter_nd_update(x, rows, updates),
    "scatter_add": lambda node, x, indices, updates: opset.scatter_elements_update(
        x, indices, updates, node.attributes["axis"], "sum"
    ),
}
