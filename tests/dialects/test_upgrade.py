"""Models of older opsets, rewritten for opset 13: each is run as it was and as it became, and must give the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import openvino_xai as xai
from openvino_xai.dialects.onnx import OnnxModel, comparison, upgrade
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.record.removal import unhooked

IR_VERSIONS = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7}  # those that came with each opset
OLD = tuple(IR_VERSIONS)
TRANSFORMS = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
BODIES = {  # of x [B, 4, 6, 8], with the opsets that say it so
    "softmax of all behind the batch": ("y = Softmax(x)", OLD),
    "softmax of the last axes": ("y = Softmax<axis=2>(x)", OLD),
    "softmax of the last axis": ("y = Softmax<axis=3>(x)", OLD),
    "softmax of the last axis, from behind": ("y = Softmax<axis=-1>(x)", (11, 12)),
    "softmax of channels of one cell": ("p = GlobalAveragePool(x) y = Softmax<axis=1>(p)", OLD),
    "softmax of a table": ("p = GlobalAveragePool(x) f = Flatten(p) y = Softmax(f)", OLD),
    "softmax of everything": ("y = Softmax<axis=0>(x)", OLD),
    "log softmax": ("y = LogSoftmax<axis=2>(x)", OLD),
    "hardmax": ("y = Hardmax(x)", OLD),
    "softmax that is read twice": ("s = Softmax(x) t = Relu(s) y = Add(s, t)", OLD),
    **{
        f"the {branch} branch": (
            f"m = ReduceMax<keepdims=0>(x) z = Sub(m, m) o = Exp(z) c = Less({condition}) y = If<"
            "then_branch = a () => (float[1, 4, 6, 8] u) { u = Softmax<axis=1>(x) },"
            "else_branch = b () => (float[1, 4, 6, 8] v) "
            "{ s = ReduceSum<axes=[2]>(x) q = Squeeze<axes=[0]>(s) t = Unsqueeze<axes=[0]>(q) v = Add(x, t) }>(c)",
            (9, 10, 11, 12),
        )
        for branch, condition in (("first", "z, o"), ("second", "o, z"))
    },
    "the body of a loop": (
        "y = Loop<body = again (int64 i, bool c, float[1, 4, 6, 8] s) => (bool d, float[1, 4, 6, 8] t) "
        "{ d = Identity(c) e = Softmax<axis=2>(s) t = Mul(e, x) }>(two, yes, x)",
        (9, 10, 11, 12),
    ),
    "a scan": (
        "y = Scan<num_scan_inputs=1, body = each (float[4, 6, 8] s) => (float[4, 6, 8] t) { t = Hardmax<axis=2>(s) }>(x)",
        (9, 10, 11, 12),
    ),
    "clip": ("y = Clip<min=-0.5, max=0.7>(x)", (7, 8, 9, 10)),
    "clip from below": ("y = Clip<min=0.1>(x)", (7, 8, 9, 10)),
    "clip, given limits": ("y = Clip(x, low, high)", (11, 12)),
    "pad": ('y = Pad<mode="reflect", pads=[0,0,1,2,0,0,2,1]>(x)', (7, 8, 9, 10)),
    "pad with a number": ("y = Pad<pads=[0,0,1,2,0,0,2,1], value=3.5>(x)", (7, 8, 9, 10)),
    "pad, given amounts": ("y = Pad(x, pads)", (11, 12)),
    "slice": ("y = Slice<axes=[2, 3], starts=[1, -3], ends=[5, 9999]>(x)", (7, 8, 9)),
    "slice of the first axes": ("y = Slice<starts=[0, 1], ends=[1, -1]>(x)", (7, 8, 9)),
    "slice, given bounds": ("y = Slice(x, ones, fives, axes)", (10, 11, 12)),
    "squeeze and unsqueeze": ("m = ReduceMean<axes=[2, 3]>(x) s = Squeeze<axes=[2, 3]>(m) y = Unsqueeze<axes=[0, 3]>(s)", OLD),
    "sum of an axis": ("y = ReduceSum<axes=[2], keepdims=0>(x)", OLD),
    "sum of everything": ("y = ReduceSum(x)", OLD),
    "split": ("a, y = Split<axis=1, split=[1, 3]>(x)", OLD),
    "split evenly": ("y, b = Split<axis=1>(x)", OLD),
    "largest values": ("y, i = TopK<k=3, axis=3>(x)", (7, 8, 9)),
    "largest values, given how many": ("y, i = TopK<axis=3>(x, three)", (10, 11, 12)),
    "dropout": ("y = Dropout<ratio=0.5>(x)", (7, 8, 9, 10, 11)),
    "dropout with a mask that nobody reads": ("y, m = Dropout<ratio=0.5>(x)", (7, 8, 9, 10, 11)),
    "batch norm, spatial": ("y = BatchNormalization<epsilon=0.01, spatial=1>(x, four, four, four, four)", (7, 8)),
    "batch norm": ("y = BatchNormalization<epsilon=0.01>(x, four, four, four, four)", OLD),
    "upsample, nearest": ('y = Upsample<mode="nearest", scales=[1.0, 1.0, 2.0, 3.0]>(x)', (7, 8)),
    "upsample, linear": ('y = Upsample<mode="linear", scales=[1.0, 1.0, 2.0, 2.0]>(x)', (7, 8)),
    "upsample, nearest, given scales": ("y = Upsample(x, odd)", (9,)),
    "upsample, linear, given scales": ('y = Upsample<mode="linear">(x, odd)', (9,)),
    "resize, nearest": ("y = Resize(x, odd)", (10,)),
    "resize, nearest, smaller": ("y = Resize(x, less)", (10,)),
    "resize, linear": ('y = Resize<mode="linear">(x, odd)', (10,)),
    "resize, linear, smaller": ('y = Resize<mode="linear">(x, less)', (10,)),
    **{
        f"resize by scales, {name}": (
            f'y = Resize<mode="linear", coordinate_transformation_mode="{name}">(x, no, odd)',
            (11, 12),
        )
        for name in TRANSFORMS
    },
    **{
        f"resize to sizes, {name}": (f'y = Resize<coordinate_transformation_mode="{name}">(x, no, no, sizes)', (11, 12))
        for name in TRANSFORMS
    },
    "scatter": ("z = Mul(x, x) y = Scatter<axis=1>(x, index, z)", (9, 10)),
    "boxes that stay": (
        "b = Reshape(x, boxes) s = Reshape(x, scores) n = NonMaxSuppression(b, s, three) y = Cast<to=1>(n)",
        (10, 11, 12),
    ),
    "gemm": ("p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, square, four)", OLD),
    "largest of two": ("r = Relu(x) m = Max(x, r) y = Min(m, r)", OLD),
    "pool": ("m = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x) y = AveragePool<kernel_shape=[2, 2]>(m)", OLD),
}
WEIGHTS = {
    "low": np.float32(-0.5),
    "high": np.float32(0.7),
    "pads": np.array([0, 0, 1, 2, 0, 0, 2, 1]),
    "ones": np.array([1, 1]),
    "fives": np.array([5, 9999]),
    "axes": np.array([2, 3]),
    "two": np.array(2),
    "yes": np.array(True),
    "three": np.array([3]),
    "four": np.array([1, 2, 3, 4], np.float32),
    "square": np.arange(16, dtype=np.float32).reshape(4, 4),
    "odd": np.array([1, 1, 1.5, 2.5], np.float32),
    "less": np.array([1, 1, 0.75, 0.4], np.float32),
    "no": np.zeros(0, np.float32),
    "mixed": np.array([1, 1, 2, 0.4], np.float32),
    "sizes": np.array([1, 4, 9, 12]),
    "boxes": np.array([1, 48, 4]),
    "scores": np.array([1, 4, 48]),
    "index": np.zeros((1, 4, 6, 8), np.int64),
}


def old_model(body: str, opset: int, *, batch: int | str = 1, ir_version: int | None = None) -> onnx.ModelProto:
    """A model of x [batch, 4, 6, 8] in an older opset and its version of the format, with the weights that it reads."""
    version = ir_version or IR_VERSIONS[opset]
    text = f'<ir_version: {version}, opset_import: ["": {opset}]> old (float[{batch}, 4, 6, 8] x) => (float[?] y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    read = {name for node in model.graph.node for name in node.input}
    for name in read & set(WEIGHTS):
        array = np.asarray(WEIGHTS[name])
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        if version < 4:
            model.graph.input.append(
                onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            )
    return model


def outputs(model: onnx.ModelProto, batch: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {model.graph.input[0].name: batch})


def assert_same(old: onnx.ModelProto, new: onnx.ModelProto, batch: np.ndarray) -> None:
    for before, after in zip(outputs(old, batch), outputs(new, batch), strict=True):
        np.testing.assert_array_equal(after, before)
        assert after.dtype == before.dtype


@pytest.mark.parametrize(
    ("name", "opset"), [(name, opset) for name, (_, opsets) in BODIES.items() for opset in opsets], ids=str
)
def test_each_operation_gives_what_it_gave(name: str, opset: int) -> None:
    old = old_model(BODIES[name][0], opset)
    (result,) = outputs(old, np.zeros((1, 4, 6, 8), np.float32))
    old.graph.output[0].type.CopyFrom(onnx.helper.make_tensor_type_proto(1, [None] * result.ndim))
    deployed = OnnxModel.of(old)
    new = deployed.object()
    assert (deployed.opset, deployed.conversion.before, deployed.conversion.after) == (13, opset, 13)  # type: ignore[union-attr]
    onnx.checker.check_model(new, full_check=True)
    for seed in range(3):
        batch = np.random.default_rng(seed).normal(0, 10**seed, (1, 4, 6, 8)).astype(np.float32)
        batch[0, 0, 0, 0] = np.nan if seed == 2 else 0
        assert_same(old, new, batch)


REFUSED = {
    "normalises each element by itself": ("y = BatchNormalization<spatial=0>(x, x, x, x, x)", 8),
    "has a mask of numbers that is read": ("a, m = Dropout(x) y = Add(a, m)", 9),
    "makes one axis larger and another smaller": ("y = Resize(x, mixed)", 10),
    "by scales that only a run knows": ("m = ReduceMax<axes=[0, 2, 3], keepdims=0>(x) y = Resize(x, m)", 10),
    "samples by tf_half_pixel_for_nn": (
        'y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn">(x, no, odd)',
        11,
    ),
    "is no operation of that opset;": ("y = Celu(x)", 11),
    "is no operation of that opset any more": ("y = Upsample(x, odd)", 10),
    "goes through a batch of sequences": (
        "y = Scan<num_scan_inputs=1, body = each (float[6, 8] s) => (float[6, 8] t) { t = Relu(s) }>(, x)",
        8,
    ),
    "has no starts": ("y = Slice<ends=[1]>(x)", 9),
    "has 1 operands; 2 or more are expected": ("y = Upsample(x)", 9),
}


@pytest.mark.parametrize("message", REFUSED, ids=str)
def test_what_opset_13_has_no_words_for_is_refused(message: str) -> None:
    with pytest.raises(ModelError, match=f"cannot be converted to opset 13: .*{message}.*export it again with opset 13"):
        OnnxModel.of(old_model(*REFUSED[message]))


def test_every_operation_that_changed_is_known() -> None:
    versions: dict[str, set[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, set()).add(schema.since_version)
    changed = {name for name, since in versions.items() if any(7 < v <= 13 for v in since) and min(since) < 13}
    new = {
        name
        for name in changed
        if len({max((v for v in versions[name] if v <= o), default=0) for o in range(7, 14)} - {0}) == 1
    }
    assert changed - new == upgrade.WIDENED | set(upgrade.RULES)
    assert not upgrade.WIDENED & set(upgrade.RULES)


@pytest.mark.parametrize("opset", OLD)
@pytest.mark.parametrize(
    ("rule", "body"),
    [("Softmax", "y = Softmax<axis=2>(x)"), ("Hardmax", "y = Hardmax(x)"), ("Unsqueeze", "y = Unsqueeze<axes=[1]>(x)")],
)
def test_a_number_that_changes_is_caught(rule: str, body: str, opset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison, seen to fail: with a rule that does nothing, a model means something else, or nothing at all."""
    monkeypatch.setattr(upgrade, "RULES", {**upgrade.RULES, rule: (13, lambda rewriting, node: None)})
    with pytest.raises(ModelError, match=r"converted to opset 13 (its output 'y' is not what it was: \d+ of 192|it cannot be)"):
        OnnxModel.of(old_model(body, opset))


