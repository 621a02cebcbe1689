"""Cases for the laws of each operation: one line of ONNX, or a NumPy function for a kind that no ONNX operation has."""

from __future__ import annotations

from typing import Any

import numpy as np
from dialects.meanings import MEANINGS
from operations.laws import AnyCase, Case, Native

PLANE = "double[2,3,4,5] a"


def named(words: str) -> list[tuple[str, str]]:
    """Pairs of a kind and its ONNX name, from words such as `exp=Exp`."""
    return [(kind, name) for kind, _, name in (word.partition("=") for word in words.split())]


def unary(name: str, *, low: float = -2.0, opset: int = 20) -> Case:
    return Case(f"y = {name}(a)", "double[2,3,4] a", low=low, opset=opset)


def binary(name: str, *, a: str = "double", b: str = "double", low: float = -2.0) -> Case:
    return Case(f"y = {name}(a, b)", f"{a}[2,3,4] a, {b}[3,1] b", low=low)


def reduction(name: str, *, low: float = -2.0) -> list[Case]:
    along = "int64[2] x = {1, -1}"
    return [
        Case(f"y = {name}(a, x)", PLANE, along, low=low),
        Case(f"y = {name}<keepdims=0>(a, x)", PLANE, along, low=low),
    ]


def by_meaning(kind: str, *shapes: tuple[int, ...], attributes: dict[str, Any] | None = None, **options: Any) -> Native:
    """A case of a kind that the suite of dialects says the meaning of."""
    a = attributes or {}
    return Native(kind, shapes, lambda *operands: MEANINGS[kind](a, [], *operands), a, **options)


