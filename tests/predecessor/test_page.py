"""docs/migration.md has the names that the code answers for, and its blocks of Python run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openvino_xai.predecessor.successors import SUCCESSORS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
SHAPES = {
    "explain": (2, 7, 7),
    "insert": (1, 1000, 7, 7),
    "layer": (1, 1000, 7, 7),
    "activation map": (1, 1, 7, 7),
    "detector": (1, 2, 23, 23),
    "rise": (1, 224, 224),
}


def blocks(whose: str) -> dict[str, str]:
    """The blocks of one package, by what they show."""
    return dict(re.findall(rf"<!-- {re.escape(whose)}: ([\w ]+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def test_names_are_those_of_the_code() -> None:
    names: dict[str, list[str]] = {}
    for name, phrase in SUCCESSORS.items():
        names.setdefault(phrase, []).append(f"`{name}`")
    rows = "".join(f"| {', '.join(some)} | {phrase} |\n" for phrase, some in names.items())
    assert f"<!-- names -->\n\n| 1.1.0 | ovxai |\n| --- | --- |\n{rows}\n<!-- end -->" in PAGE


def test_blocks_come_in_pairs() -> None:
    assert list(blocks("1.1.0")) == list(blocks("ovxai")) == list(SHAPES)
    for code in blocks("1.1.0").values():
        compile(code, "1.1.0", "exec")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_block_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(compile(blocks("ovxai")[name], name, "exec"), names)
    assert names["maps"].shape == SHAPES[name]  # type: ignore[attr-defined]
    assert f"`{list(SHAPES[name])}`" in PAGE
