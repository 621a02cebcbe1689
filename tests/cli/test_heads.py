"""Several heads on the command line: one line and files of each, or the one that is named."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from models.two_heads import shared
from typer.testing import CliRunner

from openvino_xai.cli.app import app
from openvino_xai.errors import OvxaiError

pytestmark = pytest.mark.slow

BOTH = ("--scores", "color", "--scores", "shape")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx.save(shared(), tmp_path / "m.onnx")
    for number in range(2):
        photo = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", photo)[1].tobytes())
    (tmp_path / "shapes.txt").write_text("round\nsquare\nlong\n")
    return tmp_path


def ovxai(*arguments: object) -> str:
    return CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False).stdout


def test_insert_explain_and_what_is_done(folder: Path) -> None:
    hooked, out = folder / "m_xai.onnx", folder / "out"
    line = ovxai("insert", "-m", folder / "m.onnx", *BOTH)
    assert "reciprocam of 'color' at chosen layer 'f' (6 x 8 cells)" in line
    assert "reciprocam of 'shape' at chosen layer 'f'" in line
    lines = ovxai("explain", "-m", hooked, "-i", folder / "0.png", "-i", folder / "1.png", "-o", out).splitlines()
    assert [text.split(":")[0].rsplit(", ")[1] for text in lines] == ["color", "shape"] * 2
    assert len(list(out.glob("0_color_*.png"))) == len(list(out.glob("0_shape_*.png"))) == 1
    assert not ovxai("explain", "-m", hooked, "-i", folder / "0.png", "-i", folder / "1.png", "-o", out)
    next(out.glob("0_shape_*.npy")).unlink()  # then the photo is explained anew, and the other one is not
    again = ovxai("explain", "-m", hooked, "-i", folder / "0.png", "-i", folder / "1.png", "-o", out)
    assert [Path(text.split(",")[0]).name for text in again.splitlines()] == ["0.png"] * 2


def test_a_head_by_its_name(folder: Path) -> None:
    ovxai("insert", "-m", folder / "m.onnx", *BOTH)
    for model in ("m.onnx", "m_xai.onnx"):
        arguments = ["-m", folder / model, "-i", folder / "0.png", "-o", folder / model[:-5], "--scores", "shape", "--json"]
        line = json.loads(ovxai("explain", *arguments, "--labels", folder / "shapes.txt"))
        assert "heads" not in line
        assert line["predictions"][0]["label"] in ("round", "square", "long")


def test_json_of_all_heads(folder: Path) -> None:
    result = json.loads(ovxai("insert", "-m", folder / "m.onnx", *BOTH, "--json"))
    assert [(head["scores"], head["map"]) for head in result["heads"]] == [
        ("color", "saliency_map_color"),
        ("shape", "saliency_map_shape"),
    ]
    arguments = ["-m", folder / "m.onnx", "-i", folder / "0.png", "-o", folder / "o", *BOTH, "--json"]
    line = json.loads(ovxai("explain", *arguments))
    assert [head["scores"] for head in line["heads"]] == ["color", "shape"]
    listed = json.loads(ovxai("layers", "-m", folder / "m.onnx", *BOTH, "--json"))
    assert [layers[0]["name"] for layers in listed.values()] == ["f", "f"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "-m", "m_xai.onnx", "-i", "0.png", "-o", "r", "--report", "r.html"], "the report shows one head"),
        (["explain", "-m", "m_xai.onnx", "-i", "0.png", "-o", "r", "--scores", "size"], "'size' is not among them"),
        (["explain", "-m", "m_xai.onnx", "-i", "0.png", "-o", "r", "--layer", "f"], "carries a hook already"),
        (["compare", "-m", "m_xai.onnx", "-m", "m_xai.onnx", "-i", "0.png"], "explains 'color', 'shape'"),
        (["evaluate", "-m", "m_xai.onnx", "-i", "0.png"], "explains 'color', 'shape'"),
        (["evaluate", "-m", "m.onnx", "-i", "0.png", *BOTH], "outputs 'color', 'shape' are named, and one is looked at here"),
        (["explain", "-m", "m.onnx", "-i", "0.png", "-o", "r", *BOTH, "--method", "rise"], "one is looked at here"),
        (["explain", "-m", "m.onnx", "-i", "0.png", "-o", "r"], "2 of the model's outputs can be class scores"),
        (["insert", "-m", "m_xai.onnx", "--force"], "carries a hook already .of 2 heads"),
    ],
)
def test_refusals(arguments: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    ovxai("insert", "-m", "m.onnx", *BOTH)
    with pytest.raises(OvxaiError, match=message):
        ovxai(*arguments)


def test_benchmark_of_both(folder: Path) -> None:
    result = json.loads(ovxai("benchmark", "-m", folder / "m.onnx", *BOTH, "--iterations", "2", "--json"))
    assert result["hook"]["heads"] == "2"


def test_info_names_all_heads(folder: Path) -> None:
    ovxai("insert", "-m", folder / "m.onnx", *BOTH)
    lines = ovxai("info", folder / "m_xai.onnx")
    assert "decides: classes of images, read at 'color' and 'shape'" in lines
    assert "hook: method reciprocam, layer f" in lines
