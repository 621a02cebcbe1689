"""Installed beside openvino_xai, this package says so once, and what helps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import openvino_xai as xai
from openvino_xai import predecessor
from openvino_xai.errors import MixedInstallWarning
from openvino_xai.predecessor import installed

PACKAGE = Path(xai.__file__).parent


@pytest.fixture
def beside(tmp_path: Path) -> ModuleType:
    """A package in a folder for installed ones, beside openvino_xai 1.1.0."""
    (tmp_path / "openvino_xai-1.1.0.dist-info").mkdir()
    package = ModuleType("openvino_xai")
    package.__path__ = [str(tmp_path / "openvino_xai")]
    package.__file__ = str(tmp_path / "openvino_xai" / "__init__.py")
    return package


def test_alone_there_is_nothing_to_say(beside: ModuleType, tmp_path: Path) -> None:
    assert installed.mixture() is None
    (tmp_path / "openvino_xai-1.1.0.dist-info").rmdir()
    (tmp_path / "openvino_xai_more-1.0.dist-info").mkdir()
    assert installed.mixture(beside) is None


def test_two_are_told(beside: ModuleType) -> None:
    text = installed.mixture(beside)
    assert text is not None
    assert text.startswith("openvino_xai 1.1.0 is installed beside ovxai")
    assert "pip uninstall" in text


def test_what_an_uninstall_leaves_is_told(beside: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "openvino_xai-1.1.0.dist-info").rmdir()
    beside.__file__ = None
    assert "files of ovxai are missing" in str(installed.mixture(beside))


def test_what_lies_in_no_folder_is_alone(beside: ModuleType, tmp_path: Path) -> None:
    beside.__path__ = [str(tmp_path / "bundle.zip" / "openvino_xai")]
    assert installed.mixture(beside) is None


def test_it_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    predecessor.warn_of_mixture.cache_clear()
    monkeypatch.setattr(installed, "mixture", lambda: "both are there")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        _ = xai.insert
        _ = xai.load
    predecessor.warn_of_mixture.cache_clear()
    assert [(note.category, str(note.message)) for note in notes] == [(MixedInstallWarning, "both are there")]
    assert Path(notes[0].filename) == Path(__file__)


@pytest.mark.slow
def test_the_command_line_says_it_once(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "openvino_xai", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "openvino_xai-1.1.0.dist-info").mkdir()
    command = [sys.executable, "-c", "from openvino_xai.cli.start import start; start()", "info", "--model", "nothing.onnx"]
    run = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True)
    lines = run.stderr.splitlines()
    assert run.returncode == 2
    assert [line.startswith("ovxai: openvino_xai 1.1.0 is installed beside ovxai") for line in lines] == [True, False]
