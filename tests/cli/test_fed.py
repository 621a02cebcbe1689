"""What the command line says of what a model is fed: on stderr, and in results."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai as in_process
from tiny import CASES

pytestmark = pytest.mark.slow

ovxai = partial(in_process, seconds=200)
SILENT = ("--preprocess", "raw")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model that tells nothing of itself, and twelve photos that it takes for one class."""
    onnx.save(CASES["pool and linear"].build("B", 17), tmp_path / "model\x1b[31m.onnx")
    photo = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.clip(photo.astype(int) + number, 0, 255).astype(np.uint8))
    return tmp_path


def explain(place: Path, *more: object) -> tuple[list[dict[str, object]], list[str]]:
    """The lines of standard output, as JSON, and those of standard error."""
    model, output = place / "model\x1b[31m.onnx", place / "out"
    done = ovxai("explain", "-m", model, "-i", place / "*.png", "-o", output, "--layer", "f", "--json", "--again", *more)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.splitlines()


def test_nothing_is_fed_in_silence(place: Path) -> None:
    lines, said = explain(place)
    assert len(lines) == 12 and lines[0]["preprocessing"]["fed"] == "BGR, 0..255, stretched to 6x8"  # type: ignore[index]
    assert "model\\x1b[31m.onnx: the model does not tell its preprocessing: fed is BGR, 0..255, stretched to 6x8. " in said[0]
    assert said[0].endswith("(--preprocess, --mean-values, --scale-values, --reverse-input-channels, --resize-type)")
    assert "12 of 12 images are taken for '" in said[1] and len(said) == 2

    lines, said = explain(place, *SILENT, "--mean_values", ".5", "--report", place / "out" / "report.html")
    assert "mean_values 0.5 are for pixels of 0..1" in said[0] and "12 of 12" in said[1] and len(said) == 3
    assert lines[0]["preprocessing"]["sources"]["mean_values"] == "the options"  # type: ignore[index]
    assert "fed BGR, -0.5..254.5, stretched to 6x8" in (place / "out" / "report.html").read_text("utf-8")


def test_jobs_say_it_once(place: Path) -> None:
    pytest.importorskip("pyarrow")
    model, output = place / "model\x1b[31m.onnx", place / "job"
    job = ("explain", "-m", model, "-i", place / "*.png", "-o", output, "--layer", "f", "--engine", "local", "--workers", 2)
    said = ovxai(*job, "--shard-size", 4, "--json").stderr
    assert said.count("does not tell its preprocessing") == 1 and said.count("12 of 12 images are taken for") == 1


def test_evaluate_and_compare_say_it(place: Path) -> None:
    model, photo = place / "model\x1b[31m.onnx", place / "1.png"
    result = ovxai("evaluate", "-m", model, "-i", photo, "--layer", "f", "--metric", "complexity", "--json")
    assert json.loads(result.stdout)["preprocessing"]["sources"] == {} and "does not tell its preprocessing" in result.stderr
    said = ovxai("compare", "-m", model, "-m", model, "-i", photo, "--layer", "f", "--json").stderr
    assert said.count("does not tell its preprocessing") == 2
    assert ovxai("compare", "-m", model, "-m", model, "-i", photo, "--layer", "f", *SILENT).stderr == ""


def test_a_preset_that_is_not_known(place: Path) -> None:
    model, photo = place / "model\x1b[31m.onnx", place / "1.png"
    said = ovxai("explain", "-m", model, "-i", photo, "-o", place / "out", "--preprocess", "imagnet", status=2).stderr
    assert said == (
        "ovxai: the preset 'imagnet' is not known: one of imagenet, inception, caffe, unit, raw is expected (--preprocess)\n"
    )
    assert not (place / "out").exists()
