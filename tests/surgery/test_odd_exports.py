"""Models as they come out of exporters and converters: explained exactly, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as op
import pytest
from tiny import CASES, CLASSES, DIALECTS, LINEAR, STEM, Case, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.openvino.run import constant_of, content_of
from openvino_xai.errors import InputError, LayerError, ModelError, OutputsChanged, PlanError
from openvino_xai.locate.image import find_image
from openvino_xai.record.removal import unhooked

TOLERANCE = 2e-4
POOLED = STEM + "p = GlobalAveragePool(f) v = Flatten(p) "


def maps_of(model: object, batch: np.ndarray, **options: object) -> np.ndarray:
    hooked = xai.insert(model, **options)  # type: ignore[arg-type]
    plain, new = xai.load(model)(batch), xai.load(hooked)(batch)  # type: ignore[arg-type]
    for name, array in plain.items():
        np.testing.assert_array_equal(new[name], array)
    return new["saliency_map"]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_logit_is_read_through_a_sigmoid(dialect: str) -> None:
    case = Case("f", POOLED + "logits = Gemm<transB=1>(v, w, b)", {**LINEAR, "w": (1, 4), "b": (1,)})
    model = tiny(case.body, output="float[B,1] logits", **case.weights)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="f")
    assert hooked.record["score"] == "sigmoid"
    single = tiny(case.body, batch=1, output="float[B,1] logits", **case.weights)
    np.testing.assert_allclose(
        xai.load(hooked)(batch)["saliency_map"], Oracle(single, "f", "sigmoid").unit(batch), atol=TOLERANCE
    )


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_with_trailing_axes(dialect: str) -> None:
    body, weights = STEM + "p = GlobalAveragePool(f) logits = Conv(p, w1, b)", {**LINEAR, "w1": (CLASSES, 4, 1, 1)}
    model = tiny(body, output="float[B,5,1,1] logits", **weights)
    batch = images(model, 2)
    single = tiny(body, batch=1, output="float[B,5,1,1] logits", **weights)
    np.testing.assert_allclose(maps_of(in_dialect(model, dialect), batch), Oracle(single, "f").unit(batch), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_log_softmax_inside(dialect: str) -> None:
    body = POOLED + "g = Gemm<transB=1>(v, w, b) logits = LogSoftmax<axis=-1>(g)"
    batch = images(tiny(body, **LINEAR), 2)
    expected = Oracle(tiny(body, batch=1, **LINEAR), "f").unit(batch)
    np.testing.assert_allclose(maps_of(in_dialect(tiny(body, **LINEAR), dialect), batch), expected, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_best_scores_beside_the_scores_are_not_taken_for_them(dialect: str) -> None:
    body = POOLED + "logits = Gemm<transB=1>(v, w, b) best, which = TopK<axis=1>(logits, three)"
    output = "float[B,3] best, int64[B,3] which, float[B,5] logits"
    model = tiny(body, output=output, three=np.array([3]), **LINEAR)
    batch = images(model, 2)
    expected = Oracle(tiny(body, batch=1, output=output, three=np.array([3]), **LINEAR), "f").unit(batch)
    np.testing.assert_allclose(maps_of(in_dialect(model, dialect), batch), expected, atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_of_two_images_the_one_that_is_meant_must_be_named(dialect: str) -> None:
    text = """<ir_version: 8, opset_import: ["": 17]>
    two (float[B,3,6,8] image, float[B,3,6,8] other) => (float[B,5] logits) {
        c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) d = Conv<pads=[1,1,1,1]>(other, w0)
        p = GlobalAveragePool(f) q = GlobalAveragePool(d) s = Add(p, q) v = Flatten(s) logits = Gemm<transB=1>(v, w, b)
    }"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name, shape in LINEAR.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.normal(0, 1, shape).astype(np.float32), name))
    native = in_dialect(model, dialect)
    with pytest.raises(ModelError, match=r"2 inputs that can be an image, 1 is expected.*; name one of them"):
        xai.insert(native)
    hooked = xai.insert(native, image_input="image", layer="f")  # the other image stays as it is
    assert hooked.record["image"] == "image"
    with pytest.raises(ModelError, match="0 inputs called 'third'"):
        xai.insert(native, image_input="third")


def test_means_beside_a_photo_are_no_image() -> None:
    """As Keras exports what normalises photos: an input of one pixel."""
    body = POOLED.replace("image", "m") + "logits = Gemm<transB=1>(v, w, b)"
    model = tiny("m = Sub(image, mean) " + body, inputs="float[1,3,1,1] mean", **LINEAR)
    assert find_image(open_model(model).graph)[0].name == "image"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("batch", "options"), [("B", {}), ("B", {"plan": "direct"}), ("B", {"gate": True}), (2, {}), (1, {})])
