"""Pages that the code tells are what it tells now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "pages.py"


def test_pages_are_current() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_stale_page_is_seen(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts" / "pages.py").write_bytes(SCRIPT.read_bytes())
    (tmp_path / "docs" / "operations.md").write_text("# Operations\n")
    command = [sys.executable, tmp_path / "scripts" / "pages.py"]
    run = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (1, "docs/operations.md is not current: python scripts/pages.py writes it\n")
    subprocess.run(command, check=True)
    assert subprocess.run([*command, "--check"]).returncode == 0
