"""docs/architecture.md walks an insert that is carried out, and names files that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
MOST_FILES = 20


def block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_walk_is_carried_out() -> None:
    run = subprocess.run([sys.executable, "-c", block("python")], capture_output=True, text=True, check=True)
    assert run.stdout == block("text")


def test_the_reading_order_is_short_and_there() -> None:
    files = re.findall(r"`([\w/]+\.py)`", PAGE.partition("## Reading order")[2].partition("Then, as")[0])
    assert len(files) == len(set(files)) <= MOST_FILES
    assert all((ROOT / "openvino_xai" / name).is_file() for name in files)


def test_the_rooms_are_the_folders() -> None:
    table = PAGE.partition("## The rooms")[2].partition("Three ideas")[0]
    rooms = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))))
    folders = {path.name for path in (ROOT / "openvino_xai").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms
