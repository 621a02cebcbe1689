"""Tiny detectors of two levels, written as ONNX text, with boxes in any format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from tiny import tiny

HEIGHT, WIDTH, CLASSES = 16, 24, 3
GRIDS = ((4, 6, 4), (2, 3, 8))  # rows, columns and stride of each level
ROWS = 30
STRIDES = np.concatenate([np.full((1, h * w, 1), stride, np.float32) for h, w, stride in GRIDS], axis=1)
CENTRES = np.concatenate(
    [(np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(1, -1, 2) + 0.5) * s for h, w, s in GRIDS], axis=1
).astype(np.float32)

LEVELS = """
    c0 = Conv<strides = [4, 4]>(image, k0) p0 = Relu(c0)
    c1 = Conv<strides = [2, 2]>(p0, k1) p1 = Relu(c1)
"""
DECODED = """
    sizes = Exp(raw) d = Mul(sizes, strides) near, far = Split<axis = 2, num_outputs = 2>(d)
    low = Sub(centres, near) high = Add(centres, far)
"""
SIZES = "sum = Add(low, high) middle = Mul(sum, half) size = Sub(high, low)"
FORMATS = {  # how a file ends that decodes by itself
    "xyxy": "boxes = Concat<axis = 2>(low, high)",
    "xywh": f"{SIZES} boxes = Concat<axis = 2>(middle, size)",
    "xyxy01": "pixels = Concat<axis = 2>(low, high) boxes = Div(pixels, image_size)",
    "xywh01": f"{SIZES} pixels = Concat<axis = 2>(middle, size) boxes = Div(pixels, image_size)",
    "yxyx": "x0, y0 = Split<axis = 2, num_outputs = 2>(low) x1, y1 = Split<axis = 2, num_outputs = 2>(high) "
    "boxes = Concat<axis = 2>(y0, x0, y1, x1)",
}


def rows_of(name: str, width: int) -> str:
    """`name` [1, A, width], of two convolutions of the levels."""
    return (
        " ".join(f"{name}_c{i} = Conv(p{i}, {name}_w{i}) {name}_f{i} = Reshape({name}_c{i}, {name}_shape)" for i in range(2))
        + f" {name}_j = Concat<axis = 2>({name}_f0, {name}_f1) {name} = Transpose<perm = [0, 2, 1]>({name}_j) "
    )


def weights_of(name: str, width: int) -> dict[str, Sequence[int] | np.ndarray]:
    """The weights of `rows_of`."""
    rng = np.random.default_rng(width)
    weights = {f"{name}_w{i}": rng.normal(0, 0.3, (width, 4, 1, 1)).astype(np.float32) for i in range(2)}
    return {**weights, f"{name}_shape": np.array([1, width, -1])}


def detector(body: str, outputs: str, opset: int = 18, **weights: Sequence[int] | np.ndarray) -> onnx.ModelProto:
    """A detector of `body` behind two levels, `p0` and `p1`."""
    rng = np.random.default_rng(2)
    levels = {f"k{i}": rng.normal(0, 0.1, shape).astype(np.float32) for i, shape in enumerate(((4, 3, 4, 4), (4, 4, 2, 2)))}
    return tiny(LEVELS + body, batch=1, opset=opset, image=(3, HEIGHT, WIDTH), output=outputs, **levels, **weights)


def decoding(format_name: str, *, beside: bool = False) -> onnx.ModelProto:
    """A detector that decodes its boxes: [1, A, 4] and scores [1, A, 3], or both in one output [1, A, 7]."""
    ending = FORMATS[format_name]
    body = rows_of("raw", 4) + rows_of("logits", CLASSES) + "scores = Sigmoid(logits)" + DECODED + ending
    outputs = f"float[1,{ROWS},{CLASSES}] scores, float[1,{ROWS},4] boxes"
    if beside:
        body += " joined = Concat<axis = 2>(boxes, scores)"
        outputs = f"float[1,{ROWS},{CLASSES + 4}] joined"
    extra = {"strides": STRIDES, "centres": CENTRES}
    if "half" in ending:
        extra["half"] = np.float32([0.5])
    if "image_size" in ending:
        extra["image_size"] = np.float32([WIDTH, HEIGHT, WIDTH, HEIGHT])
    return detector(body, outputs, **weights_of("raw", 4), **weights_of("logits", CLASSES), **extra)


def returning(raw: str, width: int, *, objectness: bool = False) -> onnx.ModelProto:
    """A detector that leaves the numbers of its boxes to whoever runs it: `raw` says what `boxes` are of the rows `raw`."""
    body = rows_of("raw", width) + rows_of("logits", CLASSES) + "scores = Sigmoid(logits) " + raw
    weights = {**weights_of("raw", width), **weights_of("logits", CLASSES)}
    if objectness:
        body += rows_of("present", 1) + " objectness = Sigmoid(present) joined = Concat<axis = 2>(boxes, objectness, scores)"
        outputs = f"float[1,{ROWS},{CLASSES + width + 1}] joined"
        weights |= weights_of("present", 1)
    else:
        outputs = f"float[1,{ROWS},{CLASSES}] scores, float[1,{ROWS},{width}] boxes"
    return detector(body, outputs, **weights)


def queries(ending: str) -> onnx.ModelProto:
    """A detector of 30 queries, which have no cells; `ending` says what `boxes` are of `raw` [1, 30, 4], in [0, 1]."""
    rng = np.random.default_rng(4)
    body = (
        "f = Reshape(p0, tokens) mixed = MatMul(f, mixing) q = Transpose<perm = [0, 2, 1]>(mixed) "
        "logits = MatMul(q, w) scores = Sigmoid(logits) v = MatMul(q, u) raw = Sigmoid(v) " + ending
    )
    return detector(
        body,
        f"float[1,{ROWS},{CLASSES}] scores, float[1,{ROWS},4] boxes",
        tokens=np.array([1, 4, 24]),
        mixing=rng.normal(0, 0.5, (24, ROWS)).astype(np.float32),
        w=rng.normal(0, 0.5, (4, CLASSES)).astype(np.float32),
        u=rng.normal(0, 2, (4, 4)).astype(np.float32),
        **{name: weights for name, weights in QUERY_WEIGHTS.items() if name in ending},
    )


QUERY_WEIGHTS = {
    "most": np.float32([0.7, 0.7, 0.3, 0.3]),
    "small": np.float32([1, 1, 0.2, 0.2]),
    "scale": np.float32([WIDTH, HEIGHT, WIDTH, HEIGHT]),
}
CORNERS = "parts = Mul(raw, most) low, size = Split<axis = 2, num_outputs = 2>(parts) high = Add(low, size)"
QUERIES = {
    "xywh01": "boxes = Mul(raw, small)",
    "xywh": "shares = Mul(raw, small) boxes = Mul(shares, scale)",
    "xyxy01": f"{CORNERS} boxes = Concat<axis = 2>(low, high)",
    "xyxy": f"{CORNERS} shares = Concat<axis = 2>(low, high) boxes = Mul(shares, scale)",
}
