"""Tails of all kinds, and their slopes: onnx's reference implementation runs them in f64, with one element moved at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from tiny import CLASSES, tiny
from tracing import computed

from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.scores import Scores
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.target import All, ClassTarget, Columns, Score

STEP = 1e-6
SHAPE = (4, 6, 8)  # [C, H, W] of the image, and of the features `x` that gradients are taken at
RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0.1, 0.7, shape).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A tail: `body` computes `y`, of `size` elements for each image, from `x` [B, 4, 6, 8], and `head` logits from `y`."""

    body: str
    size: int = 4 * 6 * 8
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    opset: int = 20
    oracle: str | None = None  # another body for the reference, which computes some operations in f32 only
    head: str = "flat = Reshape(y, laid) ft = Tanh(flat) logits = MatMul(ft, head)"

    def model(self, batch: int | str = 2, body: str | None = None) -> onnx.ModelProto:
        body = body or self.body
        rng = np.random.default_rng(2)
        constants = {
            "gain": (np.eye(4) + rng.normal(0, 0.2, (4, 4))).astype(np.float32).reshape(4, 4, 1, 1),
            "head": rng.normal(0, 0.5, (self.size, CLASSES)).astype(np.float32),
            "laid": np.array([-1, self.size]),
            **self.weights,
        }
        used = {name: array for name, array in constants.items() if name in f"{body} {self.head} gain"}
        return tiny(f"x = Conv(image, gain) {body} {self.head}", batch=batch, opset=self.opset, image=SHAPE, **used)


def channels(low: float = 0.5, high: float = 1.5) -> np.ndarray:
    return RNG.uniform(low, high, 4).astype(np.float32)


def number(x: float) -> np.ndarray:
    return np.array(x, np.float32)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers)


def resized(attributes: str, tall: float, wide: float) -> Case:
    """A resize by factors."""
    factors = np.array([1, 1, tall, wide], np.float32)
    size = math.prod(int(size * factor) for size, factor in zip(SHAPE, (1, tall, wide), strict=True))
    return Case(f"y = Resize<{attributes}>(x, none, s)", size, weights={"none": np.zeros(0, np.float32), "s": factors})