def scattered(x: np.ndarray, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[places[:, 0]] = rows
    return result


def scatter_added(x: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    result = x.copy()
    for row, column in np.ndindex(*places.shape):
        result[row, places[row, column]] += updates[row, column]
    return result


def resized(attributes: str, *factors: float) -> Case:
    """A resize of the last three axes of four."""
    return Case(
        f"y = Resize<{attributes}>(a, none, s)",
        "double[1,3,4,5] a",
        f"float[0] none = {{}}, float[4] s = {{1.0, {', '.join(map(str, factors))}}}",
    )


def fake_quantize(low: float, high: float) -> Native:
    limits = tuple((i, np.array(value)) for i, value in enumerate((low, high, low, high), start=1))
    return by_meaning("fake_quantize", (2, 3, 4), (), (), (), (), attributes={"levels": 5}, constants=limits)


CASES: dict[str, list[AnyCase]] = {
    **{
        kind: [unary(name)]
        for kind, name in named(
            "abs=Abs ceil=Ceil clip=Clip cos=Cos elu=Elu exp=Exp floor=Floor "
            "hard_sigmoid=HardSigmoid hard_swish=HardSwish identity=Identity is_nan=IsNaN leaky_relu=LeakyRelu "
            "mish=Mish negative=Neg reciprocal=Reciprocal relu=Relu round=Round selu=Selu sigmoid=Sigmoid "
            "sign=Sign sin=Sin softmax=Softmax softplus=Softplus softsign=Softsign tan=Tan tanh=Tanh "
            "thresholded_relu=ThresholdedRelu log_softmax=LogSoftmax normalize_l2=LpNormalization "
        )
    },
    "asin": [Case("y = Asin(a)", "double[2,3] a", low=-0.9, high=0.9)],
    "log": [unary("Log", low=0.1)],
    "sqrt": [unary("Sqrt", low=0.0)],
    **{
        kind: [binary(name)]
        for kind, name in named(
            "add=Add divide=Div equal=Equal greater=Greater greater_equal=GreaterOrEqual less=Less "
            "less_equal=LessOrEqual maximum=Max minimum=Min multiply=Mul subtract=Sub prelu=PRelu "
        )
    },
    "power": [binary("Pow", low=0.1)],
    "mod": [Case("y = Mod<fmod=1>(a, b)", "double[2,3,4] a, double[3,1] b", low=0.1)],
    **{kind: [binary(name, a="bool", b="bool")] for kind, name in named("and=And or=Or xor=Xor")},
    "not": [Case("y = Not(a)", "bool[2,3] a")],
    "not_equal": [by_meaning("not_equal", (2, 3), (3,))],
    "squared_difference": [by_meaning("squared_difference", (2, 3), (3,))],
    "silu": [by_meaning("silu", (2, 3), attributes={"alpha": 1.0})],
    "where": [Case("y = Where(c, a, b)", "bool[3,4] c, double[2,3,4] a, double[3,1] b")],
    **{
        kind: reduction(name)
        for kind, name in named(
            "l1=ReduceL1 l2=ReduceL2 max=ReduceMax mean=ReduceMean min=ReduceMin prod=ReduceProd sum=ReduceSum "
            "sum_square=ReduceSumSquare log_sum_exp=ReduceLogSumExp "
        )
    },
    "mean": [  # and pools with one window, which is the whole map
        *reduction("ReduceMean"),
        Case("y = AveragePool<kernel_shape=[4,6]>(a)", "double[2,3,4,6] a"),
    ],
    "max": [*reduction("ReduceMax"), Case("y = MaxPool<kernel_shape=[4,6]>(a)", "double[2,3,4,6] a")],
    "batch_norm": [
        Case(
            "y = BatchNormalization(a, s, t, m, v)",
            "double[2,3,4] a",
            "double[3] s = {1.5, 0.5, 2.0}, double[3] t = {0.1, 0.2, 0.3}, "
            "double[3] m = {0.1, -0.2, 0.3}, double[3] v = {1.0, 2.0, 3.0}",
        )
    ],
    "group_norm": [
        by_meaning(
            "group_norm",
            (2, 4, 5),
            (4,),
            (4,),
            attributes={"num_groups": 2.0, "epsilon": 1e-5},
            constants=((1, np.arange(1.0, 5.0)), (2, np.arange(4.0))),
        )
    ],
    "erf": [by_meaning("erf", (2, 3))],
    "gelu": [by_meaning("gelu", (2, 3), attributes={"by_tanh": False})],
    "instance_norm": [Case("y = InstanceNormalization(a, s, s)", "double[2,3,4] a", "double[3] s = {1.0, 2.0, 3.0}")],
    "layer_norm": [Case("y = LayerNormalization(a, s)", "double[2,3,4] a", "double[4] s = {1.0, 2.0, 3.0, 0.5}")],
    "lrn": [Case("y = LRN<size=3>(a)", "double[2,5,4,4] a")],
    "matmul": [
        Case("y = MatMul(a, b)", "double[2,3,4] a, double[4,5] b"),
        Case("y = Gemm<transB=1>(a, b, c)", "double[3,4] a, double[5,4] b, double[5] c"),
        Case("y = Gemm<transA=1>(a, b)", "double[4,3] a, double[4,5] b"),
    ],
    "einsum": [Case('y = Einsum<equation="bij,jk->bik">(a, b)', "double[2,3,4] a, double[4,5] b")],
    "attention": [
        by_meaning("attention", (2, 3, 4), (2, 5, 4), (2, 5, 6), attributes={"causal": False}, cost=2 * 5 * 3 * (4 + 6))
    ],
    "conv": [
        Case("y = Conv(a, b)", "double[2,3,5,4] a, double[2,3,3,2] b"),
        Case("y = Conv(a, b, c)", "double[2,3,5,4] a, double[2,3,1,1] b, double[2] c"),
        Case("y = Conv<group=3>(a, b)", "double[2,3,5,4] a, double[3,1,1,1] b"),
    ],
    "conv_transpose": [Case("y = ConvTranspose(a, b)", "double[2,3,5,4] a, double[3,2,3,2] b")],
    "avg_pool": [
        Case("y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a)", "double[2,3,4,6] a"),
    ],
    "max_pool": [
        Case("y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)", "double[2,3,4,6] a"),
        Case("y = MaxPool<kernel_shape=[2,2], strides=[1,2], ceil_mode=1>(a)", "double[2,3,4,6] a"),
    ],
    "quantize": [Case("y = QuantizeLinear(a, s, z)", "double[2,3] a", "float s = {0.1}, uint8 z = {20}")],
    "dequantize": [by_meaning("dequantize", (2, 3), (), (), attributes={"axis": 1})],
    "fake_quantize": [fake_quantize(-2.0, 2.0), fake_quantize(-1.0, 2.0)],
    "cast": [Case("y = Cast<to=11>(a)", "double[2,3] a")],
    "col2im": [
        Case("y = Col2Im<strides=[2,2]>(a, s, k)", "double[2,8,6] a", "int64[2] s = {4, 6}, int64[2] k = {2, 2}", opset=18),
        Case(
            "y = Col2Im<pads=[1,0,1,0]>(a, s, k)",
            "double[2,8,20] a",
            "int64[2] s = {3, 6}, int64[2] k = {2, 2}",
            opset=18,
        ),
    ],
    "recurrent": [
        Case(
            "y, h, c = LSTM<hidden_size=3>(a, w, r, b, , i, k)",
            "double[4,2,5] a, double[1,12,5] w, double[1,12,3] r, double[1,24] b, double[1,2,3] i, double[1,2,3] k",
            cost=4 * 2 * 12 * (5 + 3),
        ),
        Case(
            "y, h = GRU<hidden_size=3>(a, w, r)",
            "double[4,2,5] a, double[1,9,5] w, double[1,9,3] r",
            cost=4 * 2 * 9 * (5 + 3),
        ),
        Case(
            "y, h = RNN<hidden_size=3, layout=1>(a, w, r)",
            "double[2,4,5] a, double[1,3,5] w, double[1,3,3] r",
            cost=4 * 2 * 3 * (5 + 3),
        ),
    ],
    "depth_to_space": [
        Case("y = DepthToSpace<blocksize=2>(a)", "double[2,8,2,3] a"),
        Case('y = DepthToSpace<blocksize=2, mode="CRD">(a)', "double[2,8,2,3] a"),
    ],
    "space_to_depth": [
        Case("y = SpaceToDepth<blocksize=2>(a)", "double[2,3,4,6] a"),
        by_meaning("space_to_depth", (2, 3, 4, 6), attributes={"block": 2, "depth_first": True}),
    ],
    "reshape": [Case("y = Reshape(a, x)", PLANE, "int64[3] x = {2, -1, 4}")],
    "squeeze": [Case("y = Squeeze(a, x)", "double[2,1,3] a", "int64[1] x = {1}")],
    "transpose": [Case("y = Transpose<perm=[2,0,1]>(a)", "double[2,3,4] a")],
    "unsqueeze": [Case("y = Unsqueeze(a, x)", "double[2,3] a", "int64[2] x = {0, -1}")],
    "broadcast": [Case("y = Expand(a, x)", "double[3,1] a", "int64[3] x = {2, 1, 4}")],
    "concat": [Case("y = Concat<axis=1>(a, b)", "double[2,3,4] a, double[2,1,4] b")],
    "gather": [Case("y = Gather<axis=1>(a, x)", "double[2,3,4] a", "int64[2] x = {2, -1}")],
    "gather_nd": [
        Native(
            "gather_nd",
            ((2, 3), (4, 2)),
            lambda x, i: MEANINGS["gather_nd"]({"batch_dims": 0}, [], x, i),
            {"batch_dims": 0},
            (np.float64, np.int64),
            ((1, np.array([[1, 0], [0, 2], [1, 1], [0, 2]])),),
        ),
        Native(
            "gather_nd",
            ((3, 2, 4), (5, 1)),
            lambda x, i: MEANINGS["gather_nd"]({"batch_dims": 0}, [], x, i),
            {"batch_dims": 0},
            (np.float64, np.int64),
            ((1, np.array([[2], [0], [2], [1], [0]])),),
        ),
    ],
    "gather_elements": [
        Native(
            "gather_elements",
            ((2, 3), (2, 2)),
            lambda x, i: np.take_along_axis(x, i, axis=1),
            {"axis": 1},
            (np.float64, np.int64),
            ((1, np.array([[2, 0], [1, 1]])),),
        )
    ],
    "cumsum": [
        Case("y = CumSum(a, x)", "double[2,3,4] a", "int64 x = {1}"),
        Case("y = CumSum<exclusive=1, reverse=1>(a, x)", "double[2,3,4] a", "int64 x = {-1}"),
        Case("y = CumSum<reverse=1>(a, x)", "double[2,3,4] a", "int64 x = {2}"),
        Case("y = CumSum<exclusive=1>(a, x)", "double[2,3,4] a", "int64 x = {1}"),
    ],
    "pad": [Case("y = Pad(a, x)", "double[2,3] a", "int64[4] x = {0, 1, 0, 2}")],
    "resize": [
        resized('mode="nearest"', 1.0, 1.0, 2.0),
        resized('mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil"', 1.0, 1.5, 0.7),
        resized('mode="linear"', 1.0, 0.5, 2.0),
        resized('mode="linear", coordinate_transformation_mode="align_corners"', 1.0, 2.5, 1.0),
        resized('mode="cubic"', 1.0, 2.0, 1.0),
        Native(
            "resize",
            ((1, 2, 5, 3),),
            lambda x: MEANINGS["resize"]({"axes": [2, 3], "mode": "area"}, [(1, 2, 3, 4)], x),
            {"axes": [2, 3], "mode": "area"},
        ),
    ],
    "shuffle": [by_meaning("shuffle", (2, 6), attributes={"axis": 1, "groups": 2}, types=(np.float64,))],
    "roll": [
        by_meaning(
            "roll",
            (2, 5),
            (1,),
            (1,),
            attributes={"axes": [1]},
            types=(np.float64, np.int64, np.int64),
            constants=((1, np.array([2])), (2, np.array([1]))),
        )
    ],
    "slice": [
        Case(
            "y = Slice(a, s, e, x, t)",
            "double[2,7,4] a",
            "int64[1] s = {1}, int64[1] e = {7}, int64[1] x = {1}, int64[1] t = {2}",
        ),
        Case("y = Slice(a, s, e)", "double[7] a", "int64[1] s = {-3}, int64[1] e = {100}"),
    ],
    "split": [Case("y, z = Split<axis=1>(a, x)", "double[2,5] a", "int64[2] x = {2, 3}")],
    "full": [Native("full", ((3,),), np.zeros, {"value": 0.0}, (np.int64,), ((0, np.array([2, 3, 1])),))],
    "range": [Native("range", ((), (), ()), np.arange, constants=((0, np.array(0)), (2, np.array(1))), types=(np.int64,) * 3)],
    "non_max_suppression": [
        Native("non_max_suppression", ((1, 4, 4), (1, 1, 4)), lambda boxes, scores: np.argsort(-scores[0, 0])[:, None])
    ],
    "detection_output": [
        Native("detection_output", ((1, 8), (1, 4), (1, 1, 8)), lambda offsets, scores, priors: np.sort(scores)[..., None])
    ],
    "non_zero": [Native("non_zero", ((4,),), lambda x: np.stack(np.nonzero(x)), types=(np.bool_,))],
    "scatter_rows": [
        Native(
            "scatter_rows",
            ((5, 2), (2, 1), (2, 2)),
            scattered,
            types=(np.float64, np.int64, np.float64),
            constants=((1, np.array([[3], [0]])),),
        )
    ],
    "shape": [Case("y = Shape(a)", "double[2,3] a"), Case("y = Size(a)", "double[2,3] a")],
    "size": [Native("size", ((3, 2),), lambda x: np.array([x.shape[0]]))],
    "argmax": [Native("argmax", ((2, 5),), lambda x: np.argmax(x, axis=1, keepdims=True))],
    "top_k": [Native("top_k", ((2, 5),), lambda x: (-np.sort(-x, axis=1)[:, :2], np.argsort(-x, axis=1)[:, :2]), {"axis": 1})],
    "tile": [
        Case("y = Tile(a, x)", "double[2,1,3] a", "int64[3] x = {1, 2, 3}"),
        Native(
            "tile",
            ((3, 1), (3,)),
            lambda x, r: np.tile(x, tuple(r)),
            types=(np.float64, np.int64),
            constants=((1, np.array([2, 1, 2])),),
        ),
    ],
    "grid_sample": [
        *(
            by_meaning(
                "grid_sample",
                (2, 3, 4, 5),
                (2, 2, 3, 2),
                attributes={"mode": "bilinear", "padding": padding, "align_corners": aligned},
                low=-1.4,
                high=1.4,
            )
            for padding, aligned in (("zeros", False), ("zeros", True), ("border", False), ("border", True))
        ),
        by_meaning(
            "grid_sample",
            (2, 3, 4, 5),
            (2, 2, 3, 2),
            attributes={"mode": "nearest", "padding": "zeros", "align_corners": False},
        ),
    ],
    "scatter_add": [
        Native(
            "scatter_add",
            ((2, 5), (2, 3), (2, 3)),
            scatter_added,
            {"axis": 1},
            (np.float64, np.int64, np.float64),
            ((1, np.array([[3, 0, 3], [1, 2, 4]])),),
        )
    ],
}
