"""A classifier with seeded weights of which the size of each part is chosen: cells, classes, batch and image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

LAYER = "features"
STEM = 4  # kernel and stride of the first convolution


def write_network(path: Path, *, widths: Sequence[int], side: int, cells: int, classes: int, batch: int) -> Path:
    """Write image [batch, 3, side, side] -> logits [batch, classes], with `features` [batch, C, cells, cells] ahead of a mean.

    Convolutions of all but the last of the `widths` see a quarter of the image's side; a pool makes cells of that, and the last
    convolution, 1 x 1, has C channels. The suffix of the path says in what format: `.onnx`, or `.xml` for OpenVINO.
    """
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(operation: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operation, inputs, [output], output, **attributes))
        return output

    def weight(name: str, *shape: int) -> str:
        spread = float(np.sqrt(2 / np.prod(shape[1:])))
        weights.append(numpy_helper.from_array(spread * rng.standard_normal(shape, np.float32), name))
        return name

    x, channels = "image", 3
    for number, width in enumerate(widths):
        is_last = number == len(widths) - 1
        kernel, stride, pad = (1, 1, 0) if is_last else (3, 1, 1) if number else (STEM, STEM, 0)
        if is_last and side // STEM != cells:
            window = [side // STEM // cells] * 2
            x = add("MaxPool", [x], "pool", kernel_shape=window, strides=window)
        filters = weight(f"w{number}", width, channels, kernel, kernel)
        x = add("Conv", [x, filters], f"c{number}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        x, channels = add("Relu", [x], LAYER if is_last else f"r{number}"), width
    vector = add("Flatten", [add("GlobalAveragePool", [x], "mean")], "vector")
    add("Gemm", [vector, weight("head", classes, channels)], "logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "growing",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if path.suffix == ".xml":
        ov.save_model(ov.Core().read_model(model.SerializeToString()), path, compress_to_fp16=False)
    else:
        onnx.save(model, path)
    return path