def test_rows_read_what_another_input_tells_of_their_image(batch: int | str, options: dict[str, Any], dialect: str) -> None:
    """As age and weight beside a scan: each image's map is that of a model which has its own numbers as constants."""
    joined = (
        POOLED + "{} h = Gemm(age, we) e = Relu(h) j = Concat<axis=1>(v, e) k = Gemm(j, wj) r = Relu(k) logits = Gemm(r, wk)"
    )
    weights = {**LINEAR, "we": (3, 6), "wj": (10, 7), "wk": (7, 5)}
    model = tiny(joined.format("age = Identity(told)"), batch=batch, inputs=f"float[{batch},3] told", **weights)
    count = 2 if batch == "B" else int(batch)
    ages = np.random.default_rng(1).normal(0, 3, (count, 3)).astype(np.float32)
    feeds = {"image": images(model, count), "told": ages} | ({"explain": np.ones(count, bool)} if options.get("gate") else {})
    if options.get("gate") and dialect == "openvino":  # where open sizes have no names
        with pytest.raises(
            PlanError, match=r"'e' \[.*\] comes of an input whose open size the model does not tie to the batch"
        ):
            xai.insert(in_dialect(model, dialect), layer="f", **options)
        return
    hooked = xai.insert(in_dialect(model, dialect), layer="f", image_input="image", **options)
    actual = open_model(hooked.model).compile()(feeds)["saliency_map"]
    for index, age in enumerate(ages):
        single = tiny(joined.format("age = Identity(constant)"), batch=1, constant=age[None], **weights)
        expected = Oracle(single, "f").unit(feeds["image"][[index]])
        np.testing.assert_allclose(actual[[index]], expected, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("counted", [0, 1])
def test_a_pool_whose_kernel_is_larger_than_the_map_is_a_mean(counted: int) -> None:
    """As Hugging Face's EfficientNet has it. OpenVINO reads no such file, and onnx's reference counts padding otherwise."""
    large = f"AveragePool<kernel_shape=[1280,1280], strides=[1280,1280], ceil_mode=1, count_include_pad={counted}>(f)"
    body = POOLED + "logits = Gemm<transB=1>(v, w, b)"
    batch = images(model := tiny(body.replace("GlobalAveragePool(f)", large), **LINEAR), 2)
    expected = Oracle(tiny(body, batch=1, **LINEAR), "f").unit(batch)
    np.testing.assert_allclose(maps_of(model, batch, layer="f"), expected, atol=TOLERANCE)
    assert (xai.insert(model, layer="f").layers[0].cost or 9) < 2
    xai.insert(model, layer="f", method="grad_cam")  # verified by the slope


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("channels", [2, 5])
def test_an_image_of_any_number_of_channels(channels: int, dialect: str) -> None:
    weights = {**LINEAR, "w0": (4, channels, 3, 3)}
    model = tiny(POOLED + "logits = Gemm<transB=1>(v, w, b)", image=(channels, 6, 8), **weights)
    batch = images(model, 2)
    single = tiny(POOLED + "logits = Gemm<transB=1>(v, w, b)", image=(channels, 6, 8), batch=1, **weights)
    actual = maps_of(in_dialect(model, dialect), batch, layer="f")
    np.testing.assert_allclose(actual, Oracle(single, "f").unit(batch), atol=TOLERANCE)
    network = xai.load(xai.insert(in_dialect(model, dialect), layer="f"))
    with pytest.raises(xai.OvxaiError, match=f"input has {channels} channels; a photo fills 3"):
        network.explain(np.zeros((6, 8, 3), np.uint8))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("image", "body", "places"),
    [
        ((9, 6, 8), "", (2, 3)),  # more channels than rows or columns
        ((6, 6, 6), "", (2, 3)),
        ((6, 6, 6), "t = Transpose<perm=[0,3,1,2]>(image) ", (1, 2)),
        (("C", "H", "W"), "", (2, 3)),
        ((7, 6, 4), "s = Sub(mean, image) t = Transpose<perm=[0,3,1,2]>(s) ", (1, 2)),
    ],
)
def test_the_first_convolution_tells_the_channels(
    image: tuple[int | str, ...], body: str, places: tuple[int, int], dialect: str
) -> None:
    channels = image[0] if places == (2, 3) else image[2]
    read = "t" if body else "image"
    text = body + POOLED.replace("(image", f"({read}") + "logits = Gemm<transB=1>(v, w, b)"
    weights = {**LINEAR, "w0": (4, 6 if isinstance(channels, str) else channels, 3, 3)}
    more = {"mean": np.array(0.5, np.float32)} if "mean" in body else {}
    graph = open_model(in_dialect(tiny(text, image=image, **weights, **more), dialect)).graph  # type: ignore[arg-type]
    assert find_image(graph)[1].cells == places


