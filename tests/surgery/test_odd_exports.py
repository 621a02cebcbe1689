"""Models as they come out of exporters and converters: explained exactly, or refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as op
import pytest
from tiny import CASES, CLASSES, DIALECTS, LINEAR, STEM, Case, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.errors import ModelError

TOLERANCE = 2e-4
POOLED = STEM + "p = GlobalAveragePool(f) v = Flatten(p) "


def maps_of(model: object, batch: np.ndarray, **options: object) -> np.ndarray:
    hooked = xai.insert(model, **options)  # type: ignore[arg-type]
    plain, new = xai.load(model)(batch), xai.load(hooked)(batch)  # type: ignore[arg-type]
    for name, array in plain.items():
        np.testing.assert_array_equal(new[name], array)
    return new["saliency_map"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_logit_is_read_through_a_sigmoid(dialect: str) -> None:
    case = Case("f", POOLED + "logits = Gemm<transB=1>(v, w, b)", {**LINEAR, "w": (1, 4), "b": (1,)})
    model = tiny(case.body, output="float[B,1] logits", **case.weights)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="f")
    assert hooked.record["score"] == "sigmoid"
    one = tiny(case.body, batch=1, output="float[B,1] logits", **case.weights)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], Oracle(one, "f", "sigmoid").unit(batch), atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_with_trailing_axes(dialect: str) -> None:
    body, weights = STEM + "p = GlobalAveragePool(f) logits = Conv(p, w1, b)", {**LINEAR, "w1": (CLASSES, 4, 1, 1)}
    model = tiny(body, output="float[B,5,1,1] logits", **weights)
    batch = images(model, 2)
    one = tiny(body, batch=1, output="float[B,5,1,1] logits", **weights)
    np.testing.assert_allclose(maps_of(in_dialect(model, dialect), batch), Oracle(one, "f").unit(batch), atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_log_softmax_inside(dialect: str) -> None:
    body = POOLED + "g = Gemm<transB=1>(v, w, b) logits = LogSoftmax<axis=-1>(g)"
    batch = images(tiny(body, **LINEAR), 2)
    expected = Oracle(tiny(body, batch=1, **LINEAR), "f").unit(batch)
    np.testing.assert_allclose(maps_of(in_dialect(tiny(body, **LINEAR), dialect), batch), expected, atol=TOLERANCE)


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
    given = in_dialect(model, dialect)
    with pytest.raises(ModelError, match=r"2 inputs that can be an image, 1 is expected.*--image-input NAME"):
        xai.insert(given)
    # what comes from the other image is not known when the hook runs over rows: refused, by name
    with pytest.raises(xai.OvxaiError, match=r"'s' \(Add\) cannot be repeated over rows: its operand 'q'"):
        xai.insert(given, image_input="image", layer="f")
    with pytest.raises(ModelError, match="0 inputs called 'third'"):
        xai.insert(given, image_input="third")


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
    whole = xai.insert(ending_in(bytes_of), layer="f")
    assert whole.record["score"] == "softmax"
    results = xai.load(whole)(batch)
    assert results["scores"].dtype == np.uint8
    assert len(np.unique(results["saliency_map"])) > 20
    unquantised = xai.load(xai.insert(ending_in(probable), layer="f"))(batch)
    np.testing.assert_allclose(results["saliency_map"], unquantised["saliency_map"], atol=TOLERANCE)