GELU = {
    "root": number(1.4142135624),
    "one": number(1),
    "half": number(0.5),
    "cubed": number(0.044715),
    "steep": number(0.7978845608),
}
SPREAD = "strides=[2, 1], dilations=[1, 2], output_padding=[1, 0]"  # of a turned convolution
PYRAMID = "kernel_shape=[5, 5], pads=[2, 2, 2, 2]"
GROUPS = normal(4, 3, 2, 2)
UNARY = {
    "relu": "Relu(x)",
    "leaky relu": "LeakyRelu<alpha=0.2>(x)",
    "elu": "Elu<alpha=1.3>(x)",
    "selu": "Selu(x)",
    "sigmoid": "Sigmoid(x)",
    "tanh": "Tanh(x)",
    "hard sigmoid": "HardSigmoid<alpha=0.3, beta=0.4>(x)",
    "hard swish": "HardSwish(x)",
    "erf": "Erf(x)",
    "softplus": "Softplus(x)",
    "softsign": "Softsign(x)",
    "mish": "Mish(x)",
    "exp": "Exp(x)",
    "abs": "Abs(x)",
    "negative": "Neg(x)",
    "identity": "Identity(x)",
    "softmax": "Softmax<axis=1>(x)",
    "log softmax": "LogSoftmax<axis=3>(x)",
    "l2 norm": "LpNormalization<axis=1, p=2>(x)",
    "transpose": "Transpose<perm=[0, 3, 1, 2]>(x)",
    "depth to space": "DepthToSpace<blocksize=2>(x)",
    "space to depth": "SpaceToDepth<blocksize=2>(x)",
}
CASES: dict[str, Case] = {name: Case(f"y = {body}") for name, body in UNARY.items()}
CASES |= {
    "windows put together": Case(
        "r = Reshape(x, windows) y = Col2Im<strides=[2,2]>(r, sides, window)",
        weights={"windows": ints(-1, 16, 12), "sides": ints(6, 8), "window": ints(2, 2)},
    ),
    "silu, as exported": Case("s = Sigmoid(x) y = Mul(x, s)"),
    "clip": Case("y = Clip(x, low, high)", weights={"low": number(-0.4), "high": number(0.6)}),
    "gelu, as exported": Case(
        "a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",
        weights=GELU,
    ),
    "gelu": Case(
        "y = Gelu(x)", weights=GELU, oracle="a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)"
    ),
    "gelu by tanh": Case(
        'y = Gelu<approximate="tanh">(x)', weights=GELU,
        oracle="a = Mul(x, x) b = Mul(a, x) c = Mul(b, cubed) d = Add(x, c) e = Mul(d, steep) t = Tanh(e) f = Add(t, one) "
        "g = Mul(x, f) y = Mul(g, half)",
    ),
    "mean and variance norm": Case(
        "y = MeanVarianceNormalization<axes=[2, 3]>(x)", opset=17,
        oracle="m = ReduceMean<axes=[2, 3]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[2, 3]>(q) r = Sqrt(v) "
        "y = Div(d, r)",
    ),
    "group norm": Case(
        "y = GroupNormalization<num_groups=2>(x, s, b)", opset=21,
        weights={
            "s": channels(), "b": channels(), "apart": ints(0, 2, 2, 6, 8), "again": ints(0, 4, 6, 8), "ax": ints(2, 3, 4),
            "t": ints(4, 1, 1), "eps": number(1e-5),
        },
        oracle="f = Reshape(x, apart) m = ReduceMean(f, ax) d = Sub(f, m) q = Mul(d, d) v = ReduceMean(q, ax) e = Add(v, eps) "
        "r = Sqrt(e) n = Div(d, r) u = Reshape(n, again) s1 = Reshape(s, t) b1 = Reshape(b, t) w = Mul(u, s1) y = Add(w, b1)",
    ),
    "log of exp": Case("e = Exp(x) f = Add(e, one) y = Log(f)", weights={"one": number(1)}),
    "root, reciprocal": Case("e = Exp(x) s = Sqrt(e) y = Reciprocal(s)"),
    "prelu": Case("y = PRelu(x, slope)", weights={"slope": channels().reshape(4, 1, 1)}),
    "power of 2": Case("y = Pow(x, p)", weights={"p": number(2)}),
    "power of 3": Case("y = Pow(x, p)", weights={"p": number(3)}),
    "power of -0.5": Case("e = Exp(x) y = Pow(e, p)", weights={"p": number(-0.5)}),
    "add a constant": Case("y = Add(x, b)", weights={"b": normal(4, 1, 1)}),
    "a constant less it": Case("y = Sub(b, x)", weights={"b": normal(8)}),
    "times a constant": Case("y = Mul(b, x)", weights={"b": normal(1, 4, 6, 1)}),
    "over a constant": Case("y = Div(x, b)", weights={"b": channels().reshape(4, 1, 1)}),
    "a constant over it": Case("e = Exp(x) y = Div(b, e)", weights={"b": normal(6, 8)}),
    "squeeze and excite": Case("m = GlobalAveragePool(x) s = Sigmoid(m) y = Mul(x, s)"),
    "its excitement first": Case("m = GlobalMaxPool(x) s = Sigmoid(m) y = Mul(s, x)"),
    "the larger": Case("n = Neg(x) m = GlobalAveragePool(n) y = Max(x, m)"),
    "the smaller": Case("m = GlobalAveragePool(x) y = Min(m, x)"),
    "where": Case("z = Greater(x, b) n = Tanh(x) y = Where(z, x, n)", weights={"b": number(0.1)}),
    "squared difference": Case("m = GlobalAveragePool(x) d = Sub(x, m) y = Mul(d, d)"),
    "batch norm": Case(
        "y = BatchNormalization(x, s, b, m, v)",
        weights={"s": channels(), "b": channels(), "m": channels(), "v": channels()},
    ),
    "instance norm": Case("y = InstanceNormalization(x, s, b)", weights={"s": channels(), "b": channels()}),
    "layer norm": Case("y = LayerNormalization<axis=-1>(x, s, b)", weights={"s": normal(8), "b": normal(8)}),
    "layer norm, as exported": Case(
        "m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) q = Pow(d, p) v = ReduceMean<axes=[-1]>(q) e = Add(v, eps) "
        "r = Sqrt(e) n = Div(d, r) t = Mul(n, s) y = Add(t, b)",
        weights={"p": number(2), "eps": number(1e-5), "s": normal(8), "b": normal(8)},
        opset=17,
    ),
    "mean": Case("y = ReduceMean<axes=[2, 3], keepdims=0>(x)", 4, opset=17),
    "sum": Case("y = ReduceSum(x, a)", 4 * 6, weights={"a": ints(3)}),
    "max": Case("y = ReduceMax<axes=[1], keepdims=0>(x)", 48, opset=17),
    "min": Case("y = ReduceMin<axes=[2], keepdims=1>(x)", 32, opset=17),
    "l1": Case("y = ReduceL1(x, a)", 32, weights={"a": ints(2)}),
    "l2": Case("n = ReduceL2<axes=[1, 3], keepdims=0>(x) y = Div(n, ten)", 6, weights={"ten": number(10)}, opset=17),
    "sum of squares": Case("y = ReduceSumSquare<axes=[1]>(x)", 48, opset=17),
    "log of the sum of exp": Case("y = ReduceLogSumExp(x, a)", 24, weights={"a": ints(3)}),
    "linear": Case("y = MatMul(x, w)", 4 * 6 * 3, weights={"w": normal(8, 3)}),
    "linear on the left": Case("y = MatMul(w, x)", 4 * 3 * 8, weights={"w": normal(3, 6)}),
    "gemm": Case(
        "f = Flatten(x) y = Gemm<transB=1, alpha=0.7, beta=1.2>(f, w, b)", 3, weights={"w": normal(3, 192), "b": normal(3)}
    ),
    "product with itself": Case("t = Transpose<perm=[0, 1, 3, 2]>(x) y = MatMul(x, t)", 4 * 36),
    "product, broadcast": Case(
        "t = ReduceMean<axes=[1]>(x) u = Transpose<perm=[0, 1, 3, 2]>(t) y = MatMul(x, u)", 144, opset=17
    ),
    "attention, as exported": Case(
        "t = Transpose<perm=[0, 1, 3, 2]>(x) k = MatMul(t, wk) q = MatMul(t, wq) v = MatMul(t, wv) "
        "u = Transpose<perm=[0, 1, 3, 2]>(k) a = MatMul(q, u) b = Mul(a, half) p = Softmax<axis=-1>(b) y = MatMul(p, v)",
        weights={"wk": normal(6, 6), "wq": normal(6, 6), "wv": normal(6, 6), "half": number(0.5)},
    ),
    "convolution": Case("y = Conv<pads=[1, 1, 1, 1]>(x, w, b)", 5 * 48, weights={"w": normal(5, 4, 3, 3), "b": normal(5)}),
    "convolution of 1x1": Case("y = Conv(x, w, b)", 5 * 48, weights={"w": normal(5, 4, 1, 1), "b": normal(5)}),
    "strided convolution": Case("y = Conv<strides=[2, 2], pads=[1, 1, 1, 1]>(x, w)", 5 * 12, weights={"w": normal(5, 4, 3, 3)}),
    "a stride that leaves some": Case("y = Conv<strides=[4, 3]>(x, w)", 5 * 6, weights={"w": normal(5, 4, 1, 2)}),
    "grouped convolution": Case("y = Conv<group=2, pads=[1, 0, 0, 1]>(x, w)", 6 * 5 * 7, weights={"w": normal(6, 2, 3, 3)}),
    "depthwise, dilated": Case(
        "y = Conv<group=4, dilations=[2, 1], pads=[2, 1, 2, 1]>(x, w)", weights={"w": normal(4, 1, 3, 3)}
    ),
    "same padding": Case('y = Conv<strides=[2, 2], auto_pad="SAME_UPPER">(x, w)', 5 * 12, weights={"w": normal(5, 4, 3, 3)}),
    "turned convolution": Case(
        "y = ConvTranspose<strides=[2, 2], pads=[1, 0, 0, 1]>(x, w)", 3 * 12 * 16, weights={"w": normal(4, 3, 3, 3)}
    ),
    "turned convolution side by side": Case(
        "y = ConvTranspose<strides=[2, 2]>(x, w, b)", 3 * 12 * 16, weights={"w": normal(4, 3, 2, 2), "b": normal(3)}
    ),
    "turned convolution of groups": Case(
        f"y = ConvTranspose<{SPREAD}, group=2>(x, w)", 6 * 13 * 10,
        weights={"w": GROUPS, "u": GROUPS[:2], "v": GROUPS[2:], "two": ints(2, 2)},
        oracle=f"p, q = Split<axis=1>(x, two) c = ConvTranspose<{SPREAD}>(p, u) d = ConvTranspose<{SPREAD}>(q, v) "
        "y = Concat<axis=1>(c, d)",
    ),
    "max pool": Case("y = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x)", 4 * 12),
    "max pool, overlapping": Case("y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(x)", 4 * 12),
    "max pool behind a relu": Case("r = Relu(x) y = MaxPool<kernel_shape=[3, 2], strides=[1, 2], pads=[1, 0, 1, 0]>(r)", 96),
    "max pools, one behind the other": Case(
        f"p = MaxPool<{PYRAMID}>(x) q = MaxPool<{PYRAMID}>(p) y = Concat<axis=1>(x, p, q)", 3 * 4 * 48
    ),
    "average pool": Case("y = AveragePool<kernel_shape=[2, 4], strides=[2, 4]>(x)", 4 * 6),
    "average pool, padded": Case("y = AveragePool<kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1]>(x)", 96),
    "average pool, padding counts": Case(
        "y = AveragePool<kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1>(x)"
    ),
    "reshape": Case("y = Reshape(x, s)", weights={"s": ints(0, 2, 2, 6, 8)}),
    "tokens": Case("f = Reshape(x, s) y = Transpose<perm=[0, 2, 1]>(f)", weights={"s": ints(0, 4, 48)}),
    "windows": Case(
        "f = Reshape(x, s) t = Transpose<perm=[0, 2, 4, 3, 5, 1]>(f) w = Reshape(t, r) p = Softmax<axis=1>(w) "
        "y = Reshape(p, o)",
        weights={"s": ints(-1, 4, 2, 3, 2, 4), "r": ints(-1, 12, 4), "o": ints(-1, 192)},
    ),
    "squeeze and unsqueeze": Case(
        "m = ReduceMean<axes=[3]>(x) s = Squeeze(m, a) u = Unsqueeze(s, b) y = Mul(x, u)",
        weights={"a": ints(3), "b": ints(3)},
        opset=17,
    ),
    "expand": Case("m = ReduceMean<axes=[1]>(x) y = Expand(m, s)", weights={"s": ints(1, 4, 1, 1)}, opset=17),
    "concat": Case("t = Tanh(x) y = Concat<axis=1>(x, t)", 384),
    "split": Case("a, b = Split<axis=1>(x, s) t = Tanh(a) y = Concat<axis=1>(b, t)", weights={"s": ints(1, 3)}),
    "half of a split": Case("a, b = Split<axis=3>(x, s) y = Tanh(b)", 4 * 6 * 3, weights={"s": ints(5, 3)}),
    "slice": Case(
        "y = Slice(x, a, b, c)", 4 * 4 * 3, weights={"a": ints(1, 2), "b": ints(5, 5), "c": ints(2, 3)}
    ),
    "slice with a step": Case(
        "y = Slice(x, a, b, c, d)", 4 * 6 * 4, weights={"a": ints(1), "b": ints(100), "c": ints(3), "d": ints(2)}
    ),
    "turned around": Case(
        "y = Slice(x, a, b, c, d)", weights={"a": ints(-1), "b": ints(-100), "c": ints(2), "d": ints(-1)}
    ),
    "roll, as exported": Case(
        "p = Slice(x, a, e, c) q = Slice(x, z, a, c) y = Concat<axis=3>(p, q)",
        weights={"a": ints(3), "e": ints(1000), "z": ints(0), "c": ints(3)},
    ),
    "shuffle, as exported": Case(
        "p = Reshape(x, apart) q = Transpose<perm=[0,2,1,3,4]>(p) y = Reshape(q, s)",
        weights={"apart": ints(0, 2, 2, 6, 8), "s": ints(0, 4, 6, 8)},
    ),
    "one token": Case("f = Reshape(x, s) y = Gather<axis=2>(f, i)", 4, weights={"s": ints(0, 4, 48), "i": np.array(5)}),
    "gather, some twice": Case("y = Gather<axis=1>(x, i)", 48 * 5, weights={"i": ints(2, 0, 2, -1, 2)}),
    "running sums": Case("y = CumSum<exclusive=1>(x, last)", weights={"last": np.array(3)}),
    "running sums from the end": Case("y = CumSum<reverse=1>(x, second)", weights={"second": np.array(1)}),
    "tiled": Case("y = Tile(x, r)", 384, weights={"r": ints(1, 1, 2, 1)}),
    "sampled at places of its own": Case(
        "f = Reshape(x, flat_shape) m = MatMul(f, w) t = Tanh(m) g = Reshape(t, laid_out) y = GridSample(x, g)", 4 * 15,
        weights={"flat_shape": ints(0, 192), "w": normal(192, 30) / 8, "laid_out": ints(0, 3, 5, 2)}, opset=17,
    ),
    "sampled at the border": Case(
        'f = Reshape(x, flat_shape) m = MatMul(f, w) g = Reshape(m, laid_out) y = GridSample<padding_mode="border", '
        'align_corners=1>(x, g)', 4 * 15,
        weights={"flat_shape": ints(0, 192), "w": normal(192, 30) / 8, "laid_out": ints(0, 3, 5, 2)}, opset=17,
    ),
    "waves": Case("a = Sin(x) b = Cos(x) y = Mul(a, b)"),
    "the largest": Case("f = Reshape(x, s) y, i = TopK<axis=2>(f, k)", 20, weights={"s": ints(0, 4, 48), "k": ints(5)}),
    "picked by a score": Case(
        "f = Reshape(x, s) m = ReduceMean<axes=[1], keepdims=0>(f) v, i = TopK<axis=1>(m, k) u = Unsqueeze(i, a) "
        "w = Tile(u, r) y = GatherElements<axis=2>(f, w)", 20,
        weights={"s": ints(0, 4, 48), "k": ints(5), "a": ints(1), "r": ints(1, 4, 1)}, opset=17,
    ),
    "a product with a vector": Case("y = MatMul(x, w)", 24, weights={"w": normal(8)}),
    "pad": Case("y = Pad(x, p)", 4 * 7 * 10, weights={"p": ints(0, 0, 1, 0, 0, 0, 0, 2)}),
    "enlarged": resized('mode="nearest"', 2, 2),
    "enlarged, one axis in three": resized('mode="nearest", coordinate_transformation_mode="asymmetric"', 1, 1.5),
    "made smaller": resized('mode="linear"', 0.5, 0.7),
    "enlarged by lines": resized('mode="linear", coordinate_transformation_mode="align_corners"', 1.5, 2),
    "pool, conv head, linear": Case(
        "m = GlobalAveragePool(x) c = Conv(m, w, b) h = HardSwish(c) y = Flatten(h)", 6,
        weights={"w": normal(6, 4, 1, 1), "b": normal(6)},
        head="logits = MatMul(y, head)",
    ),
    "pool, linear": Case(
        "m = GlobalAveragePool(x) f = Flatten(m) logits = Gemm<transB=1>(f, w, b)", 1,
        weights={"w": normal(CLASSES, 4), "b": normal(CLASSES)}, head="",
    ),
    "pool, 1x1 head": Case(
        "m = GlobalAveragePool(x) c = Conv(m, w, b) logits = Flatten(c)", 1,
        weights={"w": normal(CLASSES, 4, 1, 1), "b": normal(CLASSES)}, head="",
    ),
    "1x1 head, pool": Case(
        "c = Conv(x, w, b) r = Relu(c) m = GlobalAveragePool(r) logits = Flatten(m)", 1,
        weights={"w": normal(CLASSES, 4, 1, 1), "b": normal(CLASSES)}, head="",
    ),
    "conv, 1x1 head, pool": Case(
        "a = Conv<pads=[1, 1, 1, 1]>(x, v) r = Relu(a) c = Conv(r, w) s = Add(c, b) m = GlobalAveragePool(s) "
        "logits = Flatten(m)", 1,
        weights={"v": normal(6, 4, 3, 3), "w": normal(CLASSES, 6, 1, 1), "b": normal(1, CLASSES, 1, 1)}, head="",
    ),
    "norm, pool, norm, linear": Case(
        "n = BatchNormalization(x, s, t, u, v) r = Relu(n) m = ReduceMean<axes=[2, 3], keepdims=0>(r) "
        "l = LayerNormalization<axis=-1>(m, g, h) logits = MatMul(l, w)", 1,
        weights={
            "s": channels(), "t": channels(), "u": channels(), "v": channels(), "g": normal(4), "h": normal(4),
            "w": normal(4, CLASSES),
        }, head="", opset=17,
    ),
    "a step aside": Case(
        "a = Relu(x) c = Conv<pads=[1, 1, 1, 1]>(a, w) s = Add(c, x) m = GlobalAveragePool(s) y = Flatten(m)", 4,
        weights={"w": normal(4, 4, 3, 3)},
    ),
}  # fmt: skip


