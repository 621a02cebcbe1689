"""Each version of each operation of ONNX that is read, from opset 7 on: a line says it, for the opsets that say it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from tails import SHAPE, channels, ints, normal, number

OLDEST, NEWEST = 7, onnx.defs.onnx_opset_version()
BEFORE = {name: np.array(value) for name, value in {"yes": True, "no": False}.items()}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
FLOATS = {"low": number(-0.4), "high": number(0.6), "none": np.zeros(0, np.float32)}


def weights() -> dict[str, np.ndarray]:
    """What bodies read, by name."""
    return {
        **BEFORE,
        **FLOATS,
        "c0": channels(),
        "c1": channels(),
        "c2": channels(),
        "c3": channels(),
        "g0": channels()[:2],
        "g1": channels()[:2],
        "row": normal(8),
        "same": normal(2, 4, 6, 8),
        "slope": normal(4, 1, 1),
        "kernel": normal(4, 4, 3, 2),
        "wide": normal(8, 3),
        "none_i": np.zeros(0, np.int64),
        "a23": ints(2, 3),
        "a03": ints(0, 3),
        "k": ints(3),
        "n": np.array(3),
        "zero": np.array(0),
        "one": np.array(1),
        "five": np.array(5),
        "two": np.array(2.0, np.float32),
        "pads": ints(0, 0, 1, 0, 0, 0, 0, 2),
        "short": ints(1, 0, 0, 2),
        "sizes4": ints(2, 4, 12, 7),
        "sizes2": ints(12, 7),
        "scales4": np.array([1, 1, 2, 1.5], np.float32),
        "scales2": np.array([2, 1.5], np.float32),
        "parts": ints(3, 5),
        "flat": ints(0, -1, 8),
        "wider": ints(3, 1, 1, 1, 1),
        "starts": ints(1, -3),
        "ends": ints(5, 99),
        "minus": ints(-1, -2),
        "windows": ints(2, 16, 12),
        "sides": ints(6, 8),
        "crossing": ints(2, 8, 24),
        "beside": ints(6, 5),
        "two_two": ints(2, 2),
        "picked": np.array([[3, 0], [1, 1]]),
        "elements": np.random.default_rng(0).integers(0, 8, (2, 4, 6, 3)),
        "places": np.array([[[0, 1], [3, 5]]] * 2),
        "rows": np.array([[0, 1], [1, 3]]),
        "updates": normal(2, 6, 8),
        "step": number(0.05),
        "zero8": np.array(30, np.uint8),
        "grid": normal(2, 3, 5, 2),
        "grid3": normal(2, 2, 3, 5, 3),
        "deep": ints(2, 4, 2, 3, 8),
        "boxed": ints(2, 48, 4),
        "scored": ints(2, 1, 48),
        "few": ints(5),
        "half": np.array([0.5], np.float32),
        "blocks": np.full((2, 4, 6, 2), 0.05, np.float32),
        "twice": ints(1, 1, 2, 1),
        "steps4": np.full(4, 0.05, np.float32),
        "zeros4": np.full(4, 30, np.uint8),
        "steps": ints(6, 2, 32),
        **{f"{op}_{side}": normal(1, 4 * gates, size) for op, gates in GATES.items() for side, size in (("i", 32), ("h", 4))},
    }


@dataclass(frozen=True)
class Form:
    """A body that makes `y` of `x` [2, 4, 6, 8] in the opsets from `first` to `last`, where it is `read` or refused by name."""

    op: str
    body: str
    first: int = OLDEST
    last: int = NEWEST
    read: bool = True
    weights: dict[str, np.ndarray] = field(default_factory=weights, repr=False, compare=False)

    def opsets(self) -> Iterator[int]:
        """The first that says it so, and each that gave the operation another version since."""
        yield from (version for version in sorted({*versions(self.op), self.first}) if self.first <= version <= self.last)

    def model(self, opset: int) -> onnx.ModelProto:
        image = f"float[2, {', '.join(map(str, SHAPE))}] image"
        text = f"g ({image}) => (float logits) {{ x = Identity(image) {self.body} logits = Identity(y) }}"
        graph = onnx.parser.parse_graph(text)
        graph.output[0].ClearField("type")
        read = {name for node in graph.node for name in node.input}
        graph.initializer.extend(
            onnx.numpy_helper.from_array(array, name) for name, array in self.weights.items() if name in read
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model)


def versions(op: str) -> set[int]:
    """The opsets that gave an operation other operands or attributes, with that of the oldest that is read."""
    history = [schema for schema in onnx.defs.get_all_schemas_with_history() if schema.name == op and schema.domain == ""]
    before, different = None, set()
    for schema in sorted(history, key=lambda schema: schema.since_version):
        after = sorted(schema.attributes), [(item.name, item.option) for item in schema.inputs], len(schema.outputs)
        if after != before or schema.since_version <= OLDEST:
            different.add(max(schema.since_version, OLDEST))
        before = after
    return different


UNARY = """
    Abs Ceil Cos Elu Exp Floor HardSigmoid Identity LeakyRelu Neg Reciprocal Relu Selu Sigmoid Sin Softplus Softsign Tan Tanh
    LpNormalization GlobalAveragePool GlobalMaxPool Flatten Shape Size Dropout Transpose