@pytest.mark.parametrize(("image", "places"), [((16, 16, 9), 1), ((9, 16, 16), 2), ((9, 4, 9), 0), ((256, 13, 13), 0)])
def test_channels_are_fewer_than_the_pixels_of_a_side(image: tuple[int, ...], places: int) -> None:
    graph = open_model(tiny("logits = Flatten(image)", image=image, output=f"float[B,{np.prod(image)}] logits")).graph
    if not places:
        with pytest.raises(ModelError, match="or less than H and W"):
            find_image(graph)
    else:
        assert find_image(graph)[1].cells == (places, places + 1)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_layer_that_is_an_output_and_feeds_others(dialect: str) -> None:
    body = STEM + "d = Conv(f, w1) s = Add(d, f) p = GlobalAveragePool(s) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    output = "float[B,4,6,8] f, float[B,5] logits"
    weights = {**LINEAR, "w1": (4, 4, 1, 1)}
    model = tiny(body, output=output, **weights)
    batch = images(model, 2)
    expected = Oracle(tiny(body, batch=1, output=output, **weights), "f").unit(batch)
    np.testing.assert_allclose(maps_of(in_dialect(model, dialect), batch, layer="f"), expected, atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_channels_last_input_and_tail(dialect: str) -> None:
    body = """t = Transpose<perm=[0,3,1,2]>(image) c = Conv<pads=[1,1,1,1]>(t, w0) f = Relu(c)
    l = Transpose<perm=[0,2,3,1]>(f) n = LayerNormalization<axis=-1>(l, g1, b1) m = MatMul(n, w1) r = Relu(m)
    p = ReduceMean<axes=[1,2], keepdims=0>(r) logits = Gemm<transB=1>(p, w, b)"""
    weights = {**LINEAR, "w1": (4, 4), "g1": (4,), "b1": (4,)}
    model = tiny(body, image=(6, 8, 3), **weights)
    batch = images(model, 2)
    oracle = Oracle(tiny(body, batch=1, image=(6, 8, 3), **weights), "f")
    np.testing.assert_allclose(maps_of(in_dialect(model, dialect), batch, layer="f"), oracle.unit(batch), atol=TOLERANCE)
    chosen = xai.insert(in_dialect(model, dialect))
    assert chosen.record["layer"] == "r"
    assert xai.load(chosen)(batch)["saliency_map"].shape == (2, 5, 6, 8)


@pytest.mark.slow
def test_an_embedded_preprocessing() -> None:
    case = CASES["batch norm"]
    model = in_dialect(case.build(1, 17), "openvino")
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(100.0).scale(50.0)
    built = steps.build()
    batch = np.random.default_rng(0).integers(0, 256, (1, 6, 8, 3), dtype=np.uint8)
    as_before = ((batch.astype(np.float32) - 100) / 50).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(maps_of(built, batch, layer="f"), Oracle(case.build(1, 17), "f").unit(as_before), atol=TOLERANCE)


@pytest.mark.slow
def test_half_precision_ir_computes_as_the_plain_one() -> None:
    """A true f16 model: values, not only weights, are f16."""
    image = op.parameter([-1, 3, 6, 8], np.float16, "image")
    rng = np.random.default_rng(4)
    stem = op.convolution(image, rng.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float16), [1, 1], [1, 1], [1, 1], [1, 1])
    features = op.relu(stem)
    features.set_friendly_name("f")
    pooled = op.reduce_mean(features, np.array([2, 3]))
    logits = op.matmul(pooled, rng.normal(0, 1, (4, CLASSES)).astype(np.float16), False, False)
    logits.output(0).get_tensor().set_names({"logits"})
    model = ov.Model([op.result(logits)], [image])
    batch = rng.normal(0, 1, (2, 3, 6, 8)).astype(np.float16)
    maps = maps_of(model, batch, layer="f")
    assert maps.dtype == np.float32
    assert maps.shape == (2, CLASSES, 6, 8)


