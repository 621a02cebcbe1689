"""How steady each cell of a map is, as one more output of a hooked model: against a network of loops and noise of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command import ovxai
from models.two_heads import HEADS, shared
from slow_layers import BODY, WEIGHTS, slow_map
from tiny import DIALECTS, images, in_dialect, in_turn, tiny
from tiny_detectors import CASES as DETECTORS

import openvino_xai as xai
from openvino_xai.errors import OvxaiError, VerificationError
from openvino_xai.hooks.noise import confidence
from openvino_xai.plan.site import PlannedSite
from openvino_xai.record.removal import unhooked

NAME = "saliency_confidence"


def network(batch: int | str = "B") -> onnx.ModelProto:
    return tiny(BODY, batch=batch, **WEIGHTS)


def hooked(model: onnx.ModelProto, dialect: str = "onnx", **options: Any) -> xai.Hooked:
    return xai.insert(in_dialect(model, dialect), **{"layer": "f", "method": "grad_cam", "confidence": True, **options})


def slow_confidence(method: str, weights: dict[str, np.ndarray], image: np.ndarray, k: int) -> np.ndarray:
    """[H, W]: one copy after the other, one cell after the other."""
    noise, maps = np.random.default_rng(0).standard_normal((5, *image.shape)), []
    for copy in noise:
        cells = slow_map(method, weights, image + 0.05 * (image.max() - image.min()) * copy, "f", k)
        maps.append((cells - cells.min()) / (cells.max() - cells.min()) if cells.max() > cells.min() else 0 * cells)
    steady = np.zeros_like(maps[0])
    for h, w in np.ndindex(steady.shape):
        values = [cells[h, w] for cells in maps]
        steady[h, w] = 1 - 2 * (sum((value - sum(values) / 5) ** 2 for value in values) / 5) ** 0.5
    return steady


@pytest.mark.slow
@pytest.mark.parametrize(("method", "dialect"), in_turn(["grad_cam", "layer_cam", "activation_map"]))
def test_it_is_what_maps_of_noisy_copies_have_in_common(method: str, dialect: str) -> None:
    model, batch = network(), images(network(), 2)
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    with_confidence = hooked(model, dialect, method=method, targets=[3, 1])
    outputs = xai.load(with_confidence)(batch)
    true = np.array([[slow_confidence(method, weights, image.astype(np.float64), k) for k in (3, 1)] for image in batch])
    assert outputs[NAME].shape == (2, 2, 3, 4) and outputs[NAME].dtype == np.float32
    assert true.min() < 0.97 and true.max() <= 1
    np.testing.assert_allclose(outputs[NAME], true, atol=1e-4)
    maps = xai.load(hooked(model, dialect, method=method, targets=[3, 1], confidence=False, verify=False))(batch)
    np.testing.assert_allclose(outputs["saliency_map"], maps["saliency_map"], atol=1e-5)
    assert with_confidence.record["confidence"] == NAME
    assert list(unhooked(with_confidence.deployed).graph.outputs) == ["logits"]


@pytest.mark.parametrize(("answer", "factor"), [("noisy_images", 1.2), ("cells_at", 0.9), ("gradients_at", 1.1)])
def test_wrong_parts_are_refused(answer: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(PlannedSite, answer)

    def wrong(site: PlannedSite, *arguments: Any) -> Any:
        if answer == "noisy_images":
            return real(site, arguments[0], 2 * arguments[1])
        return site._trace.multiply(real(site, *arguments), np.float32(factor))

    monkeypatch.setattr(PlannedSite, answer, wrong)
    with pytest.raises(VerificationError):
        hooked(network(), method="layer_cam", targets=[0, 1])


def test_a_wrong_confidence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "openvino_xai.plan.hook.confidence", lambda xp, *rest: xp.multiply(confidence.confidence(xp, *rest), 0.99)
    )
    with pytest.raises(VerificationError, match="the maps differ from their definition"):
        hooked(network(), targets=[0, 1])


@pytest.mark.parametrize(
    "options",
    [
        {"method": "reciprocam"},
        {"method": "ablation_cam"},
        {"method": "finer_cam"},
        {"method": "smooth_grad_cam_plus_plus"},
        {"method": "layer_cam", "layer": "a,f"},
    ],
)
def test_a_method_that_reads_more_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OvxaiError, match=f"a confidence is .*{options['method']} reads more here: leave the confidence out"):
        hooked(network(), **options)


def test_a_detector_and_an_image_of_bytes_are_refused() -> None:
    with pytest.raises(OvxaiError, match="input_gradient explains each element of the image: a confidence is for layers"):
        hooked(network(), method="input_gradient", layer=None)
    with pytest.raises(OvxaiError, match="confidence is True, which says nothing of a detector's rows"):
        xai.insert(DETECTORS["one level"](1).model, confidence=True)
    of_bytes = tiny(
        BODY.replace("image, k1", "x, k1").replace("c1 =", "x = Cast<to=1>(image) c1 =", 1),
        image_input="uint8[B,3,6,8] image",
        **WEIGHTS,
    )
    with pytest.raises(OvxaiError, match="needs one of floats"):
        hooked(of_bytes)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_images_and_classes_that_are_not_asked_for_have_none(dialect: str) -> None:
    batch = images(network(), 2)
    if dialect == "onnx":
        gated = xai.load(hooked(network(), dialect, gate=True, targets=[1]))(batch, explain=np.array([False, True]))
        assert not gated[NAME][0].any() and gated[NAME][1].any()
        return
    model = hooked(network(), dialect, targets="asked", verify=False).deployed
    (name,) = (value.name for value in model.graph.inputs if value.name != "explain_class")
    of_classes = model.compile()({name: batch, "explain_class": np.array([-1, 1])})[NAME]
    assert not of_classes[0].any() and of_classes[1].any()


@pytest.mark.slow
def test_each_head_has_its_own() -> None:
    of_heads = xai.insert(shared(), method="grad_cam", scores=list(HEADS), targets="top:1", confidence=True)
    names = set(of_heads.deployed.graph.outputs)
    assert {f"{NAME}_{head}" for head in HEADS} <= names


@pytest.mark.slow
def test_the_command_adds_it_and_tells_its_price(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "m.onnx")
    ran = ovxai("insert", "-m", tmp_path / "m.onnx", "-o", tmp_path / "h.onnx", "--method", "grad_cam", "--confidence")
    assert "times the operations of the plain one" in ran.stderr and "without --confidence" in ran.stderr
    names = [output.name for output in onnx.load(tmp_path / "h.onnx").graph.output]
    assert names == ["logits", "saliency_map", "saliency_class", NAME]


PHOTO = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)


def explanation_of(classes: Any, **options: Any) -> tuple[xai.Explanation, dict[str, np.ndarray]]:
    """An explanation of a photo of noise, and the outputs that it is made of."""
    loaded = xai.load(hooked(network(1), verify=False, **options))
    return loaded.explain(PHOTO, targets=classes), loaded.outputs(loaded.prepare(PHOTO))


@pytest.mark.parametrize("targets", [[3, 1], "3-1"])
def test_an_explanation_tells_how_steady_its_map_is(targets: Any, tmp_path: Path) -> None:
    classes, order = ("3-1", [0]) if targets == "3-1" else ([1, 3], [1, 0])
    explanation, outputs = explanation_of(classes, targets=targets)
    assert explanation.confidence is not None
    np.testing.assert_array_equal(explanation.confidence, outputs[NAME][0][order].clip(0, 1))
    for index, (cells, steady) in enumerate(zip(explanation.maps, explanation.confidence, strict=True)):
        middle = (cells.min() + cells.max()) / 2
        values = [steady[at] for at in np.ndindex(cells.shape) if cells[at] >= middle]
        assert explanation.steadiness(index) == pytest.approx(sum(values) / len(values), abs=1e-6)
        assert explanation.to_dict()["targets"][index]["steadiness"] == pytest.approx(explanation.steadiness(index), abs=1e-4)
    explanation.save(tmp_path)
    assert xai.Explanation.load(tmp_path) == explanation


def test_a_map_that_is_not_steady_says_so() -> None:
    explanation, _ = explanation_of([3], targets=[3, 1])
    assert not any("not steady" in note for note in explanation.notes[0])
    shaken = replace(explanation, confidence=np.full_like(explanation.maps, 0.25))
    assert shaken.notes[0] == ("the highest cells are not steady: 0.25 of 1 when the photo is a little noisy",)
    large = replace(shaken, image=np.zeros((300, 400, 3), np.uint8), box=(0.0, 0.0, 400.0, 300.0))
    assert len(large._picture_of_file(xai.Style(), 0)) > 300  # the note stands below


def test_a_confidence_that_is_none_is_refused() -> None:
    explanation, _ = explanation_of([1], targets=[3, 1])
    for wrong in (explanation.maps[0], explanation.maps + 2, -explanation.maps - 1, explanation.maps * np.nan, "high"):
        with pytest.raises(OvxaiError, match="the confidence"):
            replace(explanation, confidence=wrong)
    without, _ = explanation_of([1], targets=[3, 1], confidence=False)
    assert without.confidence is None and without.steadiness() is None
    assert "steadiness" not in without.to_dict()["targets"][0]


def test_a_hook_that_is_asked_for_a_class_tells_its_steadiness() -> None:
    at_once, _ = explanation_of([1], targets=[3, 1])
    alone, _ = explanation_of([1], targets="asked")
    assert alone.confidence is not None and at_once.confidence is not None
    np.testing.assert_allclose(alone.confidence, at_once.confidence, atol=1e-5)


@pytest.mark.slow
def test_each_head_tells_how_steady_its_map_is() -> None:
    of_heads = xai.insert(shared(), method="grad_cam", scores=list(HEADS), targets="top:1", confidence=True, verify=False)
    explanation = xai.load_heads(of_heads).explain(PHOTO)
    assert all(part.confidence is not None for part in explanation.heads.values())
