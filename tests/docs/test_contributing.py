"""The how-tos of CONTRIBUTING.md are carried out in a copy of the code, and are short."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TOS = dict(
    re.findall(r"^## (Add [^\n]+)\n(.*?)(?=^## |\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE)
)
LONGEST = 25  # lines
IN_BOTH = """
import openvino_xai as xai
from tiny import CASES, DIALECTS, in_dialect

def test_it_is_emitted_and_verified():
    for dialect in DIALECTS:
        model = in_dialect(CASES["pool and linear"].build("B", 17), dialect)
        assert xai.insert(model, method="energy_map", layer="f").record["method"] == "energy_map"
"""
TESTS = {
    "Add a method": ["tests/hooks/test_hooks.py", "tests/test_in_both.py", "-k", "energy_map or emitted"],
    "Add an operation": ["tests/operations/test_laws.py", "tests/dialects/test_conformance.py", "-k", "asinh or case or tried"],
    "Add a metric": ["tests/evaluate/test_metrics.py", "-k", "what_a_map_leaves or constant or allows"],
}


def changes(how_to: str) -> list[tuple[str, str, str]]:
    """The file, the place in it (`in TABLE`, `before NAME`, or "" for its end) and the text, for each change of a how-to."""
    code = "".join(re.findall(r"```python\n(.*?)```", how_to, re.DOTALL))
    return re.findall(r"^# ([\w/.]+\.py)(?:, ((?:in|before) \w+))?\n(.*?)(?=^# [\w/.]+\.py|\Z)", code, re.DOTALL | re.MULTILINE)


def changed(before: str, place: str, text: str) -> str:
    """A file with a change made as a reader would make it."""
    lines = text.splitlines(keepends=True)
    imports = "".join(line for line in lines if line.startswith(("import ", "from ")))
    rest = "".join(line for line in lines if not line.startswith(("import ", "from ")))
    future = "from __future__ import annotations\n"
    head, marker, body = before.partition(future)
    if not marker:
        return f"{before}{imports}{rest}"
    if not place:
        return f"{head}{future}{imports}{body}\n\n{rest}"
    how, _, name = place.partition(" ")
    table = re.search(rf"^{name}\b.*\n", body, re.MULTILINE)
    assert table, f"there is no {name}"
    at = table.end() if how == "in" else table.start()
    return f"{head}{future}{imports}{body[:at]}{rest}{body[at:]}"


@pytest.mark.parametrize("title", HOW_TOS)
def test_how_tos_are_short(title: str) -> None:
    assert len(HOW_TOS[title].strip().splitlines()) <= LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("title", TESTS)
def test_how_tos_lead_there(title: str, tmp_path: Path) -> None:
    """In a copy that is changed as the how-to says, its tests and those that were there before pass."""
    for folder in ("openvino_xai", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "zoo"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, place, text in changes(HOW_TOS[title]):
        path = tmp_path / name
        path.write_text(changed(path.read_text() if path.exists() else "", place, text))
    (tmp_path / "tests" / "test_in_both.py").write_text(IN_BOTH)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS[title]]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"\d+ passed", ran.stdout)


def test_every_how_to_is_tried() -> None:
    assert set(TESTS) <= set(HOW_TOS)
    for how_to in HOW_TOS.values():
        assert all((ROOT / name).parent.is_dir() for name, _, _ in changes(how_to))