@pytest.mark.slow
def test_scores_are_read_ahead_of_the_quantiser_behind_a_softmax() -> None:
    """A fully quantised model returns bytes; one cell's probability is less than their step, and would leave a blank map."""
    image = op.parameter([1, 3, 6, 8], np.float32, "image")
    rng = np.random.default_rng(4)
    weights = rng.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float32)
    features = op.relu(op.convolution(image, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    features.set_friendly_name("f")
    pooled = op.reduce_mean(features, np.array([2, 3]))
    probable = op.softmax(op.matmul(pooled, rng.normal(0, 1, (4, CLASSES)).astype(np.float32), False, False), 1)

    def ending_in(node: ov.Node) -> ov.Model:
        node.output(0).get_tensor().set_names({"scores"})
        return ov.Model([op.result(node)], [image])

    bytes_of = op.convert(op.fake_quantize(probable, *np.array([0, 1, 0, 255], np.float32), 256), "u8")
    batch = rng.normal(0, 1, (1, 3, 6, 8)).astype(np.float32)
    of_bytes = xai.insert(ending_in(bytes_of), layer="f")
    assert of_bytes.record["score"] == "softmax"
    results = xai.load(of_bytes)(batch)
    assert results["scores"].dtype == np.uint8
    assert len(np.unique(results["saliency_map"])) > 20
    unquantised = xai.load(xai.insert(ending_in(probable), layer="f"))(batch)
    np.testing.assert_allclose(results["saliency_map"], unquantised["saliency_map"], atol=TOLERANCE)


def as_type(model: onnx.ModelProto, kind: int) -> onnx.ModelProto:
    """The model with weights, image and scores of another floating type."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = kind
    return model


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["residual, layer second", "mlp head", "3x3 convolution after the layer"])
@pytest.mark.slow
def test_a_model_that_is_half_precision_throughout(name: str, dialect: str) -> None:
    case = CASES[name]
    model = as_type(case.build("B", 17), onnx.TensorProto.FLOAT16)
    hooked = xai.insert(in_dialect(model, dialect), layer=case.layer, scale="none")
    batch = images(model, 2)
    maps = hooked.deployed.compile()({"image": batch.astype(np.float16)})["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(case.build(1, 17), case.layer, case.score).raw(batch), rtol=16 * 2.0**-11)


IN_HALVES = STEM + "p = ReduceMean<keepdims=0>(f, cells) logits = Gemm<transB=1>(p, w, b)"


def test_a_hook_rounds_nothing_that_onnx_runtime_computes_in_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes half precision in f32 where it has no kernel, and rounds what a transpose reads."""
    weights = {"w0": (32, 3, 3, 3), "w": (60, 32), "b": (60,), "cells": np.array([2, 3])}
    plain = tiny(IN_HALVES, opset=18, image=(3, 12, 16), output="float[B,60] logits", **weights)
    model = as_type(plain, onnx.TensorProto.FLOAT16)
    hooked = xai.insert(model, layer="f")
    batch = images(model, 2).astype(np.float16)
    np.testing.assert_array_equal(
        hooked.deployed.compile()({"image": batch})["logits"], open_model(model).compile()({"image": batch})["logits"]
    )
    restored = unhooked(open_model(hooked.model)).object()
    assert [node.op_type for node in restored.graph.node] == [node.op_type for node in model.graph.node]
    monkeypatch.setattr("openvino_xai.plan.emit._Emitter._read", lambda self, value: value.native)
    with pytest.raises(OutputsChanged, match="output 'logits' changed by up to .* in onnxruntime"):
        xai.insert(model, layer="f")


@pytest.mark.parametrize("name", ["mlp head", "3x3 convolution after the layer"])
@pytest.mark.slow
def test_a_model_that_is_bfloat16_throughout(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = in_dialect(as_type(case.build("B", 17), onnx.TensorProto.BFLOAT16), "openvino")
    hooked = xai.insert(model, layer=case.layer, scale="none")
    path = hooked.save(tmp_path / "model.xml")
    batch = images(case.build("B", 17), 2)
    outputs = xai.load(path)(batch)
    assert [str(value.dtype_in_file) for value in hooked.deployed.graph.outputs.values()] == ["bfloat16", "float32"]
    raw = Oracle(case.build(1, 17), case.layer, case.score).raw(batch)
    np.testing.assert_allclose(outputs["saliency_map"], raw, rtol=4 * 2.0**-8)
    np.testing.assert_array_equal(outputs["logits"], open_model(model).compile()({"image": batch})["logits"])


def test_constants_in_bfloat16_are_read_and_copied_as_they_are() -> None:
    numbers = np.array([1.5, -0.337, 3e38, 1e-40, 0], np.float32)
    rounded = numbers.astype(ml_dtypes.bfloat16).astype(np.float32)
    constant = constant_of(numbers, ov.Type.bf16)
    np.testing.assert_array_equal(content_of(constant), rounded)
    np.testing.assert_array_equal(content_of(constant_of(content_of(constant), ov.Type.bf16)), rounded)
    plain = op.constant(constant.get_data(), ov.Type.bf16)  # what OpenVINO calls float16 are bits of something else
    assert not np.array_equal(content_of(plain), rounded, equal_nan=True)


def test_bfloat16_in_onnx_is_refused_with_a_way_out() -> None:
    model = as_type(CASES["pool and linear"].build("B", 17), onnx.TensorProto.BFLOAT16)
    with pytest.raises(ModelError, match="output 'logits' holds bfloat16, which ONNX Runtime's .*: make an IR of the model"):
        xai.insert(model)


def with_weights(text: str, **more: np.ndarray) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(7)
    arrays = {name: rng.normal(0.1, 0.7, size).astype(np.float32) for name, size in LINEAR.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in {**arrays, **more}.items())
    return model


END = "v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
HEADER = '<ir_version: 8, opset_import: ["":17, "local":1]> net (float[B,3,6,8] image) => (float[B,5] logits) '
PLAIN = tiny(STEM + "p = GlobalAveragePool(f) " + END, **LINEAR)


def test_functions_are_written_out() -> None:
    body = HEADER + "{" + STEM + "g = local.act(f) p = GlobalAveragePool(g) " + END + "}"
    function = '<domain: "local", opset_import: ["":17]> act (x) => (y) { y = Identity(x) }'
    hooked = xai.insert(with_weights(body + function))
    batch = images(PLAIN, 2)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], Oracle(PLAIN, "f").unit(batch), atol=2e-4)


DROPOUT = (
    "g = If (cond) <then_branch = one () => (float[B,4,6,8] d) { d = Neg(f) }, "
    "else_branch = two () => (float[B,4,6,8] e) { e = Identity(f) }> p = GlobalAveragePool(g) "
)
SQUEEZE = (
    "q = GlobalAveragePool(f) sh = Shape(q) last = Gather<axis=0>(sh, three) cond = Equal(last, unit) "
    "p = If (cond) <then_branch = one () => (float[B,4,1] d) { d = Squeeze(q, three1) }, "
    "else_branch = two () => (float[B,4,1,1] e) { e = Identity(q) }> "
)
ONES = {"three": np.array(3), "unit": np.array(1), "three1": np.array([3])}


@pytest.mark.parametrize(("body", "more"), [(DROPOUT, {"cond": np.array(False)}), (SQUEEZE, ONES)], ids=["constant", "a size"])
def test_a_branch_that_every_run_takes_is_put_in_its_place(body: str, more: dict[str, np.ndarray]) -> None:
    model = with_weights(HEADER + "{" + STEM + body + END + "}", **more)
    hooked = xai.insert(model)
    batch = images(PLAIN, 2)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], Oracle(PLAIN, "f").unit(batch), atol=2e-4)


