"""The Python samples run as they stand."""

import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.mark.parametrize("script", sorted(SAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_sample(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [script.name, str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert list(tmp_path.iterdir())
    assert capsys.readouterr().out
