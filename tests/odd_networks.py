"""Small networks of which each has one thing that few classifiers have, written by hand as ONNX.

`scripts/zoo.py --family odd` hooks them, beside those that torch exports, and `tests/zoo/test_odd_networks.py` says what
becomes of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from tiny import tiny

PLAIN = {"k": (4, 3, 3, 3), "w": (4, 5)}
CELLS = "c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, k) f = Relu(c)"
HEAD = "p = GlobalAveragePool(f) v = Flatten(p) logits = MatMul(v, w)"
LEVELS = {"levels": np.random.default_rng(1).integers(0, 255, (4, 3, 3, 3)).astype(np.uint8)}
QUANTISED = "q = QuantizeLinear(image, s, z) c = QLinearConv<pads=[1,1,1,1]>(q, s, z, levels, s, z, s, z)"
INTEGERS = {"s": np.array(0.05, np.float32), "z": np.array(128, np.uint8), **LEVELS}

# name: the body, its weights, and what else differs from a network of floats, of opset 17, with an open batch
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    **{f"opset_{opset}": (f"{CELLS} {HEAD}", PLAIN, {"opset": opset}) for opset in (9, 11, 13, 15, 19, 21)},
    "older_attributes": (
        "c = Conv<pads=[1,1,1,1]>(image, k) f = Clip<min=0.0, max=6.0>(c) p = ReduceMean<axes=[2,3], keepdims=0>(f)"
        " u = Unsqueeze<axes=[2]>(p) e = Squeeze<axes=[2]>(u) y = MatMul(e, w) logits = Softmax(y)",
        PLAIN,
        {"opset": 9},
    ),
    "upsampled": (
        f'{CELLS} u = Upsample<mode="nearest">(f, scales) p = GlobalAveragePool(u) v = Flatten(p) logits = MatMul(v, w)',
        {**PLAIN, "scales": np.array([1, 1, 2, 2], np.float32)},
        {"opset": 9},
    ),
    "batch_of_one_in_the_graph": (
        f"{CELLS} p = GlobalAveragePool(f) v = Reshape(p, to) logits = MatMul(v, w)",
        {**PLAIN, "to": np.array([1, 4], np.int64)},
        {"batch": 1},
    ),
    "largest": (f"{CELLS} p = GlobalMaxPool(f) v = Flatten(p) logits = MatMul(v, w)", PLAIN, {}),
    "lp_pool": (f"{CELLS} p = GlobalLpPool<p=2>(f) v = Flatten(p) logits = MatMul(v, w)", PLAIN, {}),
    "l2_pool": (f"{CELLS} p = ReduceL2<axes=[2,3], keepdims=0>(f) logits = MatMul(p, w)", PLAIN, {}),
    "log_sum_exp_pool": (
        f"{CELLS} p = ReduceLogSumExp<axes=[2,3], keepdims=0>(f) logits = MatMul(p, w)",
        PLAIN,
        {},
    ),
    "mean_variance": (
        f"{CELLS} m = MeanVarianceNormalization<axes=[1,2,3]>(f) p = GlobalAveragePool(m) v = Flatten(p) logits = MatMul(v, w)",
        PLAIN,
        {},
    ),
    "local_responses": (
        f"{CELLS} m = LRN<size=3>(f) p = GlobalAveragePool(m) v = Flatten(p) logits = MatMul(v, w)",
        PLAIN,
        {},
    ),
    "half_inside": (
        f"{CELLS} h = Cast<to=10>(f) r = Sigmoid(h) g = Cast<to=1>(r) p = GlobalAveragePool(g) v = Flatten(p)"
        " logits = MatMul(v, w)",
        PLAIN,
        {},
    ),
    "gate": (
        f"{CELLS} m = Greater(f, t) z = Mul(f, o) g = Where(m, f, z) p = GlobalAveragePool(g) v = Flatten(p)"
        " logits = MatMul(v, w)",
        {**PLAIN, "t": np.array(0.3, np.float32), "o": np.array(0.1, np.float32)},
        {},
    ),
    "integer_image": (
        f"x = Cast<to=1>(bytes) image = Div(x, d) {CELLS} {HEAD}",
        {**PLAIN, "d": np.array(255, np.float32)},
        {"image_input": "uint8[B,3,6,8] bytes"},
    ),
    "integer_scores": (
        f"{CELLS} p = GlobalAveragePool(f) v = Flatten(p) y = MatMul(v, w) logits = QuantizeLinear(y, s, z)",
        {**PLAIN, "s": np.array(0.02, np.float32), "z": np.array(128, np.uint8)},
        {"output": "uint8[B,5] logits"},
    ),
    "quantised_convolution": (
        f"{QUANTISED} d = DequantizeLinear(c, s, z) f = Relu(d) {HEAD}",
        {**INTEGERS, "w": (4, 5)},
        {},
    ),
    "quantised_throughout": (
        f"{QUANTISED} d = DequantizeLinear(c, s, z) p = ReduceMean<axes=[2,3], keepdims=0>(d) i = QuantizeLinear(p, u, z)"
        " y = QLinearMatMul(i, u, z, w, s, z, t, z) logits = DequantizeLinear(y, t, z)",
        {
            **INTEGERS,
            "t": np.array(0.05, np.float32),
            "u": np.array(0.005, np.float32),
            "w": np.random.default_rng(2).integers(0, 255, (4, 5)).astype(np.uint8),
        },
        {},
    ),
    "quantised_and_back": (
        "q = QuantizeLinear(image, s, z) x = DequantizeLinear(q, s, z) c = Conv<pads=[1,1,1,1]>(x, k) r = Relu(c)"
        f" i = QuantizeLinear(r, s, z) f = DequantizeLinear(i, s, z) {HEAD}",
        {**PLAIN, "s": np.array(0.05, np.float32), "z": np.array(128, np.uint8)},
        {},
    ),
    "quantised_while_it_runs": (
        f"{CELLS} p = GlobalAveragePool(f) v = Flatten(p) q, s, z = DynamicQuantizeLinear(v) y = MatMulInteger(q, w, z)"
        " a = Cast<to=1>(y) b = Mul(a, s) logits = Mul(b, t)",
        {**PLAIN, "w": np.random.default_rng(2).integers(0, 255, (4, 5)).astype(np.uint8), "t": np.array(0.01, np.float32)},
        {},
    ),
    "scores_and_the_best": (
        f"{CELLS} {HEAD} best = ArgMax<axis=1, keepdims=0>(logits)",
        PLAIN,
        {"output": "float[B,5] logits, int64[B] best"},
    ),
    "the_largest_scores_alone": (
        f"{CELLS} p = GlobalAveragePool(f) v = Flatten(p) y = MatMul(v, w) logits, ids = TopK(y, k2)",
        {**PLAIN, "k2": np.array([2], np.int64)},
        {"output": "float[B,2] logits, int64[B,2] ids"},
    ),
    "cells_picked_by_value": (
        f"{CELLS} p = GlobalAveragePool(f) v = Flatten(p) g = Greater(v, t) i = Cast<to=7>(g) n = NonZero(i)"
        " h = Transpose<perm=[1,0]>(n) o = GatherND(v, h) r = ReduceSum<keepdims=1>(o) y = MatMul(v, w)"
        " logits = Add(y, r)",
        {**PLAIN, "t": np.array(-1, np.float32)},
        {"batch": 1},
    ),
    "sampled": (
        f"{CELLS} g = GridSample(f, grid) p = GlobalAveragePool(g) v = Flatten(p) logits = MatMul(v, w)",
        {**PLAIN, "grid": np.random.default_rng(3).uniform(-1, 1, (1, 6, 8, 2)).astype(np.float32)},
        {"batch": 1},
    ),
    "counted": (
        f"{CELLS} r = ReduceMean<axes=[3], keepdims=0>(f) u = CumSum(r, two) p = ReduceMean<axes=[2], keepdims=0>(u)"
        " logits = MatMul(p, w)",
        {**PLAIN, "two": np.array(2, np.int64)},
        {},
    ),
    "noise": (
        f"{CELLS} n = RandomNormalLike<scale=0.1>(f) g = Add(f, n) p = GlobalAveragePool(g) v = Flatten(p)"
        " logits = MatMul(v, w)",
        PLAIN,
        {},
    ),
    "mean_of_the_batch": (
        f"{CELLS} m = ReduceMean<axes=[0], keepdims=1>(f) g = Sub(f, m) p = GlobalAveragePool(g) v = Flatten(p)"
        " logits = MatMul(v, w)",
        PLAIN,
        {},
    ),
    "bypass": (
        f"{CELLS} p = GlobalAveragePool(f) v = Flatten(p) y = MatMul(v, w) i = Flatten(image) j = MatMul(i, w2)"
        " logits = Add(y, j)",
        {**PLAIN, "w2": (144, 5)},
        {},
    ),
    "sequence": (
        f"{CELLS} q = SplitToSequence<axis=1>(f) g = ConcatFromSequence<axis=1>(q) p = GlobalAveragePool(g) v = Flatten(p)"
        " logits = MatMul(v, w)",
        PLAIN,
        {"batch": 1},
    ),
    "windows_put_together": (
        f"{CELLS} d = Gather<axis=2>(f, down) a = Gather<axis=4>(d, across) t = Transpose<perm=[0,1,2,4,3,5]>(a)"
        " q = Reshape(t, to) g = Sigmoid(q) u = Col2Im<strides=[2,2]>(g, sides, window) p = GlobalAveragePool(u)"
        " v = Flatten(p) logits = MatMul(v, w)",
        {
            **PLAIN,
            "down": np.arange(6).reshape(3, 2).T,
            "across": np.arange(8).reshape(4, 2).T,
            "to": np.array([-1, 16, 12], np.int64),
            "sides": np.array([6, 8], np.int64),
            "window": np.array([2, 2], np.int64),
        },
        {"opset": 18},
    ),
    "blocks_as_channels": (
        f"{CELLS} d = SpaceToDepth<blocksize=2>(f) r = Relu(d) p = GlobalAveragePool(r) v = Flatten(p) logits = MatMul(v, w)",
        {"k": (4, 3, 3, 3), "w": (16, 5)},
        {},
    ),
    "rows_by_an_lstm": (
        f"{CELLS} t = Transpose<perm=[2,0,1,3]>(f) x = Reshape(t, to) y, h = LSTM<hidden_size=1>(x, wi, wh)"
        " e = Squeeze(h, zero) logits = MatMul(e, w)",
        {
            "k": (4, 3, 3, 3),
            "to": np.array([6, -1, 32], np.int64),
            "wi": (1, 4, 32),
            "wh": (1, 4, 1),
            "zero": np.array([0], np.int64),
            "w": (1, 5),
        },
        {},
    ),
    "flipped": (
        f"{CELLS} m = Slice(image, start, end, last, back) c2 = Conv<pads=[1,1,1,1]>(m, k) f2 = Relu(c2)"
        " p = GlobalAveragePool(f) p2 = GlobalAveragePool(f2) a = Add(p, p2) v = Flatten(a) logits = MatMul(v, w)",
        {
            **PLAIN,
            "start": np.array([-1], np.int64),
            "end": np.array([-(2**31)], np.int64),
            "last": np.array([3], np.int64),
            "back": np.array([-1], np.int64),
        },
        {},
    ),
}


def network(name: str) -> onnx.ModelProto:
    """One of NETWORKS, with seeded weights."""
    body, weights, other = NETWORKS[name]
    image_input = other.get("image_input")
    if image_input is None:
        return tiny(body, **{key: other[key] for key in ("opset", "batch", "output") if key in other}, **weights)
    return tiny(body, image_input=image_input, **weights)