""".split()
SINCE = {
    "Erf": 9,
    "Sign": 9,
    "MeanVarianceNormalization": 9,
    "ThresholdedRelu": 10,
    "Round": 11,
    "HardSwish": 14,
    "Mish": 18,
    "Gelu": 20,
    "Swish": 24,
    "IsNaN": 9,
}
BINARY = "Add Div Max Min Mul Pow PRelu Sub Sum".split()
VARIADIC = "Max Min Sum".split()
REDUCED = "ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare".split()

FORMS: list[Form] = [
    *(Form(op, f"y = {op}(x)") for op in UNARY),
    *(Form(op, f"y = {op}(x)", first) for op, first in SINCE.items()),
    *(Form(op, f"a = Abs(x) y = {op}(a, {'same' if op in VARIADIC else 'row'})") for op in BINARY),
    *(Form(op, f"y = {op}(x, row, same)", 8) for op in VARIADIC),
    *(Form(op, f"y = {op}(x)") for op in VARIADIC),
    *(Form(op, f"y = {op}<axes=[1, -1], keepdims=0>(x)", 11, 17) for op in REDUCED),
    *(Form(op, f"y = {op}<axes=[1, 3]>(x)", 7, 17) for op in REDUCED),
    *(Form(op, f"y = {op}<keepdims=0>(x, a03)", 18) for op in REDUCED),
    *(Form(op, f"y = {op}(x, none_i)", 18) for op in REDUCED),
    *(Form(op, f"y = {op}<noop_with_empty_axes=1>(x, none_i)", 18) for op in REDUCED if op != "ReduceLogSumExp"),
    *(Form(op, f"y = {op}<noop_with_empty_axes=1>(x)", 18) for op in REDUCED if op != "ReduceLogSumExp"),
    *(Form(op, f"c = {op}(x, row) y = Cast<to=1>(c)") for op in ("Greater", "Less")),
    *(Form(op, f"c = {op}(x, row) y = Cast<to=1>(c)", 12) for op in ("GreaterOrEqual", "LessOrEqual")),
    *(Form(op, f"p = Greater(x, row) q = Less(x, same) c = {op}(p, q) y = Cast<to=1>(c)") for op in ("And", "Or", "Xor")),
    Form("Equal", "i = Cast<to=6>(x) j = Cast<to=6>(same) c = Equal(i, j) y = Cast<to=1>(c)"),
    Form("Not", "p = Greater(x, row) c = Not(p) y = Cast<to=1>(c)"),
    Form("Mod", "a = Abs(x) y = Mod<fmod=1>(x, two)", 10),
    Form("Mod", "i = Cast<to=7>(x) y = Mod(i, n)", 10),
    Form("Asin", "t = Tanh(x) y = Asin(t)"),
    Form("Log", "e = Exp(x) y = Log(e)"),
    Form("Sqrt", "e = Exp(x) y = Sqrt(e)"),
    Form("ArgMax", "y = ArgMax<axis=1>(x)"),
    Form("AveragePool", "y = AveragePool<kernel_shape=[3, 2], pads=[1, 0, 0, 1], strides=[2, 1]>(x)"),
    Form("AveragePool", "y = AveragePool<kernel_shape=[3, 2], pads=[1, 0, 0, 1], count_include_pad=1>(x)"),
    Form("AveragePool", "y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1>(x)", 10),
    Form("AveragePool", "y = AveragePool<kernel_shape=[2, 2], dilations=[2, 3]>(x)", 19),
    Form("AveragePool", 'y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER">(x)'),
    Form("BatchNormalization", "y = BatchNormalization<epsilon=0.1>(x, c0, c1, c2, c3)"),
    Form("BatchNormalization", "y = BatchNormalization<spatial=1>(x, c0, c1, c2, c3)", 7, 8),
    Form("BatchNormalization", "y, m, v = BatchNormalization<training_mode=1>(x, c0, c1, c2, c3)", 15, read=False),
    Form(
        "DequantizeLinear",
        "q = QuantizeLinear<axis=3, block_size=4>(x, blocks) y = DequantizeLinear<axis=3, block_size=4>(q, blocks)",
        21,
        read=False,
    ),
    Form("Cast", "i = Cast<to=7>(x) y = Cast<to=1>(i)"),
    Form("CastLike", "i = Cast<to=6>(x) y = CastLike(i, x)", 15),
    Form("Clip", "y = Clip<min=-0.4, max=0.5>(x)", 7, 10),
    Form("Clip", "y = Clip(x, low, high)", 11),
    Form("Clip", "y = Clip(x, , high)", 11),
    Form("Concat", "t = Tanh(x) y = Concat<axis=1>(x, t)"),
    Form("Concat", "t = Tanh(x) y = Concat<axis=-1>(x, t)", 11),
    Form("ConstantOfShape", "s = Shape(x) f = ConstantOfShape(s) y = Add(x, f)", 9),
    Form("Conv", "y = Conv<pads=[1, 0, 0, 1], strides=[2, 1], dilations=[1, 2]>(x, kernel, c0)"),
    Form("Conv", 'y = Conv<auto_pad="VALID">(x, kernel)'),
    Form("ConvTranspose", "y = ConvTranspose<pads=[1, 0, 0, 1], strides=[2, 1], output_padding=[1, 0]>(x, kernel)"),
    Form("DequantizeLinear", "q = QuantizeLinear(x, step, zero8) y = DequantizeLinear(q, step, zero8)", 10),
    Form(
        "DequantizeLinear", "q = QuantizeLinear<axis=1>(x, steps4, zeros4) y = DequantizeLinear<axis=-3>(q, steps4, zeros4)", 13
    ),
    Form("QuantizeLinear", "q = QuantizeLinear(x, step, zero8) y = DequantizeLinear(q, step, zero8)", 10),
    Form("Dropout", "y = Dropout<ratio=0.3>(x)", 7, 11),
    Form("Dropout", "y = Dropout(x, high, no)", 12),
    Form("Dropout", "y = Dropout(x, high, yes)", 13, read=False),
    Form("DepthToSpace", "y = DepthToSpace<blocksize=2>(x)"),
    Form("DepthToSpace", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)', 11),
    Form("Col2Im", "r = Reshape(x, windows) y = Col2Im<strides=[2,2]>(r, sides, two_two)", 18),
    Form("Col2Im", "r = Reshape(x, crossing) y = Col2Im<pads=[1,0,1,0], dilations=[2,1]>(r, beside, two_two)", 18),
    Form("GlobalLpPool", "y = GlobalLpPool(x)"),
    Form("GlobalLpPool", "y = GlobalLpPool<p=3>(x)", read=False),
    Form("CumSum", "y = CumSum(x, n)", 11),
    Form("CumSum", "y = CumSum<exclusive=1, reverse=1>(x, one)", 11),
    *(
        Form(op, f"s = Reshape(x, steps) y, h = {op}<hidden_size=4{more}>(s, {op.lower()}_i, {op.lower()}_h)")
        for op in ("LSTM", "GRU", "RNN")
        for more in ("", ', direction="reverse"')
    ),
    Form("SpaceToDepth", "y = SpaceToDepth<blocksize=2>(x)"),
    Form("Einsum", 'y = Einsum<equation="bchw,wk->bchk">(x, wide)', 12),
    Form("Expand", "y = Expand(x, wider)", 8),
    Form("Flatten", "y = Flatten<axis=2>(x)"),
    Form("Flatten", "y = Flatten<axis=-1>(x)", 11),
    Form("Gather", "y = Gather<axis=1>(x, picked)"),
    Form("Gather", "y = Gather<axis=-1>(x, minus)", 11),
    Form("GatherElements", "y = GatherElements<axis=-1>(x, elements)", 11),
    Form("GatherND", "y = GatherND(x, rows)", 11),
    Form("GatherND", "y = GatherND<batch_dims=1>(x, places)", 12),
    Form("Gelu", 'y = Gelu<approximate="tanh">(x)', 20),
    Form(
        "Gemm",
        "f = Flatten<axis=3>(x) y = Gemm<alpha=0.5, beta=2.0>(f, wide, g)".replace("g)", "three)"),
        weights=weights() | {"three": normal(3)},
    ),
    Form("Gemm", "f = Flatten<axis=3>(x) y = Gemm(f, wide)", 11),
    Form("GridSample", "y = GridSample(x, grid)", 16),
    Form("GridSample", "d = Reshape(x, deep) y = GridSample(d, grid3)", 20, read=False),
    Form("GroupNormalization", "y = GroupNormalization<num_groups=2>(x, g0, g1)", 18, 20, read=False),
    Form("GroupNormalization", "y = GroupNormalization<num_groups=2>(x, c0, c1)", 21),
    Form("InstanceNormalization", "y = InstanceNormalization(x, c0, c1)"),
    Form("LRN", "y = LRN<size=3>(x)"),
    Form("LayerNormalization", "y = LayerNormalization(x, row)", 17),
    Form("LayerNormalization", "y = LayerNormalization<axis=2>(x, six, six)", 17, weights=weights() | {"six": normal(6, 8)}),
    Form("LogSoftmax", "y = LogSoftmax<axis=2>(x)"),
    Form("LogSoftmax", "y = LogSoftmax(x)"),
    Form("Softmax", "y = Softmax<axis=2>(x)"),
    Form("Softmax", "y = Softmax(x)"),
    Form("MatMul", "y = MatMul(x, wide)"),
    Form("MaxPool", "y = MaxPool<kernel_shape=[3, 2], pads=[1, 0, 0, 1], strides=[2, 1]>(x)"),
    Form("MaxPool", "y, i = MaxPool<kernel_shape=[2, 2], strides=[2, 2], storage_order=0>(x)", 8),
    Form("MaxPool", "y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, dilations=[1, 2]>(x)", 10),
    Form(
        "NonMaxSuppression",
        "b = Reshape(x, boxed) m = GlobalMaxPool(x) e = Add(x, m) r = ReduceMean<axes=[1]>(e) "
        "s = Reshape(r, scored) y = NonMaxSuppression(b, s, few, half)",
        10,
        17,
    ),
    Form("PRelu", "y = PRelu(x, slope)"),
    Form("Pad", 'y = Pad<mode="reflect", pads=[0, 0, 1, 0, 0, 0, 0, 2]>(x)', 7, 10),
    Form("Pad", "y = Pad<pads=[0, 0, 1, 0, 0, 0, 0, 2], value=1.5>(x)", 7, 10),
    Form("Pad", "y = Pad(x, pads, high)", 11),
    Form("Pad", 'y = Pad<mode="edge">(x, pads)', 11),
    Form("Pad", "y = Pad(x, short, high, minus)", 18),
    Form("Pad", 'y = Pad<mode="wrap">(x, pads)', 19),
    Form("Range", "r = Range(zero, five, one) f = Cast<to=1>(r) s = ReduceSum(f) y = Mul(x, s)", 13),
    Form("Range", "r = Range(zero, five, one) f = Cast<to=1>(r) s = ReduceMax(f) y = Mul(x, s)", 11, 17),
    Form("ReduceSum", "y = ReduceSum<axes=[1, 3], keepdims=0>(x)", 7, 12),
    Form("ReduceSum", "y = ReduceSum<keepdims=0>(x, a03)", 13),
    Form("ReduceSum", "y = ReduceSum(x, none_i)", 13),
    Form("ReduceSum", "y = ReduceSum<noop_with_empty_axes=1>(x)", 13),
    Form("Reshape", "y = Reshape(x, flat)"),
    Form("Reshape", "y = Reshape<allowzero=1>(x, boxed)", 14),
    Form("Resize", "y = Resize(x, scales4)", 10, 10),
    Form("Resize", 'y = Resize<mode="linear">(x, scales4)', 10, 10),
    Form("Resize", 'y = Resize<mode="linear">(x, none, scales4)', 11),
    Form("Resize", 'y = Resize<coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , , sizes4)', 13),
    Form("Resize", 'y = Resize<mode="linear", axes=[2, 3]>(x, , scales2)', 18),
    Form("Resize", 'y = Resize<mode="linear", axes=[2, -1]>(x, , , sizes2)', 18),
    Form(
        "Resize", 'y = Resize<mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger">(x, , , sizes2)', 18, read=False
    ),
    Form("Resize", 'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, , scales4)', 19),
    Form("ScatterND", "y = ScatterND(x, rows, updates)", 11),
    Form("ScatterND", 'y = ScatterND<reduction="add">(x, rows, updates)', 16, read=False),
    Form("Shape", "y = Shape<start=1, end=-1>(x)", 15),
    Form("Slice", "y = Slice<axes=[2, 3], starts=[1, -3], ends=[5, 99]>(x)", 7, 9),
    Form("Slice", "y = Slice(x, starts, ends)", 10),
    Form("Slice", "y = Slice(x, starts, ends, minus)", 10),
    Form("Split", "y, z = Split<axis=3, split=[3, 5]>(x)", 7, 12),
    Form("Split", "y, z = Split<axis=-1>(x, parts)", 13),
    Form("Split", "y, z = Split<axis=1>(x)", 7, 17),
    Form("Split", "y, z, w = Split<axis=3, num_outputs=3>(x)", 18),
    Form("Squeeze", "m = GlobalMaxPool(x) y = Squeeze<axes=[2, 3]>(m)", 7, 12),
    Form("Squeeze", "m = GlobalMaxPool(x) y = Squeeze(m, a23)", 13),
    Form("Squeeze", "m = GlobalMaxPool(x) y = Squeeze(m)"),
    Form("Squeeze", "m = GlobalMaxPool(x) y = Squeeze(m, none_i)", 13, read=False),
    Form("Tile", "y = Tile(x, twice)"),
    Form("TopK", "y, i = TopK<axis=1, k=3>(x)", 7, 9),
    Form("TopK", "y, i = TopK<axis=1>(x, k)", 10),
    Form("TopK", "y, i = TopK<axis=1, largest=1, sorted=0>(x, k)", 11),
    Form("TopK", "y, i = TopK<axis=1, largest=0>(x, k)", 11, read=False),
    Form("Transpose", "y = Transpose<perm=[0, 3, 1, 2]>(x)"),
    Form("Unsqueeze", "y = Unsqueeze<axes=[1, 3]>(x)", 7, 12),
    Form("Unsqueeze", "y = Unsqueeze(x, minus)", 13),
    Form("Upsample", "y = Upsample<scales=[1.0, 1.0, 2.0, 2.0]>(x)", 7, 8),
    Form("Upsample", 'y = Upsample<mode="linear">(x, scales4)', 9, 9),
    Form("Where", "p = Greater(x, row) y = Where(p, x, same)", 9),
]
