"""Paths are whatever somebody typed: asking what they lead to raises nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sources import nodes

from openvino_xai.files import paths

PACKAGE = Path(paths.__file__).parents[1]
OTHERS = {"paths.py", "installed.py"}  # the last runs without the rest
QUESTIONS = {"exists", "is_file", "is_dir", "is_symlink"}


@pytest.mark.parametrize("odd", ["n" * 5000, "a\0b", "loop/inside", "\udcff", ""])
def test_odd_paths_lead_nowhere(odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for question in (paths.exists, paths.is_file, paths.is_folder, paths.is_link):
        assert question(odd) is False
    assert paths.resolved("loop").name == "loop"
    assert paths.resolved("a\0b") == Path("a\0b")


def test_they_are_asked_nowhere_else() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = [node.func for node in nodes(path) if isinstance(node, ast.Call)]
        questions = {call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in QUESTIONS}
        assert not questions or path.name in OTHERS or path.parent.name == "programs", f"{path} asks a path itself: {questions}"
