"""Gradients of the image as an output of a deployed file: against differences of what the plain model computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx.reference import ReferenceEvaluator
from openvino.preprocess import PrePostProcessor
from tails import CASES as TAILS
from tails import jacobian, slopes
from tiny import CLASSES, DIALECTS, HEAD, LINEAR, STEM, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, LayerError, ModelError, PlanError, TooLarge, VerificationError
from openvino_xai.operations.table import OPERATIONS
from openvino_xai.record.removal import unhooked
from openvino_xai.verify.elements import hold_completeness

NAME = "squeeze and excite"
BODY = STEM + "d = Conv<group=2, strides=[2,1], pads=[1,1,1,1]>(f, w1) t = Tanh(d) " + HEAD.format("t")
WEIGHTS = {**LINEAR, "w1": (4, 2, 3, 3)}
IMAGES = np.random.default_rng(4).normal(0, 1, (3, 3, 6, 8)).astype(np.float32)


def differences(model: onnx.ModelProto, image: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """[K, ...]: how the logits of one image [1, ...] move with each element of it."""
    run = ReferenceEvaluator(model)
    moved = np.zeros((CLASSES, *image.shape[1:]))
    for place in np.ndindex(*image.shape[1:]):
        ends = []
        for sign in (1, -1):
            other = image.copy()
            other[(0, *place)] += sign * step
            ends.append(run.run(None, {"image": other})[0].reshape(-1).astype(np.float64))
        moved[(slice(None), *place)] = (ends[0] - ends[1]) / (2 * step)
    return moved


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["B", 3])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gradient_is_the_slope_of_each_score_by_each_element(dialect: str, batch: int | str) -> None:
    hooked = xai.insert(in_dialect(tiny(BODY, batch=batch, **WEIGHTS), dialect), method="input_gradient", targets="all")
    assert hooked.record["gradient"].endswith(f", {CLASSES}, 3, 6, 8]")
    plain, outputs = xai.load(unhooked(hooked.deployed).object()), xai.load(hooked)(IMAGES)
    assert list(outputs) == ["logits", "saliency_map", "gradient"]
    np.testing.assert_array_equal(outputs["logits"], plain(IMAGES)["logits"])
    true = np.stack([differences(tiny(BODY, batch=1, **WEIGHTS), image[None]) for image in IMAGES])
    assert np.abs(true).max() > 0.01
    np.testing.assert_allclose(outputs["gradient"], true, atol=2e-3 * np.abs(true).max())
    largest = np.abs(outputs["gradient"]).max(axis=2)
    low, high = (end(largest, axis=(2, 3), keepdims=True) for end in (np.min, np.max))
    np.testing.assert_allclose(outputs["saliency_map"], (largest - low) / (high - low), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_image_alone_has_the_same_gradient(dialect: str) -> None:
    network = xai.load(xai.insert(in_dialect(tiny(BODY, **WEIGHTS), dialect), method="input_gradient", targets="0,3"))
    alone = np.concatenate([network(image[None])["gradient"] for image in IMAGES])
    np.testing.assert_allclose(network(IMAGES)["gradient"], alone, atol=1e-6 * np.abs(alone).max())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["all", "top:2", "asked", "4"])
@pytest.mark.parametrize("scale", ["unit", "u8", "none"])
def test_what_is_explained_and_how_maps_are_scaled(dialect: str, targets: str, scale: str) -> None:
    model = tiny(BODY, **WEIGHTS)
    all_classes = xai.load(xai.insert(in_dialect(model, dialect), method="input_gradient", targets="all"))(IMAGES)["gradient"]
    hooked = xai.insert(in_dialect(model, dialect), method="input_gradient", targets=targets, scale=scale)
    network = xai.load(hooked)
    wanted = np.array([1, CLASSES - 1, CLASSES])  # of which the last is not there
    outputs = network(IMAGES, classes=wanted) if targets == "asked" else network(IMAGES)
    ids = {"all": np.tile(np.arange(CLASSES), (3, 1)), "asked": wanted[:, None], "4": np.full((3, 1), 4)}
    classes = outputs["saliency_class"] if targets == "top:2" else ids[targets]
    for image, row in enumerate(classes):
        for index, k in enumerate(row):
            true = all_classes[image, k] if k < CLASSES else np.zeros_like(all_classes[image, 0])
            np.testing.assert_allclose(outputs["gradient"][image, index], true, atol=1e-5)
            if scale == "none":
                np.testing.assert_allclose(outputs["saliency_map"][image, index], np.abs(true).max(axis=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_probabilities_have_a_gradient_of_their_own(dialect: str) -> None:
    model = tiny(BODY, **WEIGHTS)
    logits = xai.load(xai.insert(in_dialect(model, dialect), method="input_gradient", targets="all"))(IMAGES)
    hooked = xai.insert(in_dialect(model, dialect), method="input_gradient", targets="all", score="softmax")
    p = np.exp(logits["logits"]) / np.exp(logits["logits"]).sum(axis=1, keepdims=True)
    g = logits["gradient"]
    true = p[:, :, None, None, None] * (g - np.einsum("bk,bkchw->bchw", p, g)[:, None])
    np.testing.assert_allclose(xai.load(hooked)(IMAGES)["gradient"], true, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gate_leaves_gradients_out(dialect: str) -> None:
    model = in_dialect(tiny(BODY, **WEIGHTS), dialect)
    all_images = xai.load(xai.insert(model, method="input_gradient"))(IMAGES)
    some = xai.load(xai.insert(model, method="input_gradient", gate=True))(IMAGES, explain=np.array([True, False, True]))
    np.testing.assert_allclose(some["gradient"][[0, 2]], all_images["gradient"][[0, 2]], atol=1e-6)
    assert not some["gradient"][1].any()


def by_image(images: np.ndarray) -> np.ndarray:
    """[B, K, C, H, W]: slopes of logits by the image, through the 1x1 convolution ahead of the tail."""
    tensors = TAILS[NAME].model().graph.initializer
    gain = onnx.numpy_helper.to_array(next(item for item in tensors if item.name == "gain"))[:, :, 0, 0].astype(np.float64)
    return np.einsum("oi,bkohw->bkihw", gain, jacobian(NAME, np.einsum("oi,bihw->bohw", gain, images)))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("baseline", [None, 0.5, (0.1, -0.4, 0.7, 0.2)])
def test_integrated_gradients_are_the_mean_on_the_way_times_how_far_it_is(dialect: str, baseline: Any) -> None:
    image, steps = slopes(NAME).image, 3
    start = np.array(0.0 if baseline is None else baseline, np.float64).reshape(-1, 1, 1)
    mean = sum(by_image(start + (image - start) * share) for share in (1 / 6, 3 / 6, 5 / 6)) / steps
    true = (image - start)[:, None] * mean
    model = in_dialect(TAILS[NAME].model("B"), dialect)
    hooked = xai.insert(model, method="integrated_gradients", steps=steps, baseline=baseline, targets="all", scale="none")
    outputs = xai.load(hooked)(image)
    np.testing.assert_allclose(outputs["gradient"], true, atol=1e-4 * np.abs(true).max())
    np.testing.assert_allclose(outputs["saliency_map"], np.abs(true.sum(axis=2)), atol=2e-4 * np.abs(true).max())
    assert hooked.record["steps"] == "3" and hooked.verified is not None and 0 <= hooked.verified.incompleteness < 1


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_attributions_add_up_to_what_the_score_gains(dialect: str) -> None:
    hooked = xai.insert(in_dialect(tiny(BODY, **WEIGHTS), dialect), method="integrated_gradients", steps=100, baseline="1,0,-1")
    network = xai.load(hooked)
    outputs, start = network(IMAGES), np.broadcast_to(np.float32([1, 0, -1]).reshape(3, 1, 1), IMAGES.shape)
    k = outputs["saliency_class"][:, 0]
    gained = (outputs["logits"] - network(np.ascontiguousarray(start))["logits"])[np.arange(3), k]
    np.testing.assert_allclose(outputs["gradient"].sum(axis=(1, 2, 3, 4)), gained, atol=0.01 * np.abs(gained).max())


def of_bytes() -> ov.Model:
    """The model for bytes [B, H, W, 3], which it converts, normalises and lays out."""
    model = in_dialect(tiny(BODY, **WEIGHTS), "openvino")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean([100.0, 110, 120]).scale([50.0, 60, 70])
    return steps.build()


@pytest.mark.slow
def test_what_normalises_inside_counts_and_axes_are_those_of_the_input() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 6, 8, 3)).astype(np.uint8)
    outputs = xai.load(xai.insert(of_bytes(), method="input_gradient", targets="all"))(pixels)
    fed = ((pixels - np.array([100.0, 110, 120])) / [50, 60, 70]).transpose(0, 3, 1, 2).astype(np.float32)
    true = xai.load(xai.insert(tiny(BODY, **WEIGHTS), method="input_gradient", targets="all"))(fed)["gradient"]
    true = true.transpose(0, 1, 3, 4, 2) / [50, 60, 70]  # a step of one in a byte
    assert outputs["gradient"].shape == (2, CLASSES, 6, 8, 3)
    np.testing.assert_allclose(outputs["gradient"], true, atol=1e-5 * np.abs(true).max() + 1e-7)


@pytest.mark.slow
def test_the_way_of_bytes_is_one_of_floats() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 6, 8, 3)).astype(np.uint8)
    network = xai.load(xai.insert(of_bytes(), method="integrated_gradients", steps=100, baseline=[100, 110, 120]))
    outputs, start = network(pixels), np.broadcast_to(np.uint8([100, 110, 120]), pixels.shape)
    gained = outputs["logits"] - network(np.ascontiguousarray(start))["logits"]
    gained = gained[[0, 1], outputs["saliency_class"][:, 0]]
    np.testing.assert_allclose(outputs["gradient"].sum(axis=(1, 2, 3, 4)), gained, atol=0.01 * np.abs(gained).max())


def test_bytes_that_are_moved_before_they_are_floats_are_refused() -> None:
    body = "i = Transpose<perm=[0,3,1,2]>(image) x = Cast<to=1>(i) " + BODY.replace("image", "x")
    model = tiny(body, image=(6, 8, 3), **WEIGHTS)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    with pytest.raises(LayerError, match=r"holds uint8, .* floats of it first; here 'i' \(Transpose\) reads it"):
        xai.insert(model, method="input_gradient")


@pytest.mark.parametrize("method", ["input_gradient", "integrated_gradients"])
def test_what_rounds_is_refused_by_name(method: str) -> None:
    body = "q = QuantizeLinear(image, s, z) x = DequantizeLinear(q, s, z) " + BODY.replace("image", "x")
    model = tiny(body, s=np.array(0.1, np.float32), z=np.array(0, np.int8), **WEIGHTS)
    with pytest.raises(PlanError, match=r"\(QuantizeLinear\) rounds, .*no gradient of this model") as error:
        xai.insert(model, method=method)
    assert error.value.node is not None
    rounded = tiny("i = Cast<to=6>(image) x = Cast<to=1>(i) " + BODY.replace("image", "x"), **WEIGHTS)
    with pytest.raises(PlanError, match=r"\(Cast\) rounds"):
        xai.insert(rounded, method=method)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": "f"}, "explains the image itself, and looks at no layer: leave layer 'f' out"),
        ({"grid": "2x2"}, "a grid is for layers"),
        ({"feature_vector": True}, "a feature-vector is for layers"),
        ({"steps": 5}, "steps is '?5'?, which is for integrated_gradients alone: input_gradient takes no way"),
        ({"method": "integrated_gradients", "steps": 10_001}, "steps is .*1 to 10000 is expected"),
        ({"method": "integrated_gradients", "baseline": "a\n"}, r"the baseline is 'a\\n'.*one for each channel"),
        ({"method": "integrated_gradients", "baseline": float("nan")}, "the baseline is"),
        ({"method": "integrated_gradients", "baseline": []}, "the baseline is"),
        ({"method": "integrated_gradients", "baseline": "1,2"}, "the baseline has 2 numbers, and 'image' 3 channels"),
        ({"method": None, "baseline": 0}, "ask for it with method integrated_gradients"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, LayerError), match=said):
        xai.insert(tiny(BODY, **WEIGHTS), **{"method": "input_gradient", **options})


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["tanh", "conv"])
def test_a_gradient_that_is_wrong_is_not_written(dialect: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = OPERATIONS[kind]
    assert operation.adjoint is not None
    rule = operation.adjoint
    wrong = replace(operation, adjoint=lambda at, index, g: at.xp.multiply(rule(at, index, g), 1.5))
    monkeypatch.setitem(OPERATIONS, kind, wrong)  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match="is not the slope of its score"):
        xai.insert(in_dialect(tiny(BODY, **WEIGHTS), dialect), method="input_gradient")


def test_attributions_that_do_not_add_up_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(original: Any, inputs: Any, attributions: np.ndarray, chosen: Any) -> float:
        return hold_completeness(original, inputs, attributions * 0.5, chosen)

    monkeypatch.setattr("openvino_xai.verify.hook.hold_completeness", halved)
    with pytest.raises(VerificationError, match=r"the attributions of class \d add up to .* cannot be trusted"):
        xai.insert(tiny(BODY, **WEIGHTS), method="integrated_gradients", steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_file_is_explained_and_its_hook_taken_off(dialect: str, tmp_path: Path) -> None:
    model = in_dialect(tiny(BODY, **WEIGHTS), dialect)
    hooked = xai.insert(model, method="input_gradient")
    path = hooked.save(tmp_path / f"g{hooked.deployed.suffix}")
    explanation = xai.load(path).explain(np.zeros((6, 8, 3), np.uint8))
    assert explanation.maps.shape == (1, 6, 8) and explanation.record["gradient"].endswith(", 1, 3, 6, 8]")
    plain = unhooked(open_model(path))
    assert list(plain.graph.outputs) == ["logits"] and not plain.info("ovxai")


@pytest.mark.parametrize(("entry", "text"), [("steps", "-1"), ("layer", "nowhere"), ("targets", "all")])
def test_a_record_that_is_not_true_is_refused(entry: str, text: str) -> None:
    deployed = xai.insert(tiny(BODY, **WEIGHTS), method="input_gradient").deployed
    deployed.set_info("ovxai", {**deployed.info("ovxai"), entry: text})
    with pytest.raises(ModelError, match="the record of the model's hook is not true"):
        xai.load(deployed.object())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_head_has_a_gradient_of_its_own(dialect: str) -> None:
    body = BODY + " more = Gemm<transB=1>(v, w2)"
    model = tiny(body, output="float[B,5] logits, float[B,2] more", w2=(2, 4), **WEIGHTS)
    hooked = xai.insert(in_dialect(model, dialect), method="input_gradient", scores=["logits", "more"], targets="all")
    names = list(hooked.deployed.graph.outputs)
    assert set(names) == {"logits", "more", "saliency_map_logits", "saliency_map_more", "gradient_logits", "gradient_more"}
    heads = xai.load_heads(hooked)
    alone = xai.load(xai.insert(in_dialect(model, dialect), method="input_gradient", scores="more", targets="all"))
    np.testing.assert_allclose(heads["more"](IMAGES)["gradient"], alone(IMAGES)["gradient"], atol=1e-6)


@pytest.mark.slow
def test_boxes_have_no_gradient_of_the_image() -> None:
    with pytest.raises(InputError, match="input_gradient is not for the rows of a detector: .* hires_cam"):
        xai.insert(Path(__file__).parents[2] / "samples" / "models" / "ultraface_rfb320.xml", method="input_gradient")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["vector", "0,2", "top:2", "asked"])
@pytest.mark.parametrize("method", ["input_gradient", "integrated_gradients"])
def test_vectors_and_regions_have_gradients_that_are_verified(dialect: str, targets: str, method: str) -> None:
    features = "f = Conv<pads=[1,1,1,1]>(image, k) g = Tanh(f) "
    if targets == "vector":
        body = features + "p = GlobalAveragePool(g) logits = Flatten(p)"
        model = tiny(body, image=(3, 24, 24), output="float[B,8] logits", k=(8, 3, 3, 3))
    else:
        body = features + "logits = Conv<pads=[1,1,1,1]>(g, c)"
        model = tiny(body, image=(3, 24, 24), output="float[B,4,24,24] logits", k=(8, 3, 3, 3), c=(4, 8, 3, 3))
    steps = {"steps": 3} if method == "integrated_gradients" else {}
    hooked = xai.insert(in_dialect(model, dialect), method=method, targets=targets, **steps)
    count = 1 if targets in ("vector", "asked") else 2
    assert hooked.verified is not None and hooked.record["gradient"].endswith(f", {count}, 3, 24, 24]")


def test_what_is_too_large_for_memory_says_what_takes_less() -> None:
    with pytest.raises(TooLarge, match="integrated_gradients makes a value of .* fewer targets or steps take less"):
        xai.insert(tiny(BODY, **WEIGHTS), method="integrated_gradients", max_memory=10_000)


def test_what_has_no_derivative_is_named_and_no_other_layer_taken() -> None:
    model = tiny("r = Round(image) x = Add(r, image) " + BODY.replace("image", "x"), **WEIGHTS)
    with pytest.raises(PlanError, match=r"'r' \(Round\) cannot be differentiated"):
        xai.insert(model, method="input_gradient")