class Erf(OpRun):  # that of onnx's reference rounds to f32
    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (np.asarray(np.vectorize(math.erf)(x)),)


class GridSample(OpRun):  # that of onnx's reference rounds to f32, too
    """Bilinear, as PyTorch's `grid_sample`: of four elements around each place, as far as they are there."""

    def _run(self, x: np.ndarray, grid: np.ndarray, align_corners: int = 0, mode: str = "linear",
             padding_mode: str = "zeros") -> tuple[np.ndarray]:  # fmt: skip
        sizes = x.shape[:1:-1]
        places = [((grid[..., i] + 1) * (n - align_corners) + align_corners - 1) / 2 for i, n in enumerate(sizes)]
        if padding_mode == "border":
            places = [np.clip(place, 0, n - 1) for place, n in zip(places, sizes, strict=True)]
        y, image = 0, np.arange(len(x))[:, None, None]
        for step in np.ndindex(2, 2):
            corner = [np.floor(place) + i for place, i in zip(places, step, strict=True)]
            weight = np.prod([1 - np.abs(place - at) for place, at in zip(places, corner, strict=True)], axis=0)
            there = np.all([(at >= 0) & (at < n) for at, n in zip(corner, sizes, strict=True)], axis=0)
            column, row = (np.clip(at, 0, n - 1).astype(int) for at, n in zip(corner, sizes, strict=True))
            y = y + np.moveaxis(x[image, :, row, column], 3, 1) * (weight * there)[:, None]
        return (np.asarray(y),)


