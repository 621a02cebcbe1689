"""A tiny vision transformer with its attention as an operation of its own, in the forms that ONNX files have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from tiny_transformers import CHANNELS, HEADS, Transformer

PLAIN = Transformer()
WITHIN = ("kt", "qs", "sc", "p", "g")  # what attention computes from queries, keys and values with heads apart
JOINED = (*WITHIN, "gt", "o")  # the same, up to the tokens with heads joined


def without(model: onnx.ModelProto, names: tuple[str, ...], write: Callable[[int], list[onnx.NodeProto]]) -> onnx.ModelProto:
    """The model with what `write` gives in the place of the nodes that make `names`, in each block."""
    nodes = list(model.graph.node)
    for block in range(PLAIN.repeats):
        removed = [node for node in nodes if node.output[0] in {f"{name}_{block}" for name in names}]
        place = nodes.index(removed[-1])
        nodes[place + 1 : place + 1] = write(block)
        nodes = [node for node in nodes if node not in removed]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def constants(model: onnx.ModelProto, **arrays: np.ndarray) -> None:
    """Give a model more initializers."""
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())


def attention_of_heads(batch: int | str, opset: int = 23) -> onnx.ModelProto:
    """ONNX's Attention of 4 axes, as torch writes it."""

    def write(block: int) -> list[onnx.NodeProto]:
        read = [f"{name}_{block}" for name in "qkv"]
        return [onnx.helper.make_node("Attention", read, [f"g_{block}"], name=f"attention_{block}", scale=0.5)]

    return without(PLAIN.build(batch, opset), WITHIN, write)


def attention_of_tokens(batch: int | str, opset: int = 23) -> onnx.ModelProto:
    """ONNX's Attention of 3 axes, with a mask that attends to all, and the default scale."""
    model = PLAIN.build(batch, opset)
    starts = {name: np.array([index * CHANNELS]) for index, name in enumerate("qkv")}
    ends = {name: start + CHANNELS for name, start in starts.items()}
    constants(model, last=np.array([2]), all_tokens=np.ones((PLAIN.tokens, PLAIN.tokens), bool))
    constants(model, **{f"{name}_from": array for name, array in starts.items()})
    constants(model, **{f"{name}_to": array for name, array in ends.items()})

    def write(block: int) -> list[onnx.NodeProto]:
        parts = [
            onnx.helper.make_node("Slice", [f"qkvb_{block}", f"{name}_from", f"{name}_to", "last"], [f"{name}s_{block}"])
            for name in "qkv"
        ]
        read = [*(part.output[0] for part in parts), "all_tokens"]
        node = onnx.helper.make_node(
            "Attention", read, [f"o_{block}"], name=f"attention_{block}", q_num_heads=HEADS, kv_num_heads=HEADS
        )
        return [*parts, node]

    return without(model, ("qkvr", "qkvt", "q0", "q", "k", "v", *JOINED), write)


def modern(batch: int | str, opset: int = 23) -> onnx.ModelProto:
    """Norms without a mean, and queries and keys that are turned by their positions, behind ONNX's Attention."""
    model = attention_of_heads(batch, opset)
    angles = np.arange(PLAIN.tokens)[:, None] * np.array([0.3, 0.1])
    constants(model, cosines=np.cos(angles).astype(np.float32), sines=np.sin(angles).astype(np.float32))
    for node in list(model.graph.node):
        if node.op_type == "LayerNormalization" and node.output[0] != "n":
            node.CopyFrom(onnx.helper.make_node("RMSNormalization", node.input[:2], node.output, name=node.name))
        if node.op_type == "Attention":
            place = list(model.graph.node).index(node)
            for name in list(node.input[:2]):
                turned = onnx.helper.make_node(
                    "RotaryEmbedding", [name, "cosines", "sines", "positions"], [f"{name}_turned"], name=f"{name}_turned"
                )
                model.graph.node.insert(place, turned)
            node.input[:2] = [f"{name}_turned" for name in node.input[:2]]
    shape = onnx.helper.make_node("Shape", ["image"], ["sizes"], start=0, end=1)
    joined = onnx.helper.make_node("Concat", ["sizes", "tokens"], ["sizes_of_positions"], axis=0)
    model.graph.node.insert(0, onnx.helper.make_node("Expand", ["places", "sizes_of_positions"], ["positions"]))
    model.graph.node.insert(0, joined)
    model.graph.node.insert(0, shape)
    constants(model, tokens=np.array([PLAIN.tokens]), places=np.arange(PLAIN.tokens)[None])
    return model
