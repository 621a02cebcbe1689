"""Hooks are made of operations that the GPU and NPU plugins of OpenVINO have, too."""

from __future__ import annotations

import inspect

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest

from openvino_xai.dialects.openvino.emit import EMIT
from openvino_xai.graph.model import Node

# Operations that the GPU plugin registers (openvinotoolkit/openvino, intel_gpu/plugin/primitives_list.hpp) and that the NPU's
# compiler has a parser for (openvinotoolkit/npu_compiler, vpux_compiler/src/frontend/IE.cpp), of those that a hook could want.
# Newer versions of Softmax and TopK are brought back to these by transformations that all plugins share. The
# rest of a hooked model is its own operations, which its plugin must have anyway.
ELSEWHERE = set(
    "Add Broadcast Concat Constant Convert Convolution ConvolutionBackpropData Cos Divide Equal Erf Exp Gather "
    "GatherElements Greater GroupConvolution GroupConvolutionBackpropData Log MatMul MaxPool Maximum Minimum Multiply NonZero "
    "ReduceMax ReduceMean ReduceMin ReduceSum Reshape Round ScatterElementsUpdate ScatterNDUpdate Select ShapeOf Sigmoid Sin "
    "Softmax Sqrt "
    "Subtract Tanh TopK Transpose".split()
)
# one set of attributes that serves every word
ATTRIBUTES = {
    "axes": [1], "keepdims": True, "perm": [0, 2, 1], "axis": 1, "transpose_a": False, "transpose_b": False,
    "dtype": np.dtype(np.uint8), "k": 2, "ordered": True,
    "strides": [1], "pads": [0, 0], "dilations": [1], "output_padding": [0],
    "kernel": [2],
}  # fmt: skip


@pytest.mark.parametrize("kind", EMIT)
def test_the_plugins_for_gpu_and_npu_have_what_is_emitted(kind: str) -> None:
    dtypes = {
        "where": [np.bool_, np.float32, np.float32],
        "gather": [np.float32, np.int64],
        "gather_elements": [np.float32, np.int64],
        "scatter_rows": [np.float32, np.int64, np.float32],
        "scatter_add": [np.float32, np.int64, np.float32],
    }
    count = (
        sum(parameter.kind != parameter.VAR_POSITIONAL for parameter in inspect.signature(EMIT[kind]).parameters.values()) - 1
    )
    operands = [opset.parameter([3, 3, 3], dtype).output(0) for dtype in dtypes.get(kind, [np.float32] * max(count, 1))]
    if kind == "scatter_rows":
        operands[1] = opset.constant(np.zeros((3, 1), np.int64)).output(0)
    if kind in ("reshape", "broadcast"):
        operands[1] = opset.constant(np.array([3, 3, 3])).output(0)
    emitted = EMIT[kind](Node(kind, kind, kind, (), attributes=ATTRIBUTES), *operands)
    node = emitted if isinstance(emitted, ov.Node) else emitted.get_node()
    assert node.get_type_name() in ELSEWHERE
