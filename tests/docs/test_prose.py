"""Pages are read aloud: no sentence is longer than a breath."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 35  # words
GENERATED = ("operations.md", "command_line.md", "api.md")
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in GENERATED)]


def paragraphs(text: str) -> Iterator[str]:
    """The prose of a page: neither code, tables, headings, comments nor pictures; an item of a list by itself."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^<!-- table: .*?^<!-- end -->$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->|<[^>\n]+>", "", text, flags=re.DOTALL)
    text = re.sub(r"^(\|.*|#.*|!\[.*)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.strip():
            yield " ".join(paragraph.split())


def sentences(paragraph: str) -> Iterator[list[str]]:
    """The words of each sentence; what is code is one word."""
    plain = re.sub(r"`[^`]*`", "CODE", paragraph)
    plain = re.sub(r"\]\([^)]*\)", "]", plain)
    for sentence in re.split(r"(?<=[.!?])[\"')*\]]* ", plain):
        yield [word for word in sentence.split() if re.search(r"\w", word)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    too_long = [
        f"{len(words)} words: {' '.join(words)}"
        for paragraph in paragraphs(page.read_text(encoding="utf-8"))
        for words in sentences(paragraph)
        if len(words) > LONGEST
    ]
    assert not too_long, "\n".join(too_long)


def test_a_long_sentence_is_seen() -> None:
    long = " ".join(["word"] * (LONGEST + 1))
    assert [len(words) for words in sentences(f"Short one. {long}. `a b c` 1.5 end.")] == [2, LONGEST + 1, 3]
    assert list(paragraphs(f"# Title\n\n- {long}\n- b\n\n```\n{long}\n```\n| {long} |\n")) == [long, "b"]
