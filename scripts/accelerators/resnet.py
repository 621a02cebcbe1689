"""ResNet-50 with seeded weights as ONNX: the network of Recipro-CAM's table of times, where no file of it may be fetched.

He et al., 2015, table 1, with the stride in the 3x3 convolution, and batch norms folded. Weights make no difference to times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels inside a block, blocks
GROWTH = 4  # channels of a block over those inside
CLASSES = 1000
SIDE = 224


def convolutions() -> Iterator[tuple[str, int, int, int, int]]:
    """The name, input channels, output channels, kernel and stride of each convolution."""
    yield "stem", 3, 64, 7, 2
    channels = 64
    for stage, (inside, blocks) in enumerate(STAGES, 1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
            if not block:
                yield f"{name}.shortcut", channels, GROWTH * inside, 1, stride
            yield f"{name}.reduce", channels, inside, 1, 1
            yield f"{name}.spatial", inside, inside, 3, stride
            yield f"{name}.expand", inside, GROWTH * inside, 1, 1
            channels = GROWTH * inside


def weights() -> dict[str, np.ndarray]:
    """Seeded weights: activations keep their size, and logits differ enough for a softmax to have a favourite."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, inputs, outputs, kernel, _ in convolutions():
        gain = 0.5 if name.endswith(".expand") else 1.0 if name.endswith(".shortcut") else 2.0
        spread = np.sqrt(gain / (inputs * kernel * kernel))
        arrays[f"{name}.weight"] = rng.normal(0, spread, (outputs, inputs, kernel, kernel)).astype(np.float32)
        arrays[f"{name}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    channels = GROWTH * STAGES[-1][0]
    arrays["head.weight"] = rng.normal(0, 0.2 / np.sqrt(channels), (channels, CLASSES)).astype(np.float32)
    arrays["head.bias"] = np.zeros(CLASSES, np.float32)
    return arrays


def write_resnet(path: Path) -> Path:
    """Write the network [N, 3, 224, 224] -> logits [N, 1000], with its last feature map 'features' [N, 2048, 7, 7]."""
    nodes: list[onnx.NodeProto] = []
    parts = {name: (kernel, stride) for name, _, _, kernel, stride in convolutions()}

    def add(operation: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operation, inputs, [output], output, **attributes))
        return output

    def convolved(name: str, source: str) -> str:
        kernel, stride = parts[name]
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return add("Conv", inputs, name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)

    x = add("Relu", [convolved("stem", "image")], "stem.relu")
    x = add("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    names = [name.removesuffix(".reduce") for name in parts if name.endswith(".reduce")]
    for name in names:
        y = add("Relu", [convolved(f"{name}.reduce", x)], f"{name}.relu1")
        y = convolved(f"{name}.expand", add("Relu", [convolved(f"{name}.spatial", y)], f"{name}.relu2"))
        shortcut = convolved(f"{name}.shortcut", x) if f"{name}.shortcut" in parts else x
        x = add("Relu", [add("Add", [y, shortcut], f"{name}.sum")], "features" if name == names[-1] else f"{name}.relu3")
    x = add("Flatten", [add("GlobalAveragePool", [x], "mean")], "vector")
    add("Gemm", [x, "head.weight", "head.bias"], "logits")
    graph = helper.make_graph(
        nodes,
        "resnet50",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights().items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
