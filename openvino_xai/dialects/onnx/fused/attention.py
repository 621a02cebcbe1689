"""Attention as products and a softmax: ONNX's from opset 23 on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.writing import LARGEST, Results, Writing

OF_TOKENS, OF_HEADS = 3, 4  # axes: [B, T, M * D], and [B, M, T, D] with M heads
TOKENS = 2  # the axis of tokens behind heads


def attention(w: Writing) -> Results:
    """softmax(softcap(scale q k^T) + mask) v, of 3 or 4 axes, with groups of queries; no cache, and no scores as an output."""
    q, k, v = (w.operand(index) for index in range(3))
    rank, sizes = w.rank(q), [w.last_size(item) for item in (q, k, v)]
    if None in sizes or any(w.rank(item) != rank for item in (k, v)):
        return None
    depth = sizes[0]
    assert depth is not None
    if rank == OF_TOKENS:
        heads = [w.attribute(name) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
        if any(not number or size % number for number, size in zip(heads, sizes, strict=True)):
            return None
        depth //= heads[0]
        q, k, v = (heads_apart(w, item, number) for item, number in zip((q, k, v), heads, strict=True))
    elif rank == OF_HEADS:
        heads = [(w.shape(item) or (None, None))[1] for item in (q, k, v)]
        if any(not isinstance(number, int) for number in heads):
            return None
    else:
        return None
    if heads[1] != heads[0]:
        if heads[0] % heads[1] or heads[0] > LARGEST:
            return None
        groups = w.integers(np.repeat(np.arange(heads[1]), heads[0] // heads[1]).tolist(), "groups")
        k, v = (w.write("Gather", item, groups, axis=1) for item in (k, v))
    causal = _causal(w, rank) if w.attribute("is_causal", 0) else None
    if w.attribute("is_causal", 0) and causal is None:
        return None
    masks = [mask for mask in (w.optional(3), causal) if mask is not None]
    scale = w.attribute("scale")
    y = attended(w, (q, k, v), depth**-0.5 if scale is None else scale, masks, w.attribute("softcap", 0.0))
    return {0: heads_joined(w, y) if rank == OF_TOKENS else y}


def attended(
    w: Writing, factors: tuple[ir.Value, ir.Value, ir.Value], scale: float, masks: list[ir.Value], softcap: float = 0.0
) -> ir.Value:
    """[B, M, T, D], of queries, keys and values with heads apart. A mask of truths says who may be attended to."""
    like, (q, k, v) = w.operand(0), factors
    logits = w.write("MatMul", w.scaled(q, scale, like), w.transposed(k, OF_HEADS))
    if softcap:
        capped = w.write("Tanh", w.scaled(logits, 1 / softcap, like))
        logits = w.scaled(capped, softcap, like)
    for mask in masks:
        if w.is_boolean(mask):
            mask = w.write("Where", mask, w.number(0, like, "zero"), w.number(-np.inf, like, "out"))
        logits = w.write("Add", logits, mask)
    return w.write("MatMul", w.write("Softmax", logits, axis=-1), v)


def heads_apart(w: Writing, value: ir.Value, heads: int) -> ir.Value:
    """[B, M, T, D], of [B, T, M * D]."""
    split = w.write("Reshape", value, w.integers([0, 0, heads, -1], "heads"))
    return w.write("Transpose", split, perm=[0, 2, 1, 3])


def heads_joined(w: Writing, value: ir.Value) -> ir.Value:
    """[B, T, M * D], of [B, M, T, D]."""
    turned = w.write("Transpose", value, perm=[0, 2, 1, 3])
    return w.write("Reshape", turned, w.integers([0, 0, -1], "tokens"))


def _causal(w: Writing, rank: int) -> ir.Value | None:
    """[T, T] to be added: a query attends to no token behind it. None where tokens are too many, or not known by number."""
    axis = rank - 2
    queries, keys = ((w.shape(w.operand(index)) or (None,) * rank)[axis] for index in (0, 1))
    if not isinstance(queries, int) or not isinstance(keys, int) or queries * keys > LARGEST:
        return None
    allowed = np.tri(queries, keys, dtype=bool)
    return w.constant(np.where(allowed, 0, -np.inf).astype(w.dtype(w.operand(0))), "causal")


def multi_head_attention(w: Writing) -> Results:
    """Attention of queries, keys and values [B, T, M * D], with a bias of each and one of the scores; no mask, no cache."""
    factors, heads = [w.operand(index) for index in range(3)], w.attribute("num_heads", 0)
    if any(w.rank(item) not in (None, OF_TOKENS) for item in factors) or w.attribute("unidirectional", 0) or not heads:
        return None
    size = w.last_size(factors[0])
    if (bias := w.optional(3)) is not None:
        elements = w.last_size(bias)
        if elements is None or elements % 3:
            return None
        size = elements // 3
        biases = w.write_several("Split", 3, bias, w.integers([size] * 3, "sizes"), axis=0)
        factors = [w.write("Add", item, addend) for item, addend in zip(factors, biases, strict=True)]
    return _of_heads(w, factors, heads, size, 5)


def packed_attention(w: Writing) -> Results:
    """Attention of tokens [B, T, C], whose queries, keys and values come from one matrix; no mask, no cache."""
    x, weights, bias, heads = w.operand(0), w.operand(1), w.optional(2), w.attribute("num_heads", 0)
    elements = w.last_size(weights)
    sizes = w.attribute("qkv_hidden_sizes") or ([elements // 3] * 3 if elements is not None else [])
    if w.attribute("unidirectional", 0) or w.attribute("do_rotary", 0) or not heads or sum(sizes) != elements:
        return None
    projected = w.write("MatMul", x, weights)
    if bias is not None:
        projected = w.write("Add", projected, bias)
    factors = w.write_several("Split", 3, projected, w.integers(sizes, "sizes"), axis=2)
    return _of_heads(w, factors, heads, sizes[0], 5)


def _of_heads(w: Writing, factors: list[ir.Value], heads: int, size: int | None, bias: int) -> Results:
    """Attention of tokens, of `size` channels, with a bias of the scores as an operand."""
    scale = w.attribute("scale", 0.0)
    if not scale and (size is None or size % heads):
        return None
    q, k, v = (heads_apart(w, item, heads) for item in factors)
    masks = [mask for mask in [w.optional(bias)] if mask is not None]
    depth = 1 if size is None else size // heads
    return {0: heads_joined(w, attended(w, (q, k, v), scale or depth**-0.5, masks))}
