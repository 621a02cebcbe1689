"""The site is built without a warning, and fetches nothing: neither when it is built nor when it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}
NOT_FETCHED = {"canonical", "prev", "next", "alternate"}  # kinds of <link> that a browser only notes
NOWHERE = "http://127.0.0.1:9"  # what wants a network fails there


class References(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in FETCHED and values.get("rel") not in NOT_FETCHED:
            self.places += [values[name] or "" for name in (FETCHED[tag],) if name in values]


def remote(places: list[str]) -> list[str]:
    return [place for place in places if re.match(r"(?:https?:)?//", place)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed here: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    proxies = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | proxies)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_fetches_nothing(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        assert not remote(References(page.read_text(encoding="utf-8")).places), page.name
    for sheet in site.rglob("*.css"):
        places = re.findall(r"url\(['\"]?([^)'\"]+)", sheet.read_text(encoding="utf-8"))
        places += re.findall(r"@import\s+['\"]([^'\"]+)", sheet.read_text(encoding="utf-8"))
        assert not remote(places), sheet.name


@pytest.mark.slow
def test_what_pages_refer_to_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        for place in References(page.read_text(encoding="utf-8")).places:
            if page.name != "404.html" and not place.startswith("data:"):
                assert (page.parent / place.split("?")[0].split("#")[0]).exists(), f"{page.name}: {place}"


@pytest.mark.slow
def test_programs_find_every_page(site: Path) -> None:
    places = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", (site / "llms.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(places) == {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}


def test_what_is_fetched_is_seen() -> None:
    page = '<script src="https://a/b.js"></script><link rel="stylesheet" href="//c/d.css"><link rel="next" href="https://e">'
    assert remote(References(page).places) == ["https://a/b.js", "//c/d.css"]


def test_the_menu_names_pages_that_are_there_once() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = re.findall(r"[\w/]+\.md", str(menu))
    beside = {"contributing.md", "security_policy.md", "samples.md", "changelog.md"}
    assert len(pages) == len(set(pages))
    assert all((ROOT / "docs" / page).is_file() for page in set(pages) - beside)


@pytest.mark.parametrize("drawing", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_drawings_tell_what_they_show_and_stay_in_the_page(drawing: Path) -> None:
    """A title and a description for who does not see them, colours for a dark page, and words within the frame."""
    tree = ElementTree.parse(drawing)
    names = {element.tag.partition("}")[2] for element in tree.iter()}
    assert {"title", "desc"} <= names and "script" not in names
    text = drawing.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text and not re.search(r"(?:href|src)=|url\((?!#)", text)
    width = float(tree.getroot().attrib["viewBox"].split()[2])
    for element in tree.iter("{http://www.w3.org/2000/svg}text"):
        letters = 6.05 if "small" in element.get("class", "") else 7.6  # pixels of an average letter, in a wide font
        share = 0.5 if "mid" in element.get("class", "") else 1
        assert float(element.attrib["x"]) + share * letters * len(element.text or "") <= width, element.text
