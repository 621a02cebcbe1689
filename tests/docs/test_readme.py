"""Every block of the README is executed, the two that set up by `.ci/run`; so is every Python sample."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 120  # lines: what it leaves out is in docs/
BLOCKS = re.findall(r"(?:<!-- (\w+) -->\n)?```(\w*)\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_blocks_in_order(tmp_path: Path) -> None:
    """Commands and Python as a reader would type them, one after the other, in a copy of the repository's samples."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples", ignore=shutil.ignore_patterns("*_xai*"))
    start = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = 0
    for marker, language, text in BLOCKS:
        if marker:
            continue
        assert language in ("console", "python"), f"a block that nothing runs: {text}"
        if language == "python":
            subprocess.run([sys.executable, "-W", "error", "-c", text], cwd=tmp_path, check=True)
            ran += 1
            continue
        commands = re.findall(r"^\$ (.*)\n((?:[^$\n].*\n)*)", text, flags=re.MULTILINE)
        assert "".join(f"$ {command}\n{printed}" for command, printed in commands) == text
        for command, printed in commands:
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, check=True, env={"PATH": start}, stdout=subprocess.PIPE, text=True
            )
            assert done.stdout == printed
            ran += 1
    assert ran >= 4
    assert (tmp_path / "out" / "cat_285_Egyptian_cat.png").is_file()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST


def test_the_blocks_that_set_up_are_what_ci_runs() -> None:
    marked = {marker: text for marker, _, text in BLOCKS if marker}
    assert set(marked) == {"run", "test"}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for marker in marked:
        assert f"block {marker}" in script


def test_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted((ROOT / "samples").glob("*.py")), ids=lambda path: path.name)
def test_sample(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [script.name, str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert list(tmp_path.iterdir())
    assert capsys.readouterr().out
