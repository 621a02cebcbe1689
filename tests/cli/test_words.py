"""What is given without a flag, and what is refused before a file is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai
from tiny import CASES

from openvino_xai.cli.app import app
from openvino_xai.cli.options.urls import without_url
from openvino_xai.dialects.onnx import OnnxModel
from openvino_xai.errors import InputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a photo, and what is neither."""
    onnx.save(CASES["pool and linear"].build(1, 17), tmp_path / "model.onnx")
    cv2.imwrite(str(tmp_path / "photo.png"), np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3))
    (tmp_path / "other.onnx").write_bytes((tmp_path / "model.onnx").read_bytes())
    (tmp_path / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (tmp_path / "page.xml").write_text("\n <!DOCTYPE html><html></html>")
    (tmp_path / "pointer.xml").write_text("<net></net>")
    (tmp_path / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "empty.onnx").touch()
    for name in ("net.pt", "net.pth", "net.h5", "net.keras", "net.engine", "net.mlmodel", "net.BIN"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*words: str) -> str:
    with pytest.raises(InputError) as error:
        app(list(words), standalone_mode=False)
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("explain photo.png model.onnx", "'photo.png' is a photo and 'model.onnx' a model, and the model comes first"),
        ("explain photo.png", "'photo.png' is a photo, and the model comes first"),
        ("explain model.onnx other.onnx photo.png", "'other.onnx' is a model, and 'model.onnx' is given already"),
        ("explain -m model.onnx --model=other.onnx photo.png", "'other.onnx' is a model, and 'model.onnx' is given already"),
        ("explain -m model.onnx other.onnx photo.png", "'other.onnx' is a model, and 'model.onnx' is given already"),
        ("explain model.onnx", "no PHOTO is given: ovxai explain MODEL PHOTO... is expected"),
        ("explain -i photo.png", "no MODEL is given"),
        ("compare model.onnx photo.png", "'photo.png' is a photo, and the model comes first"),
        ("compare model.onnx -m other.onnx", "no PHOTO is given: ovxai compare MODEL MODEL PHOTO... is expected"),
        ("layers model.onnx other.onnx", "'other.onnx' is one word too many: ovxai layers MODEL is expected"),
        ("layers model.onnx -m other.onnx", "'model.onnx' is one word too many: --model is 'other.onnx' already"),
        ("explain model.onnx no*.jpg", "no image was found in no*.jpg: no file is like that"),
        ("explain model.onnx photo.png -o map.png", "map.png has the name of a picture, and --output is the folder"),
        ("explain model.onnx fotos", "there is no file or folder fotos"),
        ("explain model.onnx none", "no image was found in none"),
        (
            "model.onnx photo.png",
            "'model.onnx' is a file, and a command comes first, as in `ovxai explain model.onnx photo.png`",
        ),
        ("info pointer.onnx", "a pointer of Git LFS, and not the file itself"),
        ("info pointer.xml", "pointer.bin is a pointer of Git LFS"),
        ("info page.xml", "a web page"),
        ("info empty.onnx", "is empty"),
        ("info net.pt", "weights of PyTorch"),
        ("layers net.pth", "torch.onnx.export"),
        ("insert net.h5", "a Keras model"),
        ("insert net.keras", "a Keras model"),
        ("benchmark net.engine", "TensorRT"),
        ("explain net.mlmodel photo.png", "Core ML"),
        ("info net.BIN", "the weights of a model: net.xml is expected beside it"),
        ("info saved", "a SavedModel of TensorFlow"),
        ("info none", "holds no .xml and no .onnx"),
        ("info .", "a folder: give the model in it"),
        ("info gone.pt", "there is no file gone.pt"),
        ("info photo.png", "'photo.png' is a photo, and the model comes first"),
    ],
)
def test_the_obvious_wrong_thing(words: str, line: str, place: Path) -> None:
    assert line in refused(*words.split())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            "--style hetmap",
            "--style 'hetmap' is not known: one of overlay, heatmap, contours is expected; did you mean 'heatmap'?",
        ),
        ("--colormap Turbo", "did you mean 'turbo'?"),
        ("--format jpeg", "--format 'jpeg' is not known: one of png, jpg, webp, none is expected; did you mean"),
        ("--method grad-cam", "did you mean 'grad_cam'?"),
        ("--method x", "--method 'x' is not known: one of reciprocam, "),
        ("--precision fp16", "did you mean 'f16'?"),
        ("--preprocess imagnet", "did you mean 'imagenet'?"),
        ("--layout nchw", "--layout 'nchw' is not known"),
        ("--opacity nan", "opacity is nan"),
        ("--opacity 2", "opacity is 2"),
        ("--engine spark", "one of local, ray is expected"),
        ("--max-memory 2Gb", "no amount of memory"),
        ("--targets top:0", "targets 'top:0' are not understood"),
        ("--targets boxes:x", "targets 'boxes:x' are not understood"),
        ("--grid 7", "grid"),
        ("--mean-values 1,2", "mean_values is '1,2'"),
        ("--labels gone.txt", "cannot read labels from gone.txt"),
    ],
)
def test_options_are_looked_at_before_the_model_is_read(
    options: str, line: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the model was read")

    monkeypatch.setattr(OnnxModel, "read", read)
    assert line in refused("explain", "model.onnx", "photo.png", *options.split())
    assert "there is no file gone.onnx" in refused("explain", "gone.onnx", "photo.png", *options.split())


@pytest.mark.slow
def test_words_and_flags_are_one(place: Path) -> None:
    lines = []
    for words in (
        "model.onnx photo.png",
        "-m model.onnx photo.png",
        "--model model.onnx --input photo.png",
        "model.onnx -i photo.png",
    ):
        output = place / f"out{len(lines)}"
        line = json.loads(ovxai("explain", *words.split(), "-o", output, "--json").stdout)
        lines.append([line["image"], line["predictions"], line["cells"]])
    assert lines == lines[:1] * 4
    assert ovxai("info", "model.onnx").stdout == ovxai("info", "-m", "model.onnx").stdout


@pytest.mark.slow
def test_where_maps_go_and_where_photos_come_from(place: Path) -> None:
    strange = place / "a b%20#[1].png"
    strange.write_bytes((place / "photo.png").read_bytes())
    url = f"FILE://localhost{place}/a%20b%2520%23%5B1%5D.png"
    line = json.loads(ovxai("explain", f"file://{place}/model.onnx", url, "--json").stdout)
    assert line["image"] == str(strange)
    assert Path(line["targets"][0]["overlay"]).parent == Path("ovxai_out")

    def piped(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "openvino_xai", *words]
        return subprocess.run(command, input=data, capture_output=True, timeout=120)

    first = piped((place / "photo.png").read_bytes(), "explain", "model.onnx", "-", "--json")
    image = json.loads(first.stdout)["image"]
    assert Path(image).read_bytes() == (place / "photo.png").read_bytes()
    assert (
        b"1 of 1 images are explained already" in piped((place / "photo.png").read_bytes(), "explain", "model.onnx", "-").stderr
    )
    cv2.imwrite("other.png", np.zeros((9, 9, 3), np.uint8))
    second = piped((place / "other.png").read_bytes(), "explain", "model.onnx", "-", "--json")
    assert json.loads(second.stdout)["image"] != image  # what was piped before stays
    for data, why in ((b"", b"that is empty"), (b"text", b"standard input: it is no image")):
        wrong = piped(data, "explain", "model.onnx", "-")
        assert wrong.returncode == 2 and why in wrong.stderr
    assert b"photo: -, 48x48" in piped((place / "photo.png").read_bytes(), "info", "model.onnx", "-").stdout


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("file:///a%20b.png", "/a b.png"),
        ("file:/a/b", "/a/b"),
        ("--output=file:///o%0a", "--output=/o\n"),
        ("-ofile:///o", "-o/o"),
        ("file:///%ff", os.fsdecode(b"/\xff")),
        ("model:0", "model:0"),
        ("C:/x.onnx", "C:/x.onnx"),
        ("node:/x", "node:/x"),
        ("--top:/x", "--top:/x"),
    ],
)
def test_file_urls_are_paths(argument: str, path: str) -> None:
    assert without_url(argument) == path


