"""A tiny vision transformer with its attention as an operation of its own, in the forms that ONNX files have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from tiny_transformers import CHANNELS, HEADS, Transformer

PLAIN = Transformer()
MICROSOFT = "com.microsoft"
APART = ("qkvr", "qkvt", "q0", "q", "k", "v")  # what takes queries, keys and values, and their heads, apart
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
    constants(model, all_tokens=np.ones((PLAIN.tokens, PLAIN.tokens), bool))
    return of_tokens(
        model,
        lambda read, output, name: onnx.helper.make_node(
            "Attention", [*read, "all_tokens"], [output], name=name, q_num_heads=HEADS, kv_num_heads=HEADS
        ),
    )


def multi_head_attention(batch: int | str, opset: int = 17) -> onnx.ModelProto:
    """ONNX Runtime's MultiHeadAttention."""
    model = of_tokens(
        PLAIN.build(batch, opset),
        lambda read, output, name: onnx.helper.make_node(
            "MultiHeadAttention", read, [output], name=name, domain=MICROSOFT, num_heads=HEADS
        ),
    )
    return of_microsoft(model)


def optimised(batch: int | str, opset: int = 17) -> onnx.ModelProto:
    """ONNX Runtime's Attention, with a norm of the residual sum behind it."""

    def attention(block: int) -> list[onnx.NodeProto]:
        read, name = [f"z_{block}", "wqkv", "bqkv"], f"attention_{block}"
        return [onnx.helper.make_node("Attention", read, [f"o_{block}"], name=name, domain=MICROSOFT, num_heads=HEADS)]

    def norm(block: int) -> list[onnx.NodeProto]:
        read, name = [f"x{block}", f"pr_{block}", "g2", "b2", "bo"], f"norm_{block}"
        outputs = [f"m0_{block}", "", "", f"y_{block}"]
        return [onnx.helper.make_node("SkipLayerNormalization", read, outputs, name=name, domain=MICROSOFT, epsilon=1e-5)]

    model = without(PLAIN.build(batch, opset), ("qkv", "qkvb", *APART, *JOINED), attention)
    return of_microsoft(without(model, ("pb", "y", "m0"), norm))


def of_microsoft(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the operations of ONNX Runtime."""
    model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return model


def of_tokens(model: onnx.ModelProto, attention: Callable[[list[str], str, str], onnx.NodeProto]) -> onnx.ModelProto:
    """The model with an operation that reads queries, keys and values of 3 axes."""
    starts = {name: np.array([index * CHANNELS]) for index, name in enumerate("qkv")}
    constants(model, last=np.array([2]), **{f"{name}_from": start for name, start in starts.items()})
    constants(model, **{f"{name}_to": start + CHANNELS for name, start in starts.items()})

    def write(block: int) -> list[onnx.NodeProto]:
        parts = [
            onnx.helper.make_node("Slice", [f"qkvb_{block}", f"{name}_from", f"{name}_to", "last"], [f"{name}s_{block}"])
            for name in "qkv"
        ]
        return [*parts, attention([part.output[0] for part in parts], f"o_{block}", f"attention_{block}")]

    return without(model, (*APART, *JOINED), write)


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