EXACT = [Erf, GridSample]


def doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in f64."""
    twice = onnx.ModelProto()
    twice.CopyFrom(model)
    for value in (*twice.graph.input, *twice.graph.output, *twice.graph.value_info):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for tensor in twice.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float64), tensor.name))
    return twice


@dataclass(frozen=True)
class Slopes:
    """A tail, run in f64."""

    image: np.ndarray
    values: dict[str, np.ndarray]  # each value of the forward pass
    jacobian: np.ndarray  # [B, K, C, H, W], of the logits by `x`


@cache
def slopes(name: str) -> Slopes:
    """A case's forward pass, and its jacobian by finite differences."""
    model = doubled(CASES[name].model(body=CASES[name].oracle))
    image = np.random.default_rng(3).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    names = [output for node in model.graph.node for output in node.output]
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    del extended.graph.output[:]
    extended.graph.output.extend(onnx.helper.make_value_info(n, onnx.TypeProto()) for n in names)
    values = dict(
        zip(names, ReferenceEvaluator(extended, new_ops=EXACT).run(None, {"image": image.astype(np.float64)}), strict=True)
    )
    return Slopes(image, values, jacobian(name, values["x"]))


def tail(name: str) -> ReferenceEvaluator:
    """The case without its first node: computes logits from `x`."""
    part = doubled(CASES[name].model(body=CASES[name].oracle))
    del part.graph.node[0]  # x = Conv(image, gain)
    part.graph.input[0].name = "x"
    return ReferenceEvaluator(part, new_ops=EXACT)


