from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from tiny import CASES

from openvino_xai.cli.app import app
from openvino_xai.dialects.onnx import OnnxModel
from openvino_xai.errors import OutputError

PHOTO = Path(__file__).parents[2] / "samples" / "images" / "cat.png"


@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_an_output_that_no_file_system_takes_is_refused(tmp_path: Path, command: str) -> None:
    onnx.save(CASES["pool and linear"].build(1, 17), tmp_path / "model.onnx")
    output = str(tmp_path / ("n" * 300))
    arguments = [command, "--model", str(tmp_path / "model.onnx"), "--input", f"{PHOTO.parent}/*", "--output", output]
    with pytest.raises(OutputError, match="File name too long"):
        app(arguments, standalone_mode=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    onnx.save(CASES["pool and linear"].build(1, 17), tmp_path / "model.onnx")
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "closed").mkdir()
    (tmp_path / "full").mkdir()
    monkeypatch.chdir(tmp_path)

    def read(*_: object) -> None:
        raise AssertionError("the model was read")

    def access(path: Path, mode: int, real: Callable[[Path, int], bool] = os.access) -> bool:
        return Path(path).name != "closed" and real(path, mode)

    def usage(path: Path, real: Callable[[Path], Any] = shutil.disk_usage) -> Any:
        return SimpleNamespace(free=0) if Path(path).name == "full" else real(path)

    monkeypatch.setattr(OnnxModel, "read", read)
    monkeypatch.setattr(os, "access", access)  # who runs tests may be root, whom nothing is closed to
    monkeypatch.setattr(shutil, "disk_usage", usage)
    return tmp_path


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("file/{}", "a folder is expected where a file is"),
        ("closed/{}", "choose a place that you may write in"),
        ("closed/a/b/{}", "choose a place that you may write in"),
        ("full/{}", "free some space"),
        ("{}/" + "n" * 300, "shorter name"),
    ],
)
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("insert model.onnx", "hooked.onnx"),
        (f"explain model.onnx {PHOTO}", "out"),
        (f"explain model.onnx {PHOTO} --engine local", "out"),
        (f"explain model.onnx {PHOTO} --report", "report.html"),
        (f"info model.onnx {PHOTO}", "seen.png"),
        (f"compare model.onnx model.onnx {PHOTO}", "worst.png"),
        (f"evaluate model.onnx {PHOTO}", "out"),
        ("export model.onnx --server triton", "out"),
    ],
)
def test_an_output_is_looked_at_before_the_work(command: str, name: str, output: str, why: str, place: Path) -> None:
    words = command.split()
    path = output.format(name) + (".png" if len(output) > 99 and name.endswith(".png") else "")
    path += ".html" if len(output) > 99 and name.endswith(".html") else ""
    with pytest.raises(OutputError, match=why):
        app([*words, *([] if words[-1].startswith("--report") else ["--output"]), path], standalone_mode=False)
    assert sorted(path.name for path in place.iterdir()) == "closed file folder.png full model.onnx pipe.png".split()


@pytest.mark.parametrize("output", ["folder.png", "pipe.png"])
@pytest.mark.parametrize("command", [f"info model.onnx {PHOTO}", f"compare model.onnx model.onnx {PHOTO}", "insert model.onnx"])
def test_what_is_there_and_no_file_stays(command: str, output: str, place: Path) -> None:
    with pytest.raises(OutputError, match="what is there is"):
        app([*command.split(), "--output", output], standalone_mode=False)