def test_a_branch_that_depends_on_the_image_is_refused_by_name() -> None:
    body = "top = ReduceMax<keepdims=0>(image) cond = Greater(top, zero) " + DROPOUT
    model = with_weights(HEADER + "{" + STEM + body + END + "}", zero=np.array(0, np.float32))
    with pytest.raises(LayerError, match=r"'f' cannot carry a hook: .* 'cond' bypasses it and enters 'g' \(If\)"):
        xai.insert(model, layer="f")


def test_integer_convolutions_are_refused_by_name() -> None:
    body = (
        "c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) q = QuantizeLinear(f, scale, zero) "
        "y = ConvInteger(q, w8, zero, zero) i = Cast<to=1>(y) r = Mul(i, scale) p = GlobalAveragePool(r) "
    )
    more = {"scale": np.array(0.05, np.float32), "zero": np.array(128, np.uint8), "w8": np.full((4, 4, 1, 1), 140, np.uint8)}
    model = with_weights(HEADER + "{" + body + END + "}", **more)
    with pytest.raises(PlanError, match=r"'y' \(ConvInteger\) cannot be repeated over rows"):
        xai.insert(model, layer="f")


COUNTED = (
    "p = GlobalAveragePool(f) sh = Shape(image) n = Gather<axis=0>(sh, first) flat = Reshape(p, whole) "
    "r = Range(first, n, unit) r4 = Mul(r, four) ru = Unsqueeze(r4, more) at = Add(ru, {}) g = Gather(flat, at) "
)
ORDERS = {"in order": np.arange(4), "in another order": np.array([1, 0, 2, 3])}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_gather_that_counts_up_is_a_reshape(order: str, dialect: str) -> None:
    """As exporters write what was strided; any other gather over a batch that is flattened is refused by name."""
    more = {
        "first": np.array(0), "whole": np.array([-1]), "unit": np.array(1), "four": np.array(4), "more": np.array([1]),
        "order": ORDERS[order][None],
    }  # fmt: skip
    body = COUNTED.format("order") + "logits = Gemm<transB=1>(g, w, b)"
    model = in_dialect(with_weights(HEADER + "{" + STEM + body + "}", **more), dialect)
    if order == "in order":
        hooked = xai.insert(model)
        batch = images(PLAIN, 2)
        np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], Oracle(PLAIN, "f").unit(batch), atol=2e-4)
    else:
        with pytest.raises(PlanError, match=r"'g' \(Gather\) cannot be repeated over rows"):
            xai.insert(model)


