"""`ovxai evaluate` and `compare` with detectors: what they print, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from plain_detectors import HEIGHT, WIDTH, decoding
from tiny import CASES

import openvino_xai as xai
from openvino_xai.evaluate.boxes.metrics import BOX_METRICS

Ovxai = Callable[..., str]


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of random weights with a hook."""
    path = tmp_path_factory.mktemp("detector") / "hooked.onnx"
    xai.insert(decoding("xyxy"), targets="boxes:3", cut="heads", verify=False).save(path)
    return path


@pytest.fixture
def ovxai(command: Ovxai, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ovxai:
    """What a command says beside two photos of noise."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "photos" / name), rng.integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    return command


def evaluated(ovxai: Ovxai, model: Path, *arguments: object) -> Any:
    return json.loads(ovxai("evaluate", "--model", model, "--min-score", 0.1, "--json", *arguments))


def truth_of(ovxai: Ovxai, model: Path) -> dict[str, Any]:
    """The detector's own boxes as objects: of photo a as they are, of photo b far away."""
    network = xai.load(model)
    network.configure(min_score=0.1)
    rows = []
    for target in network.explain("photos/a.png").targets:
        x0, y0, x1, y1 = np.array(target.box) / (2 * WIDTH, 2 * HEIGHT, 2 * WIDTH, 2 * HEIGHT)
        rows.append([target.id, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
    return {"images": {"a.png": rows, "b.png": []}}


@pytest.mark.slow
def test_boxes_are_measured_beside_maps_that_explain_nothing(ovxai: Ovxai, hooked: Path) -> None:
    result = evaluated(ovxai, hooked, "--input", "photos")
    (group,) = result["metrics"].values()
    assert (result["images"], result["boxes"], group["n"]) == (2, 6, 6)
    assert list(group["metrics"]) == ["layer_cam", "gaussian", "random"]
    assert all(list(metrics) == list(BOX_METRICS) for metrics in group["metrics"].values())
    table = ovxai("evaluate", "--model", hooked, "--min-score", 0.1, "--input", "photos", "--metric", "energy")
    assert "hooked.onnx, layer_cam, 6 boxes in 2 images" in table and "gaussian" in table and "better is" in table


@pytest.mark.slow
def test_right_and_wrong_boxes_are_told_apart(ovxai: Ovxai, hooked: Path) -> None:
    Path("boxes.json").write_text(json.dumps(truth_of(ovxai, hooked)))
    arguments = ("--input", "photos", "--boxes", "boxes.json", "--metric", "energy", "--metric", "object_discrimination")
    result = evaluated(ovxai, hooked, *arguments)
    assert {name: group["n"] for name, group in result["metrics"].items()} == {
        "true_positive": 3,
        "false_positive": 3,
        "all": 6,
    }
    table = ovxai("evaluate", "--model", hooked, "--min-score", 0.1, *arguments)
    assert "true positives" in table and "false positives" in table and "object discrimination: of boxes whose class" in table


@pytest.mark.slow
def test_what_is_measured_is_not_measured_again(ovxai: Ovxai, hooked: Path) -> None:
    first = evaluated(ovxai, hooked, "--input", "photos", "--metric", "energy", "--output", "scores")
    again = evaluated(ovxai, hooked, "--input", "photos", "--metric", "energy", "--output", "scores")
    assert first["images_per_second"] and again["images_per_second"] is None
    assert first["metrics"] == again["metrics"] == json.loads(Path("scores/metrics.json").read_text())["metrics"]
    Path("photos/boxes.json").write_text(json.dumps(truth_of(ovxai, hooked)))
    other = evaluated(ovxai, hooked, "--input", "photos/boxes.json", "--metric", "energy", "--output", "scores")
    assert other["images_per_second"] and "true_positive" in other["metrics"]  # the objects are new


@pytest.mark.slow
def test_shuffled_weights_change_the_maps_of_the_same_rows(ovxai: Ovxai, hooked: Path) -> None:
    result = evaluated(ovxai, hooked, "--input", "photos/a.png", "--metric", "energy", "--sanity")
    assert {stage["order"] for stage in result["sanity"]} == {"cascading", "independent"}
    assert min(stage["pearson"] for stage in result["sanity"]) < 0.9


def test_a_photo_without_objects_is_left_out(ovxai: Ovxai, hooked: Path) -> None:
    Path("boxes.json").write_text(json.dumps({"images": {"a.png": []}}))
    result = evaluated(ovxai, hooked, "--input", "photos", "--boxes", "boxes.json", "--metric", "energy")
    assert (result["images"], list(result["metrics"])) == (1, ["false_positive"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metric", "adcc"), "metric 'adcc' is not known of boxes: one of pointing_game"),
        (("--read", "logit"), "--read is of classes of images, and the model explains boxes"),
        (("--step", "5"), "--step is of classes of images"),
        (("--target", "label"), "--target is of classes of images"),
        (("--parquet", "--output", "out"), "--parquet is of classes of images"),
        (("--report", "page.html"), "--report is of classes of images"),
        (("--boxes", "none.json"), "none.json"),
        (("--boxes", "other.json"), "other.json tells the objects of none of the images: it names others, as c.png (--boxes)"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_measured_is_refused(ovxai: Ovxai, hooked: Path, arguments: tuple[str, ...], said: str) -> None:
    Path("other.json").write_text(json.dumps({"images": {"c.png": []}}))
    assert said in ovxai("evaluate", "--model", hooked, "--input", "photos", "--min-score", "0.1", *arguments, status=2)


def test_objects_are_of_detectors(ovxai: Ovxai) -> None:
    onnx.save(CASES["3x3 convolution after the layer"].build(1, 17), "classifier.onnx")
    Path("boxes.json").write_text(json.dumps({"images": {"a.png": []}}))
    said = ovxai("evaluate", "-m", "classifier.onnx", "-i", "photos", "--boxes", "boxes.json", status=2)
    assert said


@pytest.mark.slow
def test_two_detectors_are_compared_box_by_box(ovxai: Ovxai, hooked: Path) -> None:
    models = ("--model", hooked, "--model", hooked, "--input", "photos", "--min-score", 0.1)
    result = json.loads(ovxai("compare", *models, "--json", "--output", "worst.png"))
    assert (result["images"], result["boxes"], result["matched"]) == (2, [6, 6], 6)
    assert result["mean"]["pearson"] == pytest.approx(1) and result["mean"]["in_first"] == 1
    assert result["rows"][0]["alone"] == [[], []] and result["rows"][0]["matched"][0]["iou"] == 1
    assert cv2.imread("worst.png") is not None
    assert "6 boxes in both, of 6 and 6" in ovxai("compare", *models)


@pytest.mark.slow
def test_boxes_that_one_alone_sees(ovxai: Ovxai, hooked: Path, tmp_path: Path) -> None:
    xai.insert(decoding("xyxy"), targets="boxes:1", cut="heads", verify=False).save(tmp_path / "fewer.onnx")
    models = ("--model", hooked, "--model", "fewer.onnx", "--input", "photos", "--min-score", 0.1)
    result = json.loads(ovxai("compare", *models, "--json"))
    assert (result["boxes"], result["matched"]) == ([6, 2], 2)
    assert [len(side) for side in result["rows"][0]["alone"]] == [2, 0]
    assert (result["mean"]["in_first"], result["mean"]["in_second"]) == pytest.approx((1 / 3, 1))


@pytest.mark.slow
def test_detectors_without_a_hook_get_one_or_are_probed(ovxai: Ovxai) -> None:
    onnx.save(decoding("xyxy"), "plain.onnx")
    arguments = ("--input", "photos/a.png", "--metric", "energy")
    hooked_in_memory = evaluated(ovxai, Path("plain.onnx"), *arguments, "--cut", "heads")
    assert (hooked_in_memory["method"], hooked_in_memory["hook"]["targets"]) == ("layer_cam", "boxes:16")
    probed = evaluated(ovxai, Path("plain.onnx"), *arguments, "--method", "d_rise", "--masks", 4)
    assert list(probed["metrics"]["detected"]["metrics"]) == ["d_rise", "gaussian", "random"]
    assert probed["boxes"] >= hooked_in_memory["boxes"] == 16
    sanity = ("evaluate", "-m", "plain.onnx", *arguments, "--method", "d_rise", "--masks", 4, "--sanity")
    assert "d_rise explains the boxes that there are; --sanity is for hooks" in ovxai(*sanity, status=2)


def test_maps_of_classes_are_not_of_boxes(ovxai: Ovxai) -> None:
    xai.insert(decoding("xyxy"), method="class_map", verify=False).save("classes.onnx")
    assert "the model explains classes, and no boxes" in ovxai("evaluate", "-m", "classes.onnx", "-i", "photos", status=2)
    said = ovxai("compare", "-m", "classes.onnx", "-m", "classes.onnx", "-i", "photos", "--json")
    assert json.loads(said)["mean"]["prediction"] == 1
