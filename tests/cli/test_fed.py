"""What the command line says of what a model is fed: on stderr, and in results."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
from colours import colour_model, photo_examples
from command import ovxai
from tiny import CASES

pytestmark = pytest.mark.slow

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
    assert "holds answers to other questions" in said[0] and len(said) == 4
    assert "mean_values 0.5 are for pixels of 0..1" in said[1] and "12 of 12" in said[2]
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
    photos = place / "*.png"
    said = ovxai("compare", "-m", model, "-m", model, "-i", photos, "--layer", "f", *SILENT).stderr
    assert said.count("12 of 12 images are taken for") == 2


def test_a_preset_that_is_not_known(place: Path) -> None:
    model, photo = place / "model\x1b[31m.onnx", place / "1.png"
    said = ovxai("explain", "-m", model, "-i", photo, "-o", place / "out", "--preprocess", "imagnet", status=2).stderr
    assert said == (
        "ovxai: --preprocess 'imagnet' is not known: one of imagenet, inception, caffe, unit, raw, auto is expected; "
        "did you mean 'imagenet'?\n"
    )
    assert not (place / "out").exists()


@pytest.fixture
def colours(tmp_path: Path) -> tuple[Path, Path]:
    """A model that names colours, and photos of them in folders that are called after them."""
    onnx.save(colour_model(), tmp_path / "colours.onnx")
    photo_examples(tmp_path / "examples")
    return tmp_path / "colours.onnx", tmp_path / "examples"


def test_examples_find_what_to_feed_and_insert_stores_it(colours: tuple[Path, Path]) -> None:
    model, examples = colours
    auto = ("--preprocess", "auto", "--examples", examples)
    ask = ("explain", "-m", model, "-i", examples / "0", "-o", model.parent / "out", "--layer", "f", "--json")
    done = ovxai(*ask, *auto)
    assert "chosen: --preprocess unit, which names 10 of 10 examples rightly; the next, --preprocess" in done.stderr
    assert {json.loads(line)["preprocessing"]["fed"] for line in done.stdout.splitlines()} == {"RGB, 0..1, stretched to 6x6"}
    assert "are explained already" in ovxai(*ask, *auto).stderr

    for name in ("stored.onnx", "stored.xml"):
        target, source = model.parent / name, model
        if name.endswith(".xml"):
            source = model.parent / "colours.xml"
            ov.save_model(ov.Core().read_model(model), source, compress_to_fp16=False)
        result = json.loads(ovxai("insert", "-m", source, "-o", target, "--layer", "f", *auto, "--json").stdout)
        assert result["preprocessing"]["scale_values"] == [255, 255, 255]
        said = ovxai("explain", "-m", target, "-i", examples / "0", "-o", model.parent / name[:8], "--json")
        assert json.loads(said.stdout.splitlines()[0])["predictions"][0]["id"] == 0
        (note,) = said.stderr.splitlines()  # of colours, and nothing of what is fed
        assert note.startswith("ovxai: 2 of 2 maps say little or nothing (`notes` in explanations.jsonl)")


def test_examples_that_do_not_decide_are_not_decided_by(colours: tuple[Path, Path]) -> None:
    model, examples = colours
    for path in examples.glob("*/1.png"):
        path.unlink()
    target = model.parent / "stored.onnx"
    line = ("insert", "-m", model, "-o", target, "--layer", "f")
    said = ovxai(*line, "--preprocess", "auto", "--examples", examples, status=2).stderr.splitlines()
    assert said[1].startswith("ovxai: =  unit") and "5 of 5" in said[1]
    assert "5 examples do not tell which is right: --preprocess unit or --preprocess " in said[-1]
    assert "say where they are (--examples)" in ovxai(*line, "--preprocess", "auto", status=2).stderr
    assert "where the preset is auto (--preprocess)" in ovxai(*line, "--examples", examples, status=2).stderr
    assert "nobody says the order of channels and the resize" in ovxai(*line, "--scale_values", 255, status=2).stderr
    assert "no file or folder" in ovxai(*line, "--preprocess", "auto", "--examples", "none", status=2).stderr
    assert not target.exists()