@pytest.mark.parametrize("argument", ["https://a.b/c.onnx", "S3://bucket/x", "--output=gs://x", "file://server/share/x"])
def test_nothing_is_downloaded(argument: str) -> None:
    with pytest.raises(InputError, match="nothing is downloaded"):
        without_url(argument)


@pytest.mark.parametrize("command", "info methods layers insert explain ui compare evaluate benchmark export".split())
def test_help_fits_on_a_screen(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        app([command, "--help"])
    short = capsys.readouterr().out
    assert 10 < len(short.splitlines()) <= 50
    with pytest.raises(SystemExit):
        app([command, "--help-all"])
    full = capsys.readouterr().out
    assert len(full.splitlines()) >= len(short.splitlines()) - 1
    assert "--help-all shows" not in full
    assert command == "methods" or ("MODEL" in short and "MODEL" in full)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("ovxai explain --style ", "overlay\nheatmap\ncontours"),
        ("ovxai explain --method rec", "reciprocam"),
        ("ovxai insert --scale u", "unit\nu8"),
        ("ovxai info --preprocess ", "imagenet\ninception\ncaffe\nunit\nraw\nauto"),
        ("ovxai insert --plan ", "lazy\ndirect"),
    ],
)
@pytest.mark.slow
def test_a_shell_completes_words(typed: str, words: str) -> None:
    shell = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_OVXAI_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "openvino_xai"]
    done = subprocess.run(command, env={**os.environ, **shell}, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == words.split(), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["c", "2,0", "all"])
def test_classes_by_label_for_methods_with_a_price_a_class(targets: str, place: Path) -> None:
    (place / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    asking = ("explain", "model.onnx", "photo.png", "--method", "grad_cam", "--labels", "labels.txt", "--preprocess", "raw")
    (line,) = ovxai(*asking, "--targets", targets, "--json").stdout.splitlines()
    classes = {"c": "c", "2,0": "ac", "all": "abcde"}[targets]
    assert sorted(target["label"] for target in json.loads(line)["targets"]) == list(classes)