@pytest.mark.parametrize("outcome", ["a value", "a shape", "a type", "NaN"])
def test_what_differs_is_told(outcome: str) -> None:
    def native(body: str, dtype: int = 1) -> ir.Model:
        model = old_model(body, 12)
        model.graph.output[0].type.tensor_type.elem_type = dtype
        return ir.from_proto(model)

    plain, zero = native("y = Relu(x)"), "z = Sub(x, x)"
    inputs = OnnxModel(plain).graph.inputs
    assert comparison.difference(plain, native("y = Relu(x)"), inputs) is None
    nan = native(f"{zero} y = Div(z, z)")
    assert comparison.difference(nan, nan, inputs) is None
    other, how = {
        "a value": (native("y = LeakyRelu<alpha=0.00000001>(x)"), r"\d+ of 192 values differ"),
        "a shape": (native("r = Relu(x) y = Flatten(r)"), r"it is float32 \[1, 192\] and was float32 \[1, 4, 6, 8\]"),
        "a type": (native("r = Relu(x) y = Cast<to=11>(r)", dtype=11), "it is float64 .* and was float32"),
        "NaN": (nan, "192 of 192 values differ"),
    }[outcome]
    difference = comparison.difference(plain, other, inputs)
    assert difference is not None
    with pytest.raises(AssertionError, match=how):
        raise AssertionError(difference.how)


