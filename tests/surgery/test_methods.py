"""Methods beside Recipro-CAM, inserted: against loops, and where they do not fit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import CASES, CLASSES, DIALECTS, HEAD, LINEAR, STEM, Oracle, images, in_dialect, tiny
from tiny_transformers import CELLS, HEIGHT, WIDTH, Transformer

import openvino_xai as xai
from openvino_xai.errors import PlanError, VerificationError
from openvino_xai.hooks import METHODS, Method

CASE = CASES["pool and linear"]


def maps_of(model: onnx.ModelProto, dialect: str, method: str, batch: np.ndarray, **options: object) -> np.ndarray:
    hooked = xai.insert(in_dialect(model, dialect), method=method, **options)  # type: ignore[arg-type]
    assert hooked.record["method"] == method
    return xai.load(hooked)(batch)["saliency_map"]


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}


@pytest.mark.parametrize("scale", ["unit", "none"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cam_is_the_classs_weights_over_the_channels(dialect: str, scale: str) -> None:
    model = CASE.build("B", 17)
    batch, tensors = images(model, 3), weights(model)
    all_maps = maps_of(model, dialect, "cam", batch, layer="f", scale=scale)
    for image, maps in zip(batch, all_maps, strict=True):
        features = Oracle(CASE.build(1, 17), "f").features(image[None])[0]
        for k in range(CLASSES):
            true = sum(tensors["w"][k, c] * features[c] for c in range(len(features)))
            scaled = (true - true.min()) / (true.max() - true.min())
            true = scaled if scale == "unit" else true / true.size + tensors["b"][k]
            np.testing.assert_allclose(maps[k], true, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cam_steps_back_over_a_softmax(dialect: str) -> None:
    batch = images(CASE.build(1, 17), 2)
    inside = maps_of(CASES["softmax inside"].build("B", 17), dialect, "cam", batch, layer="f")
    np.testing.assert_allclose(inside, maps_of(CASE.build("B", 17), dialect, "cam", batch, layer="f"), atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "culprit"),
    [
        ("3x3 convolution after the layer", "Relu"),
        ("squeeze and excite", "Sigmoid"),
        ("layer on both ports", "Mul"),
        ("max pool, flatten, linear", "MaxPool"),
        ("mlp head", "Tanh"),
    ],
)
@pytest.mark.parametrize("method", ["cam", "lift_cam"])
def test_cam_refuses_what_is_not_linear(method: str, name: str, culprit: str, dialect: str) -> None:
    with pytest.raises(PlanError, match=rf"{method} is for tails that are linear .*\({culprit}.*\) is not: take reciprocam"):
        xai.insert(in_dialect(CASES[name].build("B", 17), dialect), method=method, layer="f")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("score", [None, "logit"])
def test_lift_cam_is_what_each_channel_adds(dialect: str, score: str | None) -> None:
    """The SHAP values of a linear tail, of which the probe knows nothing but scores; and so by the weights themselves."""
    model, batch = CASE.build("B", 17), images(CASE.build(1, 17), 2)
    all_maps = maps_of(model, dialect, "lift_cam", batch, layer="f", scale="none", targets="all", score=score)
    _, probed = xai.probe(model, "shap_cam", layer="f", settings=xai.Settings(orders=1)).maps(batch, [2, 4])
    for image, k, maps, of_probe in zip(batch, (2, 4), all_maps, probed, strict=True):
        features = Oracle(CASE.build(1, 17), "f").features(image[None])[0]
        true = sum(weight * channel.mean() * channel for weight, channel in zip(weights(model)["w"][k], features, strict=True))
        assert true.max() > 1e-3
        np.testing.assert_allclose(maps[k], np.maximum(true, 0), atol=1e-5)
        np.testing.assert_allclose(maps[k], of_probe, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cam_refuses_a_quotient_by_the_features(dialect: str) -> None:
    model = tiny(STEM + "a = Add(f, one) s = Div(one, a) " + HEAD.format("s"), one=np.ones(1, np.float32), **LINEAR)
    with pytest.raises(PlanError, match=r"cam is for tails that are linear .*'s' \(Div"):
        xai.insert(in_dialect(model, dialect), method="cam", layer="f")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", ["s = Neg(f)", "s = Expand(f, whole)", "h = Div(f, two) s = Sub(two, h)"])
def test_cam_takes_what_is_linear_up_to_a_constant(body: str, dialect: str) -> None:
    constants = {"whole": np.array([1, 4, 6, 8]), "two": np.full(1, 2, np.float32)}
    used = {name: array for name, array in constants.items() if name in body}
    assert xai.insert(
        in_dialect(tiny(f"{STEM}{body} " + HEAD.format("s"), **used, **LINEAR), dialect), method="cam", layer="f"
    ).verified


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["pool and linear", "squeeze and excite", "max pool, flatten, linear"])
@pytest.mark.slow
def test_activation_map_is_the_mean_of_channels(name: str, dialect: str) -> None:
    model = CASES[name].build("B", 17)
    batch = images(model, 2)
    for scale in ("none", "unit"):
        all_maps = maps_of(model, dialect, "activation_map", batch, layer="f", scale=scale)
        assert all_maps.shape == (2, CLASSES, 6, 8)
        for image, maps in zip(batch, all_maps, strict=True):
            true = Oracle(CASES[name].build(1, 17), "f").features(image[None])[0].mean(axis=0)
            true = (true - true.min()) / (true.max() - true.min()) if scale == "unit" else true
            np.testing.assert_allclose(maps, np.repeat(true[None], CLASSES, axis=0), atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_activation_map_of_tokens(dialect: str) -> None:
    """Of what the last block's projections read, without the class token."""
    model = Transformer(prefix=2).build("B")
    hooked = xai.insert(in_dialect(model, dialect), method="activation_map", scale="none")
    batch = images(Transformer(prefix=2).build(1), 2)
    all_maps = xai.load(hooked)(batch)["saliency_map"]
    assert all_maps.shape == (2, CLASSES, HEIGHT, WIDTH)
    layer = hooked.layer.name if dialect == "onnx" else None
    if layer is not None:
        value = next(node.output[0] for node in model.graph.node if layer in (node.name, node.output[0]))
        part = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(["image"], [value])
        from onnx.reference import ReferenceEvaluator

        true = ReferenceEvaluator(part).run(None, {"image": batch})[0][:, 2:].mean(axis=2)
        np.testing.assert_allclose(all_maps[:, 0], true.reshape(2, HEIGHT, WIDTH), atol=1e-5)
        assert true.shape[1] == CELLS