@pytest.mark.slow
@pytest.mark.parametrize("size", [6, 3])
def test_an_average_to_a_size_that_is_told(size: int) -> None:
    """OpenVINO's converter leaves it in, as in AlexNet, where it averages nothing, for images of the usual size."""
    image = op.parameter([-1, 3, 6, 6], np.float32, "image")
    features = op.relu(op.multiply(image, np.array([1.5, -1, 2], np.float32).reshape(1, 3, 1, 1)))
    features.set_friendly_name("f")
    pooled = op.adaptive_avg_pool(features, np.array([size, size], np.int64))
    weights = np.random.default_rng(0).normal(size=(5, 3 * size * size)).astype(np.float32)
    logits = op.matmul(op.reshape(op.tanh(pooled), np.array([0, 3 * size * size]), True), weights, False, True)
    logits.output(0).set_names({"logits"})
    model = ov.Model([logits], [image], "adaptive")
    hooked = xai.insert(model, layer="f", scale="none", score="logit")
    batch = np.random.default_rng(1).normal(size=(2, 3, 6, 6)).astype(np.float32)
    results = xai.load(hooked)(batch)["saliency_map"]
    for h, w in np.ndindex(6, 6):
        masked = np.zeros_like(batch)
        masked[:, :, h, w] = np.maximum(batch[:, :, h, w] * [1.5, -1, 2], 0)
        block = masked.reshape(2, 3, size, 6 // size, size, 6 // size).mean(axis=(3, 5))
        np.testing.assert_allclose(results[:, :, h, w], np.tanh(block).reshape(2, -1) @ weights.T, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_saliency_map_of_its_own_is_not_taken_for_a_hooks(dialect: str) -> None:
    """OTX exports such models: clients would not know which of two they read."""
    model = tiny(
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w, b) saliency_map = Abs(f)", **LINEAR
    )
    model.graph.output.append(onnx.helper.make_tensor_value_info("saliency_map", onnx.TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="the model has 'saliency_map' already"):
        xai.insert(in_dialect(model, dialect), layer="f")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_method_of_rows_says_that_cells_are_rows(dialect: str) -> None:
    """A map of scores without boxes beside it, as FOMO's, may be of pixels as well."""
    body, weights = STEM + "logits = Conv(f, w1, b)", {**LINEAR, "w1": (CLASSES, 4, 1, 1)}
    model = in_dialect(tiny(body, output="float[B,5,6,8] logits", **weights), dialect)
    assert xai.insert(model).record["method"] == "layer_cam"
    hooked = xai.insert(model, method="class_map", scale="none")
    batch = images(tiny(body, output="float[B,5,6,8] logits", **weights), 2)
    outputs = xai.load(hooked)(batch)
    np.testing.assert_array_equal(outputs["saliency_map"], outputs["logits"])


TURNED = STEM + "g = Gather<axis=3>(f, turned) t = Gather<axis=2>(g, mixed) "
AMONG = {"turned": np.arange(8)[::-1].copy(), "mixed": np.array([5, 4, 3, 2, 1, 0])}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("flat", [False, True])
def test_cells_that_cannot_be_followed_are_told(flat: bool, dialect: str) -> None:
    layer, laid = ("r", "r = Reshape(t, flat) ") if flat else ("t", "")
    pooled = f"p = ReduceMean<axes=[{'2' if flat else '2,3'}], keepdims=0>({layer}) logits = Gemm<transB=1>(p, w, b)"
    weights = {**LINEAR, **AMONG, **({"flat": np.array([0, 0, -1])} if flat else {})}
    model = tiny(TURNED + laid + pooled, **weights)
    batch = images(model, 2)
    with pytest.raises(LayerError, match="say them") as refusal:
        xai.insert(in_dialect(model, dialect), layer=layer)
    assert "cells" in refusal.value.options
    oracle = Oracle(tiny(TURNED + pooled.replace("(r)", "(t)").replace("[2]", "[2,3]"), batch=1, **LINEAR, **AMONG), "t")
    actual = maps_of(in_dialect(model, dialect), batch, layer=layer, cells="6x8")
    np.testing.assert_allclose(actual, oracle.unit(batch), atol=TOLERANCE)
    with pytest.raises(LayerError, match="no places for 5 x 8 cells"):
        xai.insert(in_dialect(model, dialect), layer=layer, cells=(5, 8))
    with pytest.raises(InputError, match="those of a layer: name it"):
        xai.insert(in_dialect(model, dialect), cells=(6, 8))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "pool",
    [
        "p = MaxPool<kernel_shape=[8,10], pads=[1,1,1,1]>(f)",
        "p = MaxPool<kernel_shape=[6,8], ceil_mode=1>(f)",
        "p = MaxPool<kernel_shape=[7,9], strides=[9,9], pads=[1,0,0,1]>(f)",
        "p = AveragePool<kernel_shape=[8,10], pads=[1,1,1,1]>(f)",
    ],
)
def test_a_pool_whose_window_covers_all_cells_is_a_reduction(pool: str, dialect: str) -> None:
    body = STEM + pool + " v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    model = tiny(body, **LINEAR)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="f")
    assert (hooked.layer.cost or 9) < 3  # a map for each cell would be multiplied out, 48 times the pool and more
    expected = Oracle(tiny(body, batch=1, **LINEAR), "f").unit(batch)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], expected, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_next_layer_is_taken_where_the_best_cannot_be_planned(dialect: str) -> None:
    body = STEM + "t = Transpose<perm=[1,0,2,3]>(f) p = ReduceMean<axes=[2,3], keepdims=0>(t) v = Transpose<perm=[1,0]>(p) "
    body += "logits = Gemm<transB=1>(v, w, b)"
    model = tiny(body, **LINEAR)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), method="activation_map")
    assert hooked.layer.name == "f"
    assert "'t': layer 't' " in (hooked.layer.instead_of or "")
    assert "batch on axis 1" in (hooked.layer.instead_of or "")
    here = xai.insert(in_dialect(model, dialect), method="activation_map", layer="f")
    np.testing.assert_array_equal(xai.load(hooked)(batch)["saliency_map"], xai.load(here)(batch)["saliency_map"])
    with pytest.raises(PlanError, match="batch on axis 1"):  # who names a layer means it
        xai.insert(in_dialect(model, dialect), method="activation_map", layer="t")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_masks_are_for_a_batch_on_any_axis(dialect: str) -> None:
    body = STEM + "t = Transpose<perm=[1,0,2,3]>(f) p = ReduceMean<axes=[2,3], keepdims=0>(t) v = Transpose<perm=[1,0]>(p) "
    model = tiny(body + "logits = Gemm<transB=1>(v, w, b)", **LINEAR)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect))
    assert hooked.layer.name == "t"
    expected = Oracle(model, "f").unit(batch)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], expected, atol=TOLERANCE)


