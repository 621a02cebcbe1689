"""docs/migration.md has the names that the code answers for, and its blocks come in pairs: `test_blocks` runs ours."""

from __future__ import annotations

import re
from pathlib import Path

from openvino_xai.predecessor.successors import SUCCESSORS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
PAIRS = ["explain", "insert", "layer", "activation map", "detector", "rise"]


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
    assert list(blocks("1.1.0")) == list(blocks("ovxai")) == PAIRS
    for code in blocks("1.1.0").values():
        compile(code, "1.1.0", "exec")
