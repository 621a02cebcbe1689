"""`ovxai explain` with hooked detectors: what it prints, and the files that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from plain_detectors import decoding, returning
from tiny_detector import class_maps, detector

Explain = Callable[..., str]


@pytest.fixture
def explain(command: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Explain:
    """What `explain` says of a photo: on standard output, or on standard error where it fails."""
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((64, 160, 3), 128, np.uint8))
    monkeypatch.chdir(tmp_path)

    def run(model: onnx.ModelProto, *arguments: str, status: int = 0) -> str:
        onnx.save(model, "model.onnx")
        words = ("explain", "--model", "model.onnx", "--input", "photo.png", "--output", "out", *arguments)
        return command(*words, status=status)

    return run


def sample(**info: str) -> onnx.ModelProto:
    boxes = [[4, 4, 20, 12], [0, 0, 40, 32], [0, 0, 0, 0]]
    return detector(boxes, [1, 2, -1], [0.9, 0.3, 0], index=[2, 5, -1], info={"labels": "cat dog tree", **info})


def names() -> list[str]:
    return sorted(path.name for path in Path("out").iterdir())


@pytest.mark.slow
def test_a_line_names_label_score_and_box(explain: Explain) -> None:
    assert explain(sample()) == "photo.png: dog 90.0% (16, 8, 80, 24), tree 30.0% (0, 0, 160, 64); out/photo_boxes.png\n"
    assert names() == ["explanations.jsonl", "photo_boxes.npy", "photo_boxes.png"]
    assert cv2.imread("out/photo_boxes.png").shape == (64, 160, 3)
    assert explain(sample()) == ""  # what is done is not done again
    Path("out/photo_boxes.npy").unlink()
    assert explain(sample()) != ""


def test_json_holds_the_boxes(explain: Explain) -> None:
    line: dict[str, Any] = json.loads(explain(sample(), "--json", "--each", "--targets", "tree"))
    (box,) = line["boxes"]
    assert box == {"id": 2, "label": "tree", "score": 0.3, "box": [0, 0, 160, 64], "index": 5, "overlay": box["overlay"]}
    assert line["map"] == "out/photo_boxes.npy" and np.load(line["map"]).shape == (1, 4, 5)
    assert names() == ["explanations.jsonl", "photo_1_2_tree.png", "photo_boxes.npy", "photo_boxes.png"]


def test_a_photo_without_boxes_is_no_error(explain: Explain) -> None:
    said = explain(sample(), "--min-score", "0.95", "--report", "out/report.html")
    assert said == "photo.png: no box to draw with a score of 95.0% or more; out/photo_boxes.png\n"
    np.testing.assert_array_equal(cv2.imread("out/photo_boxes.png"), cv2.imread("photo.png"))
    assert Path("out/report.html").is_file()


@pytest.mark.slow
def test_the_least_score_of_the_model_is_the_default(explain: Explain) -> None:
    assert "tree" not in explain(sample(confidence_threshold="0.5"))
    assert "tree" in explain(sample(confidence_threshold="0.5"), "--min-score", "0.2")
    assert "0 to 1 is expected" in explain(sample(), "--again", "--min-score", "nan", status=2)


@pytest.mark.slow
def test_labels_command_a_terminal_nothing(explain: Explain) -> None:
    Path("labels.txt").write_text("cat\ndog\r\nold\x1b[31m\u2028</script>\n", encoding="utf-8", newline="")
    said = explain(sample(), "--labels", "labels.txt", "--each", "--report", "out/report.html")
    assert "old\\x1b[31m\\u2028</script> 30.0%" in said and said.count("\n") == 1
    assert "old\x1b" not in Path("out/report.html").read_text(encoding="utf-8")
    assert "photo_2_2_old_31m_script.png" in names()


@pytest.mark.slow
def test_what_cannot_be_asked_is_said_with_what_can(explain: Explain) -> None:
    assert "a detector explains all, boxes:N, or classes by ids or labels (--targets)" in explain(
        sample(), "--targets", "top:1", status=2
    )
    assert "and no rows by their numbers" in explain(sample(), "--targets", "2:1", status=2)
    assert "is for boxes, and this model explains classes of images (--min-score)" in explain(
        class_maps(), "--min-score", "0.5", status=2
    )


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "count"), [((), 8), (("--targets", "boxes:3"), 3), (("--targets", "7:1,28:0"), 2)])
def test_a_detector_without_a_hook_gets_one_in_memory(explain: Explain, targets: tuple[str, ...], count: int) -> None:
    line = json.loads(explain(decoding("xyxy"), "--json", *targets))
    assert len(line["boxes"]) == count and line["hook"]["task"] == "boxes"
    if count == 2:
        assert [(box["index"], box["id"]) for box in line["boxes"]] == [(7, 1), (28, 0)]


def test_maps_of_classes_are_drawn_as_a_classifiers(explain: Explain) -> None:
    assert explain(class_maps(), "--targets", "dog") == "photo.png: old tree 90.0%; dog out/photo_1_dog.png\n"
    assert names() == ["explanations.jsonl", "photo_1_dog.npy", "photo_1_dog.png"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["d_rise", "occlusion"])
def test_a_detector_without_a_hook_is_asked_again_and_again(explain: Explain, method: str) -> None:
    options = ["--method", method, "--masks", "4", "--targets", "boxes:2", "--min-score", "0.4"]
    line = json.loads(explain(decoding("xyxy"), *options, "--json"))
    assert len(line["boxes"]) == 2 and line["cells"] == [16, 24]
    assert line["hook"]["method"] == method
    assert names() == ["explanations.jsonl", "photo_boxes.npy", "photo_boxes.png"]


@pytest.mark.slow
def test_formats_of_boxes_are_named_where_several_fit(explain: Explain) -> None:
    model, options = returning("boxes = Exp(raw) ", 4), ["--method", "d_rise", "--masks", "4", "--min-score", "0.4"]
    assert "several formats: distances, distances_pixels; name the one" in explain(model, *options, status=2)
    assert "(--boxes)" in explain(model, *options, status=2)
    assert explain(model, *options, "--boxes", "distances").startswith("photo.png: ")


@pytest.mark.slow
def test_boxes_in_parquet(explain: Explain) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    explain(sample(), "--engine", "local")
    (row,) = parquet.read_table("out/part-000000.parquet").to_pylist()
    assert (row["targets"], row["indices"], row["boxes"]) == ([1, 2], [2, 5], [16, 8, 80, 24, 0, 0, 160, 64])
    assert len(row["maps"]) == 2 * 4 * 5
