"""What mkdocs is told of files that lie beside docs/: pages and pictures of the repository.

Pages in docs/ link to them by their place in the repository (`../CONTRIBUTING.md`). In the site they are pages as any other.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security_policy.md",
    "samples/README.md": "samples.md",
    "LICENSE": "LICENSE.txt",
}
QUESTIONS = "questions/"  # a folder of pages, one for each question: the menu lists what is there
PICTURES = "samples/pictures"
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def site_places() -> dict[str, str]:
    """The place in the site of each file that lies beside docs/."""
    pictures = {f"{PICTURES}/{path.name}": f"pictures/{path.name}" for path in sorted((ROOT / PICTURES).iterdir())}
    return PAGES | pictures


def menu(nav: list[Any], docs: Path) -> list[Any]:
    """The menu of `mkdocs.yml`, and behind it what it does not name: questions, then all other pages."""
    named = set(re.findall(r"[\w/-]+\.md", str(nav)))
    others = [path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))]
    others = [page for page in others if page not in named]
    questions = [page for page in others if page.startswith(QUESTIONS)]
    rest = [page for page in others if page not in questions]
    return [*nav, *({title: pages} for title, pages in (("Questions", questions), ("More", rest)) if pages)]


def on_config(config: Any) -> Any:
    """Put every page into the menu."""
    config["nav"] = menu(config["nav"], ROOT / "docs")
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the files that lie beside docs/."""
    from mkdocs.structure.files import File  # pages.py reads the table above without mkdocs

    for source, place in site_places().items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links by the place in the repository, as links by the place in the site."""
    places = site_places()
    sources = {place: source for source, place in places.items()}
    here = page.file.src_uri
    home = posixpath.dirname(sources.get(here, f"docs/{here}"))

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(home, match[2]))
        place = places.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        if place is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(place, posixpath.dirname(here) or '.')}{match[3] or ''}{match[4]}"

    return LINK.sub(moved, markdown)
