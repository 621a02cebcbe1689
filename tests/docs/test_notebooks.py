"""Every notebook of the samples runs from its first cell to its last, shows pictures, and is kept without outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "samples" / "notebooks").glob("*.ipynb"))
SECONDS = 120  # at most, for a cell: a machine may do other things


def cells(notebook: Path, kind: str) -> list[str]:
    """The texts of a notebook's cells of one kind."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["detector", "explain", "float_and_int8", "hook_and_serve"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    for text in cells(notebook, "code"):
        compile(text, notebook.name, "exec")
    for link in re.findall(r"\]\(([^)#]+)", "\n".join(cells(notebook, "markdown"))):
        assert (notebook.parent / link).is_file(), link


@pytest.mark.slow
@pytest.mark.parametrize(
    ("notebook", "folder"),
    [*((path, ROOT) for path in NOTEBOOKS), *((path, path.parent) for path in NOTEBOOKS[:1])],
    ids=lambda path: path.stem or path.name,
)
def test_it_runs(notebook: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    execute = pytest.importorskip("nbconvert.preprocessors").ExecutePreprocessor
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    content = nbformat.read(notebook, as_version=4)
    execute(timeout=SECONDS, kernel_name="python3").preprocess(content, {"metadata": {"path": str(folder)}})
    outputs = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    if notebook.stem != "hook_and_serve":  # which has nothing to show but numbers
        assert len([output for output in outputs if "image/png" in output.get("data", {})]) >= 1
