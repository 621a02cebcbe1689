"""Models that have, together, every operation that a dialect reads: the cases of `tails`, operations without a slope,
and those that only one dialect has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import opset1, opset2
from operations.law_cases import CASES as LAWS
from operations.laws import Case as Law
from tails import CASES, RNG, SHAPE, Case, channels, ints, normal, number

from openvino_xai.operations.table import OPERATIONS

FLAT = "flat = Reshape(y, laid) logits = MatMul(flat, head)"


def of(body: str, size: int = 192, opset: int = 20, **weights: np.ndarray) -> Case:
    return Case(body, size, weights, opset, head=FLAT)


SAMPLES: dict[str, Case] = {
    **CASES,
    **{
        f"{kind}, alone": of(f"h = {'Tanh' if law.low < 0 else 'Sigmoid'}(x) {law.body.replace('(a)', '(h)')}", opset=law.opset)
        for kind, (law, *_) in LAWS.items()
        if isinstance(law, Law) and law.body.endswith("(a)") and OPERATIONS[kind].pointwise and not OPERATIONS[kind].moves
        if {value.dtype for value in (*law.graph.inputs, *law.node.outputs)} == {np.dtype(np.float64)}
    },
    **{
        f"{name.lower()}, compared": of(f"c = {name}(x, m) y = Cast<to=1>(c)", m=normal(4, 1, 8))
        for name in "Greater GreaterOrEqual Less LessOrEqual Equal".split()
    },
    **{
        f"{name.lower()}, logic": of(
            f"p = Greater(x, m) q = Less(x, n) c = {name}(p, q) y = Cast<to=1>(c)", m=normal(8), n=normal(6, 1)
        )
        for name in "And Or Xor".split()
    },
    "not": of("p = Greater(x, m) c = Not(p) y = Cast<to=1>(c)", m=normal(8)),
    "is nan": of("l = Log(x) p = IsNaN(l) y = Cast<to=1>(p)"),
    "mod": of("a = Abs(x) y = Mod<fmod=1>(a, m)", m=channels().reshape(4, 1, 1)),
    "mod, of integers": of("i = Cast<to=6>(x) a = Abs(i) m = Mod(a, n) y = Cast<to=1>(m)", n=np.array(3, np.int32)),
    "cast like": of("i = Cast<to=6>(x) y = CastLike(i, x)"),
    "product of elements": of("y = ReduceProd<axes=[1]>(x)", 48, opset=17),
    "max and min of three": of("r = Relu(x) n = Neg(x) a = Max(x, r, n) b = Min(x, r, n) y = Sub(a, b)"),
    "blocks of channels": of("y = DepthToSpace<blocksize=2>(x)"),
    "blocks of channels, one after the other": of('y = DepthToSpace<blocksize=2, mode="CRD">(x)'),
    "channels of blocks": of("y = SpaceToDepth<blocksize=2>(x)"),
    "sum of three": of("r = Relu(x) y = Sum(x, r, m)", m=normal(4, 6, 8)),
    "root of the sum of squares": of("y = GlobalLpPool(x)", 4),
    "local response norm": of("y = LRN<size=3>(x)"),
    "top k": of("v, i = TopK<axis=3>(x, k) y = Add(v, v)", 4 * 6 * 2, k=ints(2)),
    "index of the largest": of("i = ArgMax<axis=1>(x) f = Cast<to=1>(i) y = Add(x, f)"),
    "gathered by elements": of("y = GatherElements<axis=3>(x, i)", i=RNG.integers(0, 8, (2, 4, 6, 8))),
    "suppressed": of(
        "b = Reshape(x, t) m = ReduceMean<axes=[1]>(x) s = Reshape(m, r) n = NonMaxSuppression(b, s, k, o) f = Cast<to=1>(n) "
        "c = ReduceMean<keepdims=0>(f) y = Add(x, c)",
        opset=17, t=ints(2, 48, 4), r=ints(2, 1, 48), k=ints(5), o=np.array([0.5], np.float32),
    ),
    "einsum": of('y = Einsum<equation="bchw,wk->bchk">(x, w)', 4 * 6 * 3, w=normal(8, 3)),
    "gathered by places": of("y = GatherND<batch_dims=1>(x, i)", 3, i=np.array([[[0, 1, 2], [3, 5, 7], [1, 1, 1]]] * 2)),
    "tiled": of("y = Tile(x, r)", 192 * 2, r=ints(1, 1, 2, 1)),
    "sampled between": of('y = GridSample<mode="linear">(x, g)', 4 * 15, g=normal(2, 3, 5, 2)),
    "sampled at the nearest": of('y = GridSample<mode="nearest", padding_mode="border">(x, g)', 4 * 15, g=normal(2, 3, 5, 2)),
    "put in places": of("y = ScatterND(x, i, u)", i=np.array([[0, 1], [1, 3]]), u=normal(2, 6, 8)),
    "swish": of("y = Swish<alpha=0.7>(x)", opset=24),
    "pooled past its end": of("y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1>(x)", 4 * 3 * 4),
    "averaged past its end": of("y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1>(x)", 4 * 3 * 4),
    "pooled to the same": of('y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER">(x)', 4 * 12),
    "quantised": of("q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)", s=number(0.05), z=np.array(30, np.uint8)),
    "of a shape": of(
        "s = Shape<start=0, end=2>(x) f = ConstantOfShape<value=float[1] {2}>(s) u = Unsqueeze(f, a) y = Mul(x, u)",
        a=ints(2, 3),
    ),
    "of a size": of("n = Size(x) f = Cast<to=1>(n) y = Div(x, f)"),
    "of a range": of(
        "s = Shape(x) n = Gather<axis=0>(s, three) r = Range(zero, n, step) f = Cast<to=1>(r) y = Mul(x, f)",
        three=np.array(3), zero=np.array(0), step=np.array(1),
    ),
    "padded by its edge": of('y = Pad<mode="edge">(x, p)', 4 * 7 * 10, p=ints(0, 0, 1, 0, 0, 0, 0, 2)),
    "padded by its mirror": of('y = Pad<mode="reflect">(x, p)', 4 * 7 * 10, p=ints(0, 0, 1, 0, 0, 0, 0, 2)),
    "expanded": of("m = ReduceMean<axes=[1]>(x) s = Shape(x) y = Expand(m, s)", opset=17),
    "with dropout": of("y = Dropout(x)"),
    **{
        f"recurrent: {op}": of(
            f"s = Reshape(x, e) t = Transpose<perm=[1,0,2]>(s) r, h = {op}<hidden_size=3>(t, wi, wh) l = Squeeze(h, first) "
            "m = ReduceMean<axes=[0], keepdims=0>(r) n = Squeeze(m, first) y = Concat<axis=1>(l, n)",
            6, opset=17, e=ints(2, 4, 48), wi=normal(1, 3 * gates, 48), wh=normal(1, 3 * gates, 3), first=ints(0),
        )
        for op, gates in {"LSTM": 4, "GRU": 3, "RNN": 1}.items()
    },
    "flattened": of("y = Flatten<axis=1>(x)"),
}  # fmt: skip


def native(*make: Callable[[ov.Output], ov.Node]) -> ov.Model:
    """A model with an output for each operation of OpenVINO, all of which read the image."""
    image = opset.parameter([2, *SHAPE], np.float32, "image")
    image.output(0).get_tensor().set_names({"image"})
    return ov.Model([output for build in make for output in build(image.output(0)).outputs()], [image])


def attended(x: ov.Output, *, causal: bool) -> ov.Node:
    mask, scale = np.tri(6, dtype=np.float32), np.array(0.3, np.float32)
    return opset.scaled_dot_product_attention(x, x, x, *(() if causal else (mask, scale)), causal=causal)


def boxes_and_scores(x: ov.Output) -> tuple[ov.Node, ov.Node]:
    """[2, 48, 4] and [2, 1, 48], of an image."""
    scores = opset.reduce_mean(x, np.array([1]), keep_dims=False)
    return opset.reshape(x, np.array([2, 48, 4]), False), opset.reshape(scores, np.array([2, 1, 48]), False)


def detections(x: ov.Output) -> ov.Node:
    """Of 48 priors, for two classes."""
    offsets, scores = boxes_and_scores(x)
    flat = opset.reshape(offsets, np.array([2, 192]), False)
    both = opset.reshape(opset.concat([scores, scores], 2), np.array([2, 96]), False)
    priors = np.full((1, 2, 192), 0.1, np.float32)
    return opset.detection_output(flat, both, priors, {"keep_top_k": [5], "nms_threshold": 0.5, "normalized": True})


NATIVE: dict[str, dict[str, Callable[[], Any]]] = {  # by dialect: operations that no conversion from ONNX gives
    "openvino": {
        "attention": lambda: native(lambda x: attended(x, causal=False), lambda x: attended(x, causal=True)),
        "detections": lambda: native(detections),
        "suppressed by class": lambda: native(
            lambda x: opset.multiclass_nms(*boxes_and_scores(x), keep_top_k=5),
            lambda x: opset.matrix_nms(*boxes_and_scores(x), keep_top_k=5),
        ),
        "gathered, as it was first": lambda: native(lambda x: opset1.gather(x, np.array([2, 0]), np.array(1))),
        "norms, as they were first": lambda: native(
            lambda x: opset1.batch_norm_inference(x, *np.random.default_rng(0).uniform(0.5, 2, (4, 4)).astype(np.float32), 0.1),
            lambda x: opset2.mvn(x, False, True, 0.5),
            lambda x: opset2.mvn(x, True, False, 0.5),
        ),
        "channels of blocks": lambda: native(lambda x: opset.space_to_depth(x, "depth_first", 2)),
        "limits": lambda: native(lambda x: opset.clamp(x, -0.4, 0.6), opset.hsigmoid),
        "average to a size": lambda: native(lambda x: opset.adaptive_avg_pool(x, np.array([3, 4]))),
        "largest of blocks": lambda: native(lambda x: opset.adaptive_max_pool(x, np.array([3, 4]), "i32")),
        "l2 norms": lambda: native(
            lambda x: opset.normalize_l2(x, np.array([1]), 0.5, "add"),
            lambda x: opset.normalize_l2(x, np.array([2, 3]), 9.0, "max"),
            lambda x: opset.grn(x, 0.5),
        ),
        "not equal": lambda: native(lambda x: opset.not_equal(x, opset.relu(x))),
        "rolled": lambda: native(lambda x: opset.roll(x, np.array([-3, 1]), np.array([3, 1]))),
        "shuffled": lambda: native(lambda x: opset.shuffle_channels(x, 1, 2), lambda x: opset.shuffle_channels(x, -2, 3)),
        "split evenly": lambda: native(lambda x: opset.split(x, np.array(2), 3)),
        "squared difference": lambda: native(
            lambda x: opset.squared_difference(x, opset.reduce_mean(x, np.array([2, 3]), keep_dims=True))
        ),
        "strided slice": lambda: native(
            lambda x: opset.strided_slice(
                x, np.array([0, 1, -1]), np.array([0, 3, -9]), np.array([1, 1, -2]), [1, 0, 0], [1, 0, 0]
            )
        ),
    },
}
