"""Words are types: a type checker says what is misspelled, and where nothing checks types, the error says what was meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai import contract, words
from openvino_xai.boxes.decoding import FORMATS
from openvino_xai.choices import quoted, suggestion
from openvino_xai.errors import InputError
from openvino_xai.hooks import KERNELS, METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.hooks.scale import SCALES
from openvino_xai.probes import PROBE_NAMES

ROOT = Path(__file__).parents[2]
RIGHT = """
from pathlib import Path
import numpy as np
import openvino_xai as xai
hooked = xai.insert("m.onnx", method="grad_cam", score="logit", scale="u8", plan="direct", targets=[3], cut="heads")
network = xai.load(hooked, precision="bf16", hint="THROUGHPUT")
xai.probe("m.onnx", "rise", settings=xai.Settings(masks=3))
xai.explain("m.onnx", Path("a.png"), ["cat", 3], method="rise", masks=100, seed=1, labels=["cat"], preprocess="imagenet")
xai.explain(network, np.zeros((3, 4, 3), np.uint8)).overlay()
xai.insert("m.onnx", method=xai.OwnMethod("mine"))
network.explain("a.png", targets="cat").plot(colormap="turbo", smoothing="nearest")
xai.methods(kind="hook", explains="boxes")
"""
WRONG = """
xai.insert("m.onnx", method="gradcam")
xai.insert("m.onnx", method="rise")
xai.insert("m.onnx", score="softmaxx")
xai.insert("m.onnx", scale="int8")
xai.insert("m.onnx", boxes="xyyx")
xai.insert("m.onnx", kernel="gauss")
xai.load("m.onnx", precision="FP32")
xai.load("m.onnx", hint="latency")
xai.probe("m.onnx", "rise_cam")
xai.explain("m.onnx", "a.png", method="gradcam")
xai.explain("m.onnx", "a.png", precision="int8")
xai.explain("m.onnx", "a.png", metod="rise")
xai.explain("m.onnx", "a.png", masks="many")
xai.methods(kind="hooks")
network.explain("a.png").overlay(smoothing="cubic")
"""


def test_words_are_those_of_the_tables() -> None:
    assert set(get_args(words.ClassHook)) == set(METHODS)
    assert set(get_args(words.RowHook)) == set(ROW_METHODS)
    assert set(get_args(words.ProbeName)) == set(PROBE_NAMES)
    assert set(get_args(words.Kernel)) == set(KERNELS)
    assert set(get_args(words.ScaleWord)) == set(SCALES)
    assert set(get_args(words.BoxFormat)) == set(FORMATS)
    assert get_args(words.ScoreWord) == contract.SCORES


@pytest.mark.slow
def test_a_type_checker_sees_what_is_misspelled(tmp_path: Path) -> None:
    lines = (RIGHT + WRONG).splitlines()
    (tmp_path / "snippet.py").write_text("\n".join(lines))
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "snippet.py",
            "--cache-dir",
            str(tmp_path / "cache"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT), "PATH": "/usr/bin"},
    )
    places = {
        int(line.split(":")[1]) for line in process.stdout.splitlines() if line.startswith("snippet.py") and ": error" in line
    }
    first = len(RIGHT.splitlines()) + 2
    assert places == set(range(first, len(lines) + 1)), process.stdout


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("gradcam", "grad_cam"),
        ("GradCAM", "grad_cam"),
        ("Grad-CAM++", "grad_cam_plus_plus"),
        ("hirescam", "hires_cam"),
        ("recipro_cam", "reciprocam"),
        ("ViTReciproCAM", "vit_reciprocam"),
        ("layercam", "layer_cam"),
        ("LIME", None),
        ("", None),
        ("x" * 100, None),
    ],
)
def test_the_word_that_was_meant(word: str, meant: str | None) -> None:
    assert suggestion(word, METHODS) == (f"; did you mean '{meant}'?" if meant else "")


def test_errors_say_it() -> None:
    model = CASES["pool and linear"].build(1, 17)
    calls: list[tuple[Any, str]] = [
        (lambda: xai.insert(model, method="gradcam"), "method 'gradcam' is not known: .* did you mean 'grad_cam'"),  # type: ignore[arg-type]
        (lambda: xai.insert(model, score="soft-max"), "did you mean 'softmax'"),  # type: ignore[arg-type]
        (lambda: xai.load(model, precision="fp32"), "precision 'fp32' .* did you mean 'f32'"),  # type: ignore[arg-type]
        (lambda: xai.load(model, hint="latency"), "did you mean 'LATENCY'"),  # type: ignore[arg-type]
        (lambda: xai.probe(model, "RISE"), "did you mean 'rise'"),  # type: ignore[arg-type]
        (lambda: xai.methods(kind="hooks"), "did you mean 'hook'"),  # type: ignore[arg-type]
        (lambda: xai.Style(colormap="Turbo"), "did you mean 'turbo'"),
        (lambda: xai.explain(model, np.zeros((6, 8, 3), np.uint8), preprocess="imgnet"), "did you mean 'imagenet'"),
    ]
    for call, match in calls:
        with pytest.raises(InputError, match=match):
            call()


def test_what_is_quoted_is_short_and_never_fails() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, "x" * 1000, b"y" * 1000, list(range(1000)), object(), np.zeros((100, 100)), {1: circle}):
        assert len(quoted(value)) < 200