META = "m = Gemm(told, wm) r = Relu(m) j = Concat<axis=1>(v, r) h = Gemm(j, wh) e = Relu(h) logits = Gemm<transB=1>(e, w, b)"
META_WEIGHTS = {**LINEAR, "wm": (3, 6), "wh": (10, 4)}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 1, 3])
def test_what_is_told_of_an_image_goes_through_layers_of_its_own(batch: int | str, dialect: str) -> None:
    """Each image of a batch, asked alone with its own numbers, one cell at a time."""
    count = 3 if batch == "B" else int(batch)
    model = tiny(POOLED + META, batch=batch, inputs=f"float[{batch},3] told", **META_WEIGHTS)
    single = tiny(POOLED + META, batch=1, inputs="float[1,3] told", **META_WEIGHTS)
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(single))
    trunk = onnx.reference.ReferenceEvaluator(extractor.extract_model(["image"], ["f"]))
    tail = onnx.reference.ReferenceEvaluator(extractor.extract_model(["f", "told"], ["logits"]))
    batches, numbers = images(model, count), np.random.default_rng(1).normal(0, 2, (count, 3)).astype(np.float32)
    hooked = xai.insert(in_dialect(model, dialect), scale="none", score="logit", layer="f")
    maps = hooked.deployed.compile()({"image": batches, "told": numbers})["saliency_map"]
    for image in range(count):
        f = trunk.run(None, {"image": batches[image : image + 1]})[0]
        for h, w in np.ndindex(6, 8):
            cell = np.zeros_like(f)
            cell[:, :, h, w] = f[:, :, h, w]
            y = tail.run(None, {"f": cell, "told": numbers[image : image + 1]})[0]
            np.testing.assert_allclose(maps[image, :, h, w], y[0], atol=1e-5)