def test_activation_map_has_no_masks() -> None:
    with pytest.raises(PlanError, match="activation_map has one value a cell, and no masks: leave the grid out"):
        xai.insert(CASE.build("B", 17), method="activation_map", layer="f", grid="3x4")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_activation_map_is_refused(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition is run on arrays: where the emitted one is another, verification sees it."""

    def skewed(xp: object, site: object) -> object:
        mean = METHODS_BEFORE["activation_map"].hook(xp, site)  # type: ignore[arg-type]
        return mean if isinstance(mean, np.ndarray) else xp.multiply(mean, mean)  # type: ignore[attr-defined]

    METHODS_BEFORE = dict(METHODS)  # noqa: N806
    monkeypatch.setitem(METHODS, "activation_map", Method(skewed, "nothing"))
    with pytest.raises(VerificationError, match="the maps differ from their definition"):
        xai.insert(in_dialect(CASE.build("B", 17), dialect), method="activation_map", layer="f", scale="none")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["pool and linear", "3x3 convolution after the layer", "max pool, flatten, linear"])
@pytest.mark.slow
def test_ablation_cam_in_the_graph_is_the_probe(name: str, dialect: str) -> None:
    model = in_dialect(CASES[name].build("B", 17), dialect)
    batch = images(CASES[name].build(1, 17), 2)
    all_maps = maps_of(CASES[name].build("B", 17), dialect, "ablation_cam", batch, layer="f", scale="none", targets="all")
    probe = xai.probe(model, "ablation_cam", layer="f")
    for image, maps in zip(batch, all_maps, strict=True):
        _, true = probe.maps(np.repeat(image[None], CLASSES, axis=0), list(range(CLASSES)))
        np.testing.assert_allclose(maps, true, atol=1e-4 * true.max())