CLASSIFIER = """
    a = Conv<pads=[1, 1, 1, 1]>(x, w) n = BatchNormalization(a, four, four, four, four) r = Relu(n)
    p = GlobalAveragePool(r) f = Flatten(p) z = Gemm(f, square, four) y = Softmax(z)
"""


def classifier(opset: int) -> onnx.ModelProto:
    model = old_model(CLASSIFIER, opset, batch="B")
    model.graph.output[0].type.CopyFrom(onnx.helper.make_tensor_type_proto(1, ["B", 4]))
    weights = np.random.default_rng(0).normal(0, 1, (4, 4, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    if model.ir_version < 4:
        model.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, weights.shape))
    return model


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("opset", OLD)
@pytest.mark.slow
def test_a_hook_keeps_the_bits_of_the_file_as_it_was(opset: int, runtime: str, tmp_path: Path) -> None:
    old = classifier(opset)
    onnx.save(old, tmp_path / "old.onnx")
    hooked = xai.insert(tmp_path / "old.onnx", runtime=runtime)
    assert (hooked.record["converted_from"], hooked.record["converted_to"]) == (str(opset), "13")
    written = hooked.save(tmp_path / "hooked.onnx")
    new = onnx.load(written)
    onnx.checker.check_model(new, full_check=True)
    plain = unhooked(open_model(written)).object()
    for batch in (1, 3):
        images = np.random.default_rng(batch).normal(0, 1, (batch, 4, 6, 8)).astype(np.float32)
        np.testing.assert_array_equal(outputs(new, images)[0], outputs(old, images)[0])
        assert_same(old, plain, images)