def test_open_sizes_of_two_inputs_that_nothing_ties_are_told_as_such() -> None:
    body = POOLED + "g = Gemm(told, wm) s = Sigmoid(g) j = Mul(v, s) logits = Gemm<transB=1>(j, w, b)"
    model = in_dialect(tiny(body, inputs="float[B,3] told", **{**LINEAR, "wm": (3, 4)}), "openvino")
    with pytest.raises(PlanError, match="does not say that open sizes of two inputs are one"):
        xai.insert(model, layer="f", method="grad_cam")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", ["g = GridSample(f, grid)", "g = GatherElements<axis=3>(f, places)"])
def test_places_that_a_model_has_for_its_only_image_are_those_of_every_row(body: str, dialect: str) -> None:
    rng = np.random.default_rng(3)
    there = {"grid": rng.uniform(-1, 1, (1, 6, 8, 2)).astype(np.float32), "places": rng.integers(0, 8, (1, 4, 6, 5))}
    weights = {"w0": (4, 3, 3, 3), "w": (4, 5), **{name: array for name, array in there.items() if name in body}}
    model = tiny(f"{STEM} {body} p = GlobalAveragePool(g) v = Flatten(p) logits = MatMul(v, w)", batch=1, **weights)
    photo = images(model, 1)
    np.testing.assert_allclose(
        maps_of(in_dialect(model, dialect), photo, layer="f"), Oracle(model, "f").unit(photo), atol=TOLERANCE
    )
    xai.insert(in_dialect(model, dialect), layer="f", method="layer_cam")  # verified by the slope


def pooled_by(pool: Callable[[ov.Node, int], ov.Output], sizes: tuple[int, ...]) -> ov.Model:
    """A convolution of [B, 3, 6, 8], normalised over channels, and the largest of its blocks of each size."""
    rng = np.random.default_rng(0)
    image = op.parameter([-1, 3, 6, 8], np.float32, "image")
    image.output(0).get_tensor().set_names({"image"})
    kernel = rng.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)
    f = op.grn(op.relu(op.convolution(image, kernel, [1, 1], [1, 1], [1, 1], [1, 1])), 0.5)
    f.set_friendly_name("f")
    joined = op.concat([op.reshape(pool(f, size), np.array([0, -1]), True) for size in sizes], 1)
    width = sum(4 * size**2 for size in sizes)
    scores = op.matmul(joined, rng.normal(0, 0.5, (width, 5)).astype(np.float32), False, False)
    return ov.Model([scores], [image])


@pytest.mark.slow
def test_a_pool_to_a_size_is_one_of_windows() -> None:
    """As PyTorch's AdaptiveMaxPool2d, where the windows lie side by side."""

    def adaptive(x: ov.Node, size: int) -> ov.Output:
        return op.adaptive_max_pool(x, np.array([size, size]), "i32").output(0)

    def windows(x: ov.Node, size: int) -> ov.Output:
        kernel = [6 // size, 8 // size]
        return op.max_pool(x, kernel, [1, 1], [0, 0], [0, 0], kernel).output(0)

    photos = np.random.default_rng(1).normal(0, 1, (2, 3, 6, 8)).astype(np.float32)
    for method in ("reciprocam", "layer_cam"):
        results = [maps_of(pooled_by(pool, (1, 2)), photos, layer="f", method=method) for pool in (adaptive, windows)]
        np.testing.assert_allclose(*results, atol=TOLERANCE)
    with pytest.raises(PlanError, match=r"\(AdaptiveMaxPool\) cannot be repeated over rows"):
        xai.insert(pooled_by(adaptive, (1, 4)), layer="f")
