"""The pages for who writes Python: their blocks are carried out, one after the other, as a reader would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    "python.md": [
        "Explanation of 'cat.png': 'Egyptian cat' 40.4%; 3 maps of 7 x 7 cells",
        "['Egyptian cat', 'tiger cat']",
        "('aise', 'occlusion', 'd_rise')",
        "Selvaraju",
        "did you mean 'grad_cam'?",
        "True True",
        "more ['deletion', 'energy', 'insertion']",
        "True",
        "head_relu6 ('image[0]', 1280, 7, 7) (7, 7)",
        "Egyptian cat (2, 7, 7)",
        "saliency_map",
        "image logits 1000",
        "head_relu6 ['head_relu6', ",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_in_order(page: str, tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL))
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == len(PAGES[page]), run.stdout
    for line, part in zip(lines, PAGES[page], strict=True):
        assert part in line
