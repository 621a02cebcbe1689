"""`ovxai info`: what a model is, whatever it is, and a photo as it sees it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from colours import colour_model, photo_examples
from command import ovxai
from plain_detectors import decoding
from tiny import CASES, DIALECTS, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.locate.located import Where
from openvino_xai.runtime.summary import summary_of

CASE = CASES["pool and linear"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_classifier_is(dialect: str) -> None:
    summary = summary_of(in_dialect(CASE.build("B", 17), dialect), Where())
    assert summary.decides == "classes of images, read at 'logits' (logit), or a vector" and summary.classes == 5
    assert summary.version.startswith("ONNX, opset 17" if dialect == "onnx" else "OpenVINO, opset ")
    assert summary.inputs[0].name == "image" and summary.inputs[0].shape.endswith("3, 6, 8]")
    assert summary.weights["float32"] > 100 and not summary.quantised and not summary.hook
    assert summary.preprocessing is not None and summary.preprocessing.unsaid


@pytest.mark.parametrize(
    ("body", "output", "decides"),
    [
        ("f = Conv<pads=[1, 1, 1, 1]>(image, k) logits = Identity(f)", "float[B,5,6,8] logits", "classes of pixels"),
        (
            "f = Conv<pads=[1, 1, 1, 1]>(image, k) logits = ReduceMean<axes=[1, 2, 3], keepdims=0>(f)",
            "float[B] logits",
            "unknown",
        ),
    ],
)
def test_what_other_models_are(body: str, output: str, decides: str) -> None:
    assert summary_of(tiny(body, output=output, k=(5, 3, 3, 3)), Where()).decides.startswith(decides)


def test_what_a_detector_and_a_hooked_model_are() -> None:
    assert summary_of(decoding("xyxy"), Where()).decides.startswith("boxes")
    hook = summary_of(xai.insert(CASE.build("B", 17), layer="f", targets="top:2").model, Where()).hook
    assert (hook["method"], hook["layer"], hook["targets"]) == ("reciprocam", "f", "top:2")


def test_a_model_without_an_image() -> None:
    model = tiny("logits = Gemm(image, w)", image=(4,), w=(4, 5))
    summary = summary_of(model, Where())
    assert summary.preprocessing is None and "0 inputs that can be an image" in str(summary.unread)


@pytest.mark.slow
def test_lines_json_and_a_picture(tmp_path: Path) -> None:
    model, picture = tmp_path / "evil\x1b[31m\n.onnx", tmp_path / "seen.png"
    proto = colour_model()
    onnx.helper.set_model_props(proto, {"model_info labels": "a\x1b]0;x\x07 b_c \u202ed e f", "model_info note": "n" * 500})
    onnx.save(proto, model)
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((8, 16, 3), (10, 20, 30), np.uint8))
    said = ovxai("info", model, "-i", tmp_path / "photo.png", "-o", picture, "--preprocess", "imagenet")
    assert said.stderr == "" and "\x1b" not in said.stdout and "\u202e" not in said.stdout
    assert f"model_info note: {'n' * 120}..." in said.stdout and "labels: 5 for 5 classes" in said.stdout
    assert (
        "its centre cropped to 6x6, NCHW, float32" in said.stdout and "said by: the preset imagenet (mean_values" in said.stdout
    )
    assert cv2.imread(str(picture)).shape[1] == 5 * 220

    said = ovxai("info", "-m", model, "-i", tmp_path / "photo.png", "--json")
    result = json.loads(said.stdout)
    assert "does not tell its preprocessing" in said.stderr
    assert [(row["colour"], row["min"], row["max"]) for row in result["photo"]["channels"]] == [
        ("blue", 10, 10),
        ("green", 20, 20),
        ("red", 30, 30),
    ]
    assert result["labels"][1] == "b c" and result["photo"]["box"] == [0, 0, 16, 8] and result["hook"] is None


@pytest.mark.slow
def test_a_ranking_is_shown_and_used_for_nothing(tmp_path: Path) -> None:
    onnx.save(colour_model(), tmp_path / "colours.onnx")
    photo_examples(tmp_path / "examples")
    ask = ("info", tmp_path / "colours.onnx", "--preprocess", "auto", "--examples", tmp_path / "examples")
    said = ovxai(*ask)
    assert "unit       RGB    standard  10 of 10  --preprocess unit --resize_type crop; " in said.stdout
    assert "chosen: --preprocess unit, which names 10 of 10" in said.stdout and "fed: BGR, 0..255" in said.stdout
    result = json.loads(ovxai(*ask, "--json").stdout)
    assert result["ranking"]["winner"]["preset"] == "unit" and result["preprocessing"]["sources"] == {}


@pytest.mark.slow
def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    broken, model, photo = tmp_path / "broken.onnx", tmp_path / "model.onnx", tmp_path / "photo.png"
    broken.write_bytes(b"\x08\x07nonsense")
    photo.write_bytes(b"no photo")
    onnx.save(CASE.build("B", 17), model)
    for arguments, message in (
        ((broken,), "cannot read"),
        ((tmp_path / "none.xml",), "there is no file"),
        ((), "no MODEL is given"),
        ((model, "-m", model), "is given already"),
        ((model, "-o", tmp_path / "seen.png"), "say which with --input"),
        ((model, "-i", photo), "cannot read"),
        ((model, "-i", photo, "-o", tmp_path / "seen.jpg"), "does not end in .png"),
        ((model, "--scores", "other"), "no output 'other'"),
        ((model, "--image-input", "other"), "0 inputs called 'other'"),
        ((model, "--preprocess", "auto"), "say where they are (--examples)"),
    ):
        said = ovxai("info", "--preprocess", "raw", *arguments, status=2) if arguments else ovxai("info", "--json", status=2)
        assert message in said.stderr and len(said.stderr.splitlines()) == 1, said.stderr
    assert not (tmp_path / "seen.png").exists()