def test_a_file_of_today_is_not_said_to_be_converted() -> None:
    model = old_model("f = Relu(x) p = GlobalAveragePool(f) y = Flatten(p)", 12)
    model.opset_import[0].version = 13
    assert "converted_from" not in xai.insert(model, scores="y").record


def test_verification_holds_a_hook_to_the_file_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the conversion changes a number and nobody saw it, the hook is refused."""
    monkeypatch.setattr(comparison, "difference", lambda *_: None)
    monkeypatch.setattr(upgrade, "RULES", {**upgrade.RULES, "Clip": (11, lambda rewriting, node: node.attributes.clear())})
    model = old_model("r = Relu(x) c = Clip<max=0.3>(r) p = GlobalAveragePool(c) y = Flatten(p)", 10)
    with pytest.raises(xai.errors.OutputsChanged, match="output 'y' changed"):
        xai.insert(model, scores="y")


def test_weights_beside_the_model_stay_there(tmp_path: Path) -> None:
    old = classifier(9)
    onnx.save(old, tmp_path / "old.onnx", save_as_external_data=True, location="old.data", size_threshold=0)
    written = xai.insert(tmp_path / "old.onnx").save(tmp_path / "new" / "hooked.onnx")
    assert (written.parent / "hooked.onnx.data").exists()
    images = np.ones((2, 4, 6, 8), np.float32)
    session = onnxruntime.InferenceSession(written)
    np.testing.assert_array_equal(session.run(["y"], {"x": images})[0], outputs(classifier(9), images)[0])


def test_functions_are_written_out_first() -> None:
    old = old_model("y = Relu(x)", 11, ir_version=8)
    opsets = [onnx.helper.make_opsetid("", 11)]
    nodes = [onnx.helper.make_node("Softmax", ["a"], ["b"], axis=2)]
    old.functions.append(onnx.helper.make_function("ours", "Flat", ["a"], ["b"], nodes, opsets))
    old.opset_import.append(onnx.helper.make_opsetid("ours", 1))
    old.graph.node[0].CopyFrom(onnx.helper.make_node("Flat", ["x"], ["y"], domain="ours"))
    batch = np.random.default_rng(0).normal(0, 1, (1, 4, 6, 8)).astype(np.float32)
    assert_same(old, OnnxModel.of(old).object(), batch)


def test_initializers_that_are_inputs_stay_inputs_where_a_caller_may_give_them() -> None:
    for opset, names in ((8, ["x"]), (9, ["x", "four"])):
        model = old_model("y = BatchNormalization(x, four, four, four, four)", opset)
        if opset == 9:
            model.graph.input.append(onnx.helper.make_tensor_value_info("four", 1, [4]))
        new = OnnxModel.of(model).object()
        assert [item.name for item in new.graph.input] == names
        assert new.ir_version == 7


def test_names_are_whatever_they_are() -> None:
    """Names that a rewriting would take are there already, and others hold line ends and quotes."""
    odd = "a\n\"b'\x1b[31m"
    model = old_model("s = Softmax(x) y = Squeeze<axes=[0]>(s)", 9)
    for node, name in zip(model.graph.node, (odd, f"{odd}/shape"), strict=True):
        node.name = name
    model.graph.node.append(onnx.helper.make_node("Relu", ["x"], [f"{odd}/flatten"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.int64), f"{odd}/axes"))
    batch = np.random.default_rng(0).normal(0, 1, (1, 4, 6, 8)).astype(np.float32)
    assert_same(model, OnnxModel.of(model).object(), batch)


@pytest.mark.parametrize("opset", [11, 13])
def test_a_branch_that_makes_an_output_takes_the_place_of_its_if(opset: int) -> None:
    branches = "then_branch = a () => (float[?] u) { u = Exp(x) }, else_branch = b () => (float[?] v) { v = Identity(x) }"
    model = old_model(f"y = If<{branches}>(yes)", opset, ir_version=7)
    deployed = OnnxModel.of(model)
    assert [node.op for node in deployed.graph.nodes] == ["Exp"]
    assert_same(model, deployed.object(), np.ones((1, 4, 6, 8), np.float32))


def test_an_open_batch_that_is_a_word_only_is_compared_at_one() -> None:
    model = old_model("s = Constant<value = int64[2] {1, 192}>() r = Reshape(x, s) y = Softmax(r)", 9, batch="N")
    assert OnnxModel.of(model).conversion


@pytest.mark.parametrize("body", ['s = Constant<value_strings=["1", "2"]>() y = Clip(s)', "y = Resize(x, index)"])
def test_operands_of_other_types_are_refused(body: str) -> None:
    model = old_model(body, 10)
    for node in model.graph.node:
        if node.op_type == "Constant":
            words = onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [1], [b"one"])
            node.CopyFrom(onnx.helper.make_node("Constant", [], ["s"], value=words))
        if node.op_type == "Clip":
            node.attribute.append(onnx.helper.make_attribute("min", 0.5))
    with pytest.raises(ModelError, match="it cannot be held to what it was|by scales that only a run knows"):
        OnnxModel.of(model)


def test_a_model_that_does_not_run_is_refused() -> None:
    model = old_model("s = Constant<value = int64[2] {5, 5}>() y = Reshape(x, s)", 9)
    with pytest.raises(ModelError, match="converted to opset 13 it cannot be held to what it was: ONNX Runtime"):
        OnnxModel.of(model)
