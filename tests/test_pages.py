"""Pages that the code tells are what it tells now."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "pages.py"


def test_pages_are_current() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_stale_page_is_seen(tmp_path: Path) -> None:
    for name in ("docs", "scripts/documentation"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("scripts/pages.py", "mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "samples/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "operations.md").open("a") as page:
        page.write("One line more.\n")
    command = [sys.executable, tmp_path / "scripts" / "pages.py"]
    run = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (1, "docs/operations.md is not current: python scripts/pages.py writes it\n")
    subprocess.run(command, check=True)
    assert subprocess.run([*command, "--check"]).returncode == 0
