"""Tables in Markdown, the pages that hold them, and the versions and the code that they were measured with."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from openvino_xai.files.writing import written_whole

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
MEASURED = (
    "dialects",
    "evaluate",
    "graph",
    "hooks",
    "locate",
    "operations",
    "plan",
    "probes",
    "render",
    "runtime",
    "surgery",
    "tail",
)  # the code that a table depends on


def write(
    tables: dict[str, str],
    places: Sequence[Path],
    headings: Mapping[str, str] | None = None,
    joined: Callable[[str, str], str] = lambda _, new: new,
) -> None:
    """Put tables between their markers in the pages; one that has no place gets one below its heading, at the end of the last.

    `joined` makes one table of the page's and the new one, which is the new one by default. Raises SystemExit where a table has
    neither a place nor a heading.
    """
    pages = {page: page.read_text(encoding="utf-8") for page in places}
    for name, lines in tables.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
        if not any(pattern.search(text) for text in pages.values()):
            if headings is not None and name in headings:
                pages[places[-1]] += f"\n## {headings[name]}\n\n{marked({name: lines})[:-1]}"
                continue
            sys.exit(f"no page has a place for the table {name}: <!-- table: {name} --> and <!-- end --> are expected")
        for page, text in pages.items():
            pages[page] = pattern.sub(
                lambda match, lines=lines: f"{match[1]}\n{joined(match[2].strip(), lines)}\n\n{match[3]}", text
            )
    for page, text in pages.items():
        with written_whole(page) as temporary:
            temporary.write_text(text, encoding="utf-8")


def marked(tables: dict[str, str]) -> str:
    """Tables as a page holds them, each between its markers."""
    return "".join(f"<!-- table: {name} -->\n\n{lines}\n\n<!-- end -->\n\n" for name, lines in tables.items())


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def brief(number: float) -> str:
    """A number with three digits."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def slug(title: str) -> str:
    """A title as the name of a table, and of a folder."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in title.lower())


def versions() -> str:
    """This package's version, and those beneath it."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ovxai", "openvino", "onnxruntime", "numpy"))


@cache
def code() -> str:
    """A digest of the code that is measured."""
    package = ROOT / "openvino_xai"
    paths = sorted(path for name in MEASURED for path in (package / name).rglob("*.py"))
    return digest(*(f"{path.relative_to(package)}\n{path.read_text(encoding='utf-8')}" for path in paths))


def digest(*texts: str) -> str:
    """A short digest of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
