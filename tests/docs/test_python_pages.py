"""The pages for who writes Python: their blocks are carried out, one after the other, as a reader would."""

from __future__ import annotations

import importlib.util
import os
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
        "('aise', 'occlusion', 'lime', 'kernel_shap', 'd_rise')",
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
    "own_method.md": [
        "'Egyptian cat' 40.4%; 1 maps of 7 x 7 cells ('Egyptian cat') by evidence",
        "yes ('openvino',)",
        "(1, 2, 2)",
        "(2, 1000)",
    ],
}


def blocks(page: str) -> list[tuple[str, str]]:
    """The Python blocks of a page, in order, each with the library that it is about, "" for none."""
    return re.findall(r"(?:<!-- run: (\w+) -->\n)?```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def carried_out(code: str, folder: Path) -> list[str]:
    """What code prints, run in a folder with the samples."""
    (folder / "samples").symlink_to(ROOT / "samples")
    path = os.pathsep.join([str(ROOT), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env={"PYTHONPATH": path})
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_in_order(page: str, tmp_path: Path) -> None:
    lines = carried_out("\n".join(code for library, code in blocks(page) if not library), tmp_path)
    assert len(lines) == len(PAGES[page]), lines
    for line, part in zip(lines, PAGES[page], strict=True):
        assert part in line


CHECKS = {  # of what a library makes of the deployed file
    "lime": "print(mask.shape == image.shape[:2], explained.top_labels)",
    "shap": "print(values.values.shape[:4] == (1, *image.shape), bool(abs(values.values).sum() > 0))",
    "quantus": "print(len(curve) == 1 and len(curve[0]) > 7, min(curve[0]) > 0)",
    "xaitk_saliency": "print(maps.shape == (1000, *image.shape[:2]), int(maps[285].max() > 0))",
}


@pytest.mark.slow
@pytest.mark.parametrize("library", CHECKS)
def test_other_libraries_run_on_the_deployed_file(library: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: an optional check")
    code = "\n".join(code for name, code in blocks("own_method.md") if name in ("", library))
    lines = carried_out(f"{code}\n{CHECKS[library]}", tmp_path)
    assert lines[-1].startswith("True"), lines
    assert max(len(code.splitlines()) for name, code in blocks("own_method.md") if name) <= 16
