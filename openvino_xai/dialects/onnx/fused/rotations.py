"""Rotations by the position of a token."""

from __future__ import annotations

import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.attention import OF_HEADS, OF_TOKENS, heads_apart, heads_joined
from openvino_xai.dialects.onnx.fused.writing import Results, Writing


def rotary(w: Writing) -> Results:
    """Pairs of elements of each token, turned by the angle of its position: halves, or neighbours where interleaved."""
    x, size = w.operand(0), w.last_size(w.operand(0))
    rank, heads = w.rank(x), w.attribute("num_heads", 0)
    if size is None or rank not in (OF_TOKENS, OF_HEADS) or (rank == OF_TOKENS and (not heads or size % heads)):
        return None
    if rank == OF_TOKENS:
        x, size = heads_apart(w, x, heads), size // heads
    turned = w.attribute("rotary_embedding_dim", 0) or size
    cosines, sines = (_of_positions(w, index) for index in (1, 2))
    if w.attribute("interleaved", 0):
        first, second = (_part(w, x, start, turned, 2) for start in (0, 1))
    else:
        first, second = _part(w, x, 0, turned // 2), _part(w, x, turned // 2, turned)
    real = w.write("Sub", w.write("Mul", cosines, first), w.write("Mul", sines, second))
    imaginary = w.write("Add", w.write("Mul", sines, first), w.write("Mul", cosines, second))
    if w.attribute("interleaved", 0):
        last = w.integers([-1], "last")
        pairs = w.write("Concat", *(w.write("Unsqueeze", item, last) for item in (real, imaginary)), axis=-1)
        parts = [w.write("Reshape", pairs, w.integers([0, 0, 0, turned], "pairs"))]
    else:
        parts = [real, imaginary]
    if turned < size:
        parts.append(_part(w, x, turned, size))
    y = w.write("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]
    return {0: heads_joined(w, y) if rank == OF_TOKENS else y}


def _of_positions(w: Writing, index: int) -> ir.Value:
    """[B, 1, T, D / 2]: a table of angles at the positions of the tokens."""
    table, positions = w.operand(index), w.optional(3)
    chosen = table if positions is None else w.write("Gather", table, positions, axis=0)
    return w.write("Unsqueeze", chosen, w.integers([1], "of heads"))


def _part(w: Writing, x: ir.Value, start: int, end: int, step: int = 1) -> ir.Value:
    """Elements of the last axis."""
    return w.write("Slice", x, *(w.integers([number], "from") for number in (start, end, -1, step)))
