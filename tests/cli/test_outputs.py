"""Outputs that cannot be written: one line that names them, whatever the command, and nothing else is touched."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from tiny import CASES

from openvino_xai.cli import main
from openvino_xai.cli.options import _labels
from openvino_xai.errors import InputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a hooked one, a photo and labels, in the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    onnx.save(CASES["residual, layer second"].build("B", 17), "m.onnx")
    cv2.imwrite("photo.png", np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8))
    Path("photos.csv").write_text("path,label\nphoto.png,1\n")
    Path("file").write_text("precious")
    Path("labels.txt").write_text("a\nb\nc\nd\ne\n")
    return tmp_path


def ovxai(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, limit: int | None = None
) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(SystemExit) as end:
        try:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            main()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return end.value.code, capsys.readouterr().err


LABELS = ("--labels", "labels.txt")
COMMANDS = {
    "insert": ("insert", "-m", "m.onnx", "--force", "-o"),
    "explain": ("explain", "-m", "m.onnx", "-i", "photo.png", *LABELS, "-o"),
    "explain, report": ("explain", "-m", "m.onnx", "-i", "photo.png", *LABELS, "-o", "fine", "--report"),
    "explain, engine": ("explain", "-m", "m.onnx", "-i", "photo.png", *LABELS, "--engine", "local", "-o"),
    "evaluate": ("evaluate", "-m", "m.onnx", "-i", "photos.csv", *LABELS, "--metric", "average_drop", "-o"),
    "compare": ("compare", "-m", "m.onnx", "-m", "m.onnx", "-i", "photo.png", *LABELS, "-o"),
    "export": ("export", "-m", "m_xai.onnx", "--server", "triton", "--force", "-o"),
}
SUFFIXES = {"insert": ".onnx", "explain, report": ".html", "compare": ".png"}


@pytest.fixture
def targets(place: Path) -> Iterator[list[str]]:
    yield ["file/out", "file/deeper/out", "x" * 260, "/proc/out", "/dev/null/out", "a\0b"]


@pytest.mark.parametrize("command", COMMANDS)
def test_where_nothing_can_be_written(
    command: str, targets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "export":
        assert ovxai(monkeypatch, capsys, "insert", "-m", "m.onnx", "--runtime", "both")[0] == 0
    for target in targets:
        path = target + SUFFIXES.get(command, "")
        status, said = ovxai(monkeypatch, capsys, *COMMANDS[command], path)
        lines = said.splitlines()
        assert status == 2, (command, target, said)
        assert lines[-1].startswith("ovxai: cannot ") and "internal error" not in said, (command, target, said)
    assert Path("file").read_text() == "precious"
    assert not list(Path().rglob(".ovxai-*"))


@pytest.mark.parametrize("command", ["insert", "explain", "explain, report", "evaluate", "compare", "export"])
def test_a_disk_that_takes_no_more(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the limit of a file's size says it: what is written is named, and nothing half of it is left."""
    if command == "export":
        assert ovxai(monkeypatch, capsys, "insert", "-m", "m.onnx", "--runtime", "both")[0] == 0
    if command == "explain, report":
        assert ovxai(monkeypatch, capsys, *COMMANDS[command][:-2], "fine")[0] == 0
    before = {path for path in Path().rglob("*") if path.is_file()}
    output = "out" + SUFFIXES.get(command, "")
    status, said = ovxai(monkeypatch, capsys, *COMMANDS[command], output, limit=20)
    assert status == 2
    assert said.splitlines()[-1].startswith("ovxai: cannot write "), said
    assert "out" in said or "fine" in said
    new = [path for path in Path().rglob("*") if path.is_file() and path not in before]
    # where lines are only added, one that is cut off is overlooked
    assert not [path for path in new if path.stat().st_size == 20 and path.suffix not in (".claims", ".jsonl")]


def test_labels_are_lines_of_a_regular_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffone\r\ntwo\u2028too\x0b\x85\n\nfour".encode())
    assert _labels(path) == ["one", "two\u2028too\x0b\x85", "", "four"]
    import os

    os.mkfifo(tmp_path / "pipe")
    for wrong, why in (("pipe", "it is no regular file"), ("none", "No such file"), ("x" * 300, "File name too long")):
        with pytest.raises(InputError, match=f"cannot read labels from .*{why}"):
            _labels(tmp_path / wrong)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot read labels from"):
        _labels(path)
