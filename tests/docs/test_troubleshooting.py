"""docs/troubleshooting.md quotes what the program says, word by word."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sources import nodes

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").partition("| it says |")[2].partition("\n\n")[0]
QUOTES = re.findall(r"(?<!\*)\*([^*|]+)\*", "\n".join(line.split("|")[1] for line in TABLE.splitlines()[2:]))


@pytest.fixture(scope="module")
def texts() -> str:
    """All texts of the package, one behind the other; what is between the values of a message is a text of its own."""
    return "\n".join(
        node.value
        for path in sorted((ROOT / "openvino_xai").rglob("*.py"))
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_there_are_quotes() -> None:
    assert len(QUOTES) >= 10


@pytest.mark.parametrize("quote", QUOTES)
def test_quotes_are_what_is_said(quote: str, texts: str) -> None:
    for part in quote.split("..."):
        assert part.strip() in texts