def jacobian(name: str, x: np.ndarray) -> np.ndarray:
    """The slopes [B, K, C, H, W] of the logits at features x [B, C, H, W], by central differences of one element."""
    run = tail(name)
    slope = np.zeros((2, CLASSES, *SHAPE))
    for place in np.ndindex(*SHAPE):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[(slice(None), *place)] += sign * STEP
            ends.append(run.run(["logits"], {"x": moved})[0])
        slope[(slice(None), slice(None), *place)] = (ends[0] - ends[1]) / (2 * STEP)
    return slope


def value_called(deployed: Deployed, name: str) -> Value:
    graph = deployed.graph
    values = [*graph.outputs.values(), *(value for node in graph.nodes for value in node.outputs)]
    return next(value for value in values if name == value.name or name in value.aliases or f"{name}/" in value.name)


def gradient(deployed: Deployed, columns: Columns, trace: Trace, score: Score = "logit") -> Value:
    """The gradient [B, K, C, H, W] of a score by `x`, as nodes of the trace."""
    cut, end = value_called(deployed, "x"), deployed.graph.outputs["logits"]
    assert cut.shape is not None
    target = ClassTarget(Scores("logits", end, CLASSES, None), All(), score)
    back = Backward(deployed.graph, trace, (cut,), target, columns, batch=cut.shape[0])
    array = trace.broadcast_to(back.gradients()[0], (back.rows, *cut.shape[1:]))
    return trace.reshape(array, (cut.shape[0], columns.count, *cut.shape[1:]))


def by_numpy(name: str, ids: np.ndarray | None = None) -> np.ndarray:
    """The gradient [B, K, C, H, W] that the rules of derivatives give, computed in f64; of all classes where `ids` is None."""
    deployed, trace, forward = open_model(CASES[name].model()), Trace(), slopes(name).values
    gradients = gradient(deployed, Columns(CLASSES, ids), trace)
    constants = {
        value: deployed.graph.constant(value) for node in trace.nodes for _, value in node.operands if value.native is not None
    }
    read = constants | {value: forward.get(value.name) for node in deployed.graph.nodes for value in node.outputs}
    arrays = {
        value: np.asarray(array, np.float64 if np.asarray(array).dtype.kind == "f" else None)
        for value, array in read.items()
        if array is not None
    }
    return computed(trace.nodes, arrays, {})[gradients]
