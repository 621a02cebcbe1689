"""docs/llms.txt: the pages of the site, one line each, for readers that are programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from documentation.site_files import PAGES as BESIDE
from documentation.site_files import menu

FIRST_SENTENCE = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


def summary(root: Path) -> str:
    """The site's name and subject; each page by its title, address and first sentence, in the order of `mkdocs.yml`."""
    site = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
    lines = [f"# {site['site_name']}", "", f"> {site['site_description']}"]
    for section, pages in sections(menu(site["nav"], root / "docs")):
        lines += ["", f"## {section}", ""]
        lines += [f"- [{title(root, page)}]({address(page)}): {first_sentence(root, page)}" for page in pages]
    return "\n".join(lines) + "\n"


def sections(nav: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """The title and the pages of each section; a page outside of sections is one of its own."""
    for item in nav:
        ((name, content),) = item.items()
        yield name, [content] if isinstance(content, str) else list(_pages(content))


def _pages(items: list[Any]) -> Iterator[str]:
    for item in items:
        entry = next(iter(item.values())) if isinstance(item, dict) else item
        if isinstance(entry, list):
            yield from _pages(entry)
        else:
            yield entry


def address(page: str) -> str:
    """Where a page is in the site, from its root."""
    return page.removesuffix(".md") + ".html"


def _text(root: Path, page: str) -> str:
    sources = {place: source for source, place in BESIDE.items()}
    return (root / sources.get(page, f"docs/{page}")).read_text(encoding="utf-8")


def title(root: Path, page: str) -> str:
    """The heading of a page."""
    heading = re.search(r"^# (.+)$", _text(root, page), re.MULTILINE)
    return heading[1] if heading else page


def first_sentence(root: Path, page: str) -> str:
    """The first sentence of a page's first paragraph, without links."""
    text = re.sub(r"^```.*?^```$", "", _text(root, page), flags=re.DOTALL | re.MULTILINE)
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if re.match(r"[A-Za-z`*\[]", part.strip())]
    prose = " ".join(paragraphs[0].split()) if paragraphs else ""
    sentence = FIRST_SENTENCE.match(prose)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", sentence[0] if sentence else prose).replace("**", "")
