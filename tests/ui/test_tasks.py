"""Whatever a model tells, the page shows: classes, boxes, regions; and what else may be chosen."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_server import encoded, random_photo, small
from tiny import tiny
from two_heads import shared

import openvino_xai as xai
from openvino_xai.cli.options import LayerOptions, NetworkOptions, ProbeOptions
from openvino_xai.cli.page.command_lines import command_lines
from openvino_xai.cli.page.start import Start
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.render.overlay import stretch
from openvino_xai.ui.choices import Choices
from openvino_xai.ui.question import Choice, Question
from openvino_xai.ui.session import Session

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTO = encoded(random_photo())


def started(model: object, options: LayerOptions | None = None, **running: Any) -> Start:
    return Start(str(model), options or LayerOptions(), ProbeOptions(masks=40), NetworkOptions(**running))


def session_of(model: object, options: LayerOptions | None = None, **running: Any) -> Session:
    start = started(model, options, **running)
    return Session(start.load, feeding=start.running.values())


def choices_of(start: Start) -> dict[str, Any]:
    return Choices(start.model, start.options.where(), insert=start.insert, layers=start.layers)()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.onnx"
    onnx.save(small(), path)
    return path


@pytest.mark.slow
def test_each_method_that_is_offered_explains(classifier: Path) -> None:
    content, session = choices_of(started(classifier)), session_of(classifier)
    offered = [method["name"] for method in content["methods"] if method["reason"] is None]
    assert {"reciprocam", "cam", "grad_cam", "rise"} <= set(offered)
    reasons = {method["name"]: method["reason"] for method in content["methods"]}
    assert "attention block" in reasons["vit_reciprocam"]
    for method in ("reciprocam", "cam", "hires_cam", "rise"):
        answer = session.answer(Question(choice=Choice(method), classes=(3,)), PHOTO)
        assert answer["hook"]["method"] == method
        assert 3 in [target["id"] for target in answer["targets"]]
    with pytest.raises(OvxaiError):
        session.answer(Question(choice=Choice("vit_reciprocam")), PHOTO)


@pytest.mark.slow
def test_each_layer_that_is_offered_explains(classifier: Path) -> None:
    layers = [layer["name"] for layer in choices_of(started(classifier))["layers"]]
    session = session_of(classifier)
    assert len(layers) > 1
    for layer in layers:
        assert session.answer(Question(choice=Choice(layer=layer)), PHOTO)["hook"]["layer"] == layer


def test_what_the_command_says_of_preprocessing_is_fed_until_the_page_says_more(classifier: Path) -> None:
    session = session_of(classifier, preprocess="imagenet", pad_value="9")
    fed = session.answer(Question(), PHOTO)["fed"]
    assert fed["order"] == "RGB"
    # numbers belong to colours, whoever says the order
    other = session.answer(Question(preprocessing={"reverse_input_channels": "no"}), PHOTO)["fed"]
    assert [channel["name"] for channel in other["channels"]] == ["blue", "green", "red"]
    assert other["channels"] == fed["channels"][::-1]
    raw = session.answer(Question(preprocessing={"preset": "raw"}), PHOTO)["fed"]
    assert raw["words"].startswith("BGR, 0..255")


def test_a_model_that_carries_a_hook(classifier: Path, tmp_path: Path) -> None:
    xai.insert(str(classifier), targets="top:2", verify=False).save(tmp_path / "hooked.onnx")
    answer = session_of(tmp_path / "hooked.onnx").answer(Question(), PHOTO)
    assert len(answer["targets"]) == 2
    assert choices_of(started(tmp_path / "hooked.onnx")) == {"methods": [], "layers": [], "hooked": True}


@pytest.mark.slow
def test_one_of_several_heads(tmp_path: Path) -> None:
    onnx.save(shared(), tmp_path / "heads.onnx")
    with pytest.raises(OvxaiError) as several:
        session_of(tmp_path / "heads.onnx")
    assert several.value.options == ("scores",)
    answer = session_of(tmp_path / "heads.onnx", LayerOptions(scores=["shape"])).answer(Question(), PHOTO)
    assert len(answer["predictions"]) == 3
    xai.insert(shared(), scores=["color", "shape"], verify=False).save(tmp_path / "hooked.onnx")
    with pytest.raises(InputError) as several:
        session_of(tmp_path / "hooked.onnx")
    assert several.value.options == ("scores",)
    assert len(session_of(tmp_path / "hooked.onnx", LayerOptions(scores=["color"])).answer(Question(), PHOTO)["targets"]) == 5


@pytest.mark.slow
def test_regions(tmp_path: Path) -> None:
    body = "f = Conv<pads=[1,1,1,1]>(image, w0) r = Relu(f) d = Conv<pads=[1,1,1,1]>(r, w1) e = Relu(d) logits = Conv(e, w2)"
    weights = {"w0": (4, 3, 3, 3), "w1": (4, 4, 3, 3), "w2": (5, 4, 1, 1)}
    onnx.save(tiny(body, image=(3, 12, 16), output="float[B,5,12,16] logits", **weights), tmp_path / "pixels.onnx")
    answer = session_of(tmp_path / "pixels.onnx").answer(Question(), PHOTO)
    assert answer["kind"] == "regions"
    assert sum(item["probability"] for item in answer["predictions"]) == pytest.approx(1)
    for target in answer["targets"]:
        region = np.frombuffer(base64.b64decode(target["region"]["values"]), np.uint8)
        assert region.mean() == pytest.approx(target["probability"])


def test_vectors(tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(encoded(random_photo()[::-1].copy()))
    onnx.save(small(), tmp_path / "small.onnx")
    start = replace(started(tmp_path / "small.onnx"), against=tmp_path / "other.png", similarity="dot")
    session = Session(start.load, against=start.against)
    answer = session.answer(Question(), PHOTO)
    assert answer["kind"] == "vector"
    explanation = session.first.match(random_photo(), random_photo()[::-1].copy())
    assert answer["predictions"][0] == {"id": 0, "label": "dot to other.png", "probability": explanation.similarity}
    for saliency, place in zip(explanation.maps, (answer["targets"][0]["map"], answer["other"]["map"]), strict=True):
        values = np.frombuffer(base64.b64decode(place["values"]), np.uint8).reshape(place["cells"])
        assert np.abs(values / 255 - stretch(saliency)).max() <= 0.5 / 255 + 1e-6
    for _ in range(20):  # the other photo stays
        session.answer(Question(), PHOTO)
    assert session.picture("against").startswith(b"\xff\xd8")
    content = Choices(start.model, start.options.where(), insert=start.insert, layers=start.layers, of_vectors=True)()
    assert [method["name"] for method in content["methods"] if method["reason"] is None][:1] == ["reciprocam"]
    lines = command_lines(start, {}, Question(choice=Choice("cam")))
    assert f"--against {tmp_path / 'other.png'}" in lines["explain"]
    assert "--targets vector" in lines["insert"] and "--similarity dot" in lines["insert"]


def test_vectors_without_another_photo_are_a_line(tmp_path: Path) -> None:
    xai.insert(small(), targets="vector", verify=False).save(tmp_path / "vectors.onnx")
    with pytest.raises(InputError, match="explains vectors") as missing:
        session_of(tmp_path / "vectors.onnx").answer(Question(), PHOTO)
    assert missing.value.options == ("against",)


def test_another_photo_for_a_hook_of_classes_is_refused(classifier: Path, tmp_path: Path) -> None:
    xai.insert(str(classifier), verify=False).save(tmp_path / "hooked.onnx")
    (tmp_path / "other.png").write_bytes(PHOTO)
    with pytest.raises(InputError, match="explains no vectors"):
        Session(started(tmp_path / "hooked.onnx").load, against=tmp_path / "other.png")


@pytest.mark.slow
def test_boxes() -> None:
    model, photo = SAMPLES / "models" / "ultraface_rfb320.xml", (SAMPLES / "faces" / "astronaut.png").read_bytes()
    session = session_of(model)
    answer = session.answer(Question(), photo)
    assert answer["kind"] == "boxes"
    (face,) = answer["targets"]
    left, top, width, height = face["place"]
    assert 0.3 < left < 0.5 and top < 0.2 and 0.1 < width < 0.3 and 0.1 < height < 0.3
    covered = session.answer(Question(photo=answer["photo"], covers=((left, top, width, height),)))
    assert face["probability"] - max([box["probability"] for box in covered["targets"]], default=0) > 0.3
    content = choices_of(started(model))
    reasons = {method["name"]: method["reason"] for method in content["methods"]}
    assert reasons["hires_cam"] is None and "d_rise" in reasons and "grad_cam" not in reasons
    other = session.answer(Question(photo=answer["photo"], choice=Choice("hires_cam", content["layers"][-1]["name"])))
    assert other["hook"] == {"method": "hires_cam", "layer": content["layers"][-1]["name"], "score": "logit"}
