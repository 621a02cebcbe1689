"""Models that do harm where somebody believes them."""

from __future__ import annotations

import numpy as np
import onnx
from tiny import CASES, tiny


def _classifier() -> onnx.ModelProto:
    return tiny("p = GlobalAveragePool(image) v = Flatten(p) logits = MatMul(v, w)", batch=1, w=(3, 5))


def _scaled(model: onnx.ModelProto, nodes: list[onnx.NodeProto], **constants: np.ndarray) -> onnx.ModelProto:
    """The classifier with weights that nodes, the last of which makes `scaled`, compute."""
    for name, value in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    model.graph.node[-1].input[1] = "scaled"
    return model


def loop(trips: int) -> onnx.ModelProto:
    """A network whose weights take so many trips to compute."""
    text = "body (int64 i, bool go, float x) => (bool again, float y) { again = Identity(go) y = Add(x, x) }"
    nodes = [
        onnx.helper.make_node("Loop", ["trips", "yes", "start"], ["many"], body=onnx.parser.parse_graph(text)),
        onnx.helper.make_node("Mul", ["w", "many"], ["scaled"]),
    ]
    return _scaled(_classifier(), nodes, trips=np.array(trips), yes=np.array(True), start=np.array(1, np.float32))


def filled(elements: int) -> onnx.ModelProto:
    """A network that fills a constant of so many elements."""
    nodes = [
        onnx.helper.make_node("ConstantOfShape", ["many"], ["all"]),
        onnx.helper.make_node("ReduceSum", ["all"], ["sum"], keepdims=0),
        onnx.helper.make_node("Add", ["w", "sum"], ["scaled"]),
    ]
    return _scaled(_classifier(), nodes, many=np.array([elements]))


def nested(depth: int) -> onnx.ModelProto:
    """`If` in `If` in `If`."""
    model = _classifier()
    branch = deepest = onnx.parser.parse_graph("inner () => (float[1,3] deep) { deep = Identity(v) }")
    for _ in range(depth):
        node = onnx.helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=deepest)
        branch = onnx.helper.make_graph([node], "inner", [], [onnx.helper.make_tensor_value_info("out", 1, [1, 3])])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(2, onnx.helper.make_node("If", ["yes"], ["taken"], then_branch=branch, else_branch=deepest))
    model.graph.node[-1].input[0] = "taken"
    return model


def circle() -> onnx.ModelProto:
    """Nodes that read each other."""
    model = CASES["residual, layer second"].build(1, 17)
    model.graph.node[1].input[0] = model.graph.node[-1].output[0]
    return model
