"""docs/questions: a page asks, and its first words answer. `test_blocks` runs its Python and commands; the rest is here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import openvino_xai as xai

ROOT = Path(__file__).parents[2]
QUESTIONS = ROOT / "docs" / "questions"
PAGES = sorted(QUESTIONS.glob("*.md"))
MODEL = ROOT / "samples" / "models" / "efficientnet_lite0.xml"


def texts(page: str, start: str) -> list[str]:
    """The blocks of a page that are for other programs, and begin so."""
    blocks = re.findall(r"^```text\n(.*?)^```$", (QUESTIONS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for text in blocks if text.startswith(start)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_asks_and_answers(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith("?")
    assert not lines[2].endswith("?") and not lines[2].startswith("#")
    for link in re.findall(r"\]\(([^)#]+)", "\n".join(lines)):
        assert (page.parent / link).is_file(), link


@pytest.mark.slow
def test_files_for_triton_are_those_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = xai.insert(MODEL, targets="top:1", scale="u8", verify=True).save("efficientnet_xai.xml")
    xai.export(path, "repository", server="triton")
    (tree,) = texts("triton.md", "repository/")
    files = {file.as_posix() for file in Path("repository").rglob("*") if file.is_file()}
    assert {line.split()[0] for line in tree.splitlines()} == files


@pytest.mark.slow
def test_model_api_reads_the_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("model_api", reason="an optional check: pip install openvino-model-api")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    xai.insert(MODEL, targets="all", scale="u8").save("with_maps.xml")
    (client,) = texts("model_api.md", "import cv2")
    names: dict[str, object] = {}
    exec(compile(client, "model_api.md", "exec"), names)
    assert names["heat"].shape == (7, 7)  # type: ignore[attr-defined]
