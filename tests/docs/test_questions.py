"""Every block of docs/questions is run, page by page, in a folder with the samples; what needs another program is `text`."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from openvino_xai.cli.app import main

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "questions").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line in this process; it must end well."""
    program, *arguments = shlex.split(command)
    assert program == "ovxai", command
    monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, command


def run_page(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its commands and Python, one after the other; what the page shows as printed is printed, `...` for anything."""
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, page.name, "exec"), {"__name__": "__main__"})
        elif language == "console":
            command, _, printed = text.removeprefix("$ ").partition("\n")
            for line in [command, *re.findall(r"^\$ (.*)$", printed, re.MULTILINE)]:
                capsys.readouterr()
                run(line, monkeypatch)
            expected = "" if "$ " in printed else printed.strip()
            pattern = re.escape(expected).replace(re.escape("..."), ".*")
            assert not expected or re.fullmatch(pattern, capsys.readouterr().out.strip())


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples", ignore=shutil.ignore_patterns("*_xai*", "pictures"))
    monkeypatch.chdir(tmp_path)
    run_page(page, monkeypatch, capsys)
    if page.stem == "triton":
        (tree,) = [text for language, text in blocks(page) if language == "text" and text.startswith("repository/")]
        files = {path.as_posix() for path in Path("repository").rglob("*") if path.is_file()}
        assert {line.split()[0] for line in tree.splitlines()} == files
    if page.stem == "model_api":
        pytest.importorskip("model_api", reason="pip install openvino-model-api runs the block for it, too")
        (client,) = [text for language, text in blocks(page) if language == "text"]
        names: dict[str, object] = {}
        exec(compile(client, page.name, "exec"), names)
        assert names["heat"].shape == (7, 7)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_asks_and_answers(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith("?")
    assert not lines[2].endswith("?") and not lines[2].startswith("#")
    assert {language for language, _ in blocks(page)} <= {"console", "python", "text"}
    for link in re.findall(r"\]\(([^)#]+)", "\n".join(lines)):
        assert (page.parent / link).is_file(), link
