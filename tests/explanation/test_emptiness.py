"""Maps that say nothing are said to say nothing, by `explain` itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from results import classes as explanation_of_classes
from tiny import tiny

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.explanation.emptiness import (
    COARSE_VALUES,
    NO_CLASS,
    NOTHING,
    SATURATED,
    are_alike,
    emptiness,
    improbable_class,
)

RNG = np.random.default_rng(0)
RANDOM = RNG.random((7, 7)).astype(np.float32)
FED = ("--scale-values", "255")


def cells(text: str) -> np.ndarray:
    """A map of digits, a row a word."""
    return np.array([[float(digit) for digit in row] for row in text.split()], np.float32)


@pytest.mark.parametrize(
    ("saliency", "note"),
    [
        (np.zeros((7, 7), np.float32), NOTHING),
        (np.full((1, 1), 0.3, np.float32), NOTHING),
        (np.where(RANDOM < 0.45, RANDOM, 1), SATURATED),
        (np.round(RANDOM * 4) / 4, COARSE_VALUES.format(5)),
        (cells("00110 01230 02330"), COARSE_VALUES.format(4)),
    ],
)
def test_what_a_map_does_not_tell(saliency: np.ndarray, note: str) -> None:
    assert emptiness(saliency) == emptiness(saliency * 3) == [note]


@pytest.mark.parametrize(
    "saliency",
    [RANDOM, RANDOM - 1, np.round(RANDOM * 255) / 255, cells("0000 0090 0000"), cells("0000 0950 0000"), cells("12 34")],
)
def test_nothing_is_said_of_a_map_that_tells_places_apart(saliency: np.ndarray) -> None:
    """Of few cells, or of many that are 0, as behind a ReLU, few values are no loss."""
    assert emptiness(saliency) == []


@pytest.mark.parametrize(("precision", "bits"), [("f32", 23), ("f16", 10), ("bf16", 7)])
def test_rounding_tells_nothing(precision: str, bits: int) -> None:
    for share, says in ((2.0, True), (8.0, False)):
        notes = emptiness(1 - np.float64(RANDOM) * share * 2.0**-bits, precision)
        assert bool(notes) == says and all(f"rounding in {precision}" in note for note in notes)


def test_maps_are_alike_up_to_their_scale() -> None:
    assert are_alike(RANDOM, RANDOM * 2 + 1) and not are_alike(RANDOM, -RANDOM)
    assert not are_alike(RANDOM, np.ones_like(RANDOM)) and not are_alike(np.ones_like(RANDOM), RANDOM)


def test_a_class_that_is_improbable() -> None:
    y = np.array([0.6, 0.35, 0.04, 0.01])
    assert improbable_class(y, [0, 1, 2, 3], 0) == 3 and improbable_class(y, [0, 1, 2], 0) == 2
    assert improbable_class(y, [0, 1], 0) is None and improbable_class(y, [3, 2], 3) is None


def test_explanations_have_notes(tmp_path: Path) -> None:
    plain = explanation_of_classes()
    assert plain.notes == ((), ()) and "notes" not in plain.to_dict()["targets"][0]
    marked = replace(plain, maps=np.stack([np.zeros((3, 4), np.float32), plain.maps[1]]), lookalikes=(None, "a dog"))
    assert marked.notes == ((NOTHING,), (NO_CLASS.format("a dog"),))
    assert marked.to_dict()["targets"][0]["notes"] == [NOTHING]
    marked.save(tmp_path)
    assert xai.Explanation.load(tmp_path) == marked
    for lookalikes in (("a dog",), (None, 3), "ab"):
        with pytest.raises(InputError, match="a lookalike of an explanation"):
            replace(plain, lookalikes=lookalikes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network whose classes all look at brightness, a photo with a bright place, and one of one colour."""
    body = "f = Conv<pads=[1,1,1,1]>(image, k) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w)"
    k, w = np.zeros((1, 3, 3, 3), np.float32), np.array([[12], [9], [8], [7], [6]], np.float32)
    k[:, :, 1, 1] = 1
    onnx.save(tiny(body, image=(3, 6, 6), k=k, w=w), tmp_path / "model.onnx")
    photo = np.random.default_rng(0).integers(0, 20, (6, 6, 3)).astype(np.uint8)
    photo[1:3, 1:4] = 255
    for name, pixels in (("bright", photo), ("grey", np.full((6, 6, 3), 99, np.uint8))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.resize(pixels, (240, 240), interpolation=cv2.INTER_NEAREST))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_map_of_nothing_is_told_of(folder: Path, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[object] = []
    monkeypatch.setattr("openvino_xai.cli.evaluation.checks.warn", warnings.append)
    said = command("explain", "model.onnx", "bright.png", "grey.png", *FED).splitlines()
    assert not any(NOTHING in line for line in said[:1]) and said[1].endswith(f"; of 0: {NOTHING}")
    assert len(warnings) == 1 and str(warnings[0]).startswith("1 of 2 maps say little or nothing")
    lines = [json.loads(line) for line in Path("ovxai_out/explanations.jsonl").read_text().splitlines()]
    assert [line["targets"][0].get("notes") for line in lines] == [None, [NOTHING]]
    heights = [cv2.imread(line["targets"][0]["overlay"]).shape[0] for line in lines]
    assert heights[0] == 240 < heights[1]  # the text stands under the picture


def test_a_map_of_every_class_is_told_of(folder: Path, command: Callable[..., str]) -> None:
    for method, notes in (
        ("reciprocam", [NO_CLASS.format("4")]),
        ("activation_map", None),
    ):  # that is for all classes, and says so
        command(
            "insert", "model.onnx", "--method", method, "--score", "logit", "--targets", "all", "--output", f"{method}.onnx"
        )
        line = json.loads(command("explain", f"{method}.onnx", "bright.png", *FED, "--json", "--output", method))
        assert line["targets"][0].get("notes") == notes
