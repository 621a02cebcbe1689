"""Tiny models with several heads, written as ONNX text."""

from __future__ import annotations

import numpy as np
import onnx
from tiny import STEM, tiny

HEADS = {"color": 5, "shape": 3}
# both read the hidden layer `r`
SHARED = (
    STEM + "p = GlobalAveragePool(f) v = Flatten(p) h = Gemm(v, wh, bh) r = Relu(h) color = Gemm(r, wc) shape = Gemm(r, ws)"
)
# `shape` has a convolution of its own behind what both read
APART = (
    STEM + "p = GlobalAveragePool(f) v = Flatten(p) color = Gemm(v, wv) d = Conv<pads=[1,1,1,1]>(f, wd) e = Relu(d) "
    "q = GlobalMaxPool(e) u = Flatten(q) shape = Gemm(u, wu)"
)
WEIGHTS = {"w0": (4, 3, 3, 3), "wh": (4, 7), "bh": (7,), "wc": (7, 5), "ws": (7, 3)}
WEIGHTS_APART = {"w0": (4, 3, 3, 3), "wv": (4, 5), "wd": (6, 4, 3, 3), "wu": (6, 3)}


def shared(batch: int | str = "B") -> onnx.ModelProto:
    """Two heads of 5 and 3 classes at one layer, `f`."""
    return tiny(SHARED, batch=batch, output="float[B,5] color, float[B,3] shape", **WEIGHTS)


def apart(batch: int | str = "B") -> onnx.ModelProto:
    """Two heads of 5 and 3 classes, of which one has a layer behind `f`, `e`."""
    return tiny(APART, batch=batch, output="float[B,5] color, float[B,3] shape", **WEIGHTS_APART)


def with_outputs(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """The same with other names of outputs, which text has no way to write."""
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
    return model


def with_second_head(model: onnx.ModelProto, features: str, channels: int, classes: int = 3) -> onnx.ModelProto:
    """A model with an output `second` more: a linear layer of rows of features."""
    weights = np.random.default_rng(5).normal(size=(channels, classes)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w_second"))
    model.graph.node.append(onnx.helper.make_node("MatMul", [features, "w_second"], ["second"]))
    batch = model.graph.output[0].type.tensor_type.shape.dim[0]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("second", onnx.TensorProto.FLOAT, [batch.dim_param or batch.dim_value, classes])
    )
    return model
