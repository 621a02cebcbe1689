"""What the folders promise: imports go one way, and no folder is a heap."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import openvino_xai

PACKAGE = Path(openvino_xai.__file__).parent
MOST_FILES = 15
ORDER = (  # what stands in one line knows of the lines above, and of none below
    "version errors contract",
    "json_text files graph probes",
    "operations hooks",
    "dialects",
    "locate",
    "tail",
    "surgery render",
    "explanation",
    "runtime benchmark",
    "evaluate serve",
    "cli",
)
LEVELS = {name: level for level, names in enumerate(ORDER) for name in names.split()}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the part of the package, of everything that a file imports from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively"
            package = node.module == "openvino_xai"
            modules = [f"openvino_xai.{alias.name}" for alias in node.names] if package else [node.module or ""]
        yield from ((node.lineno, name.split(".")[1]) for name in modules if name.startswith("openvino_xai."))


def climbing(path: Path, part: str) -> list[str]:
    """The imports of a file in a `part` of the package that lead to a part that may know of it."""
    return [
        f"{path.relative_to(PACKAGE)}:{line} imports {other}"
        for line, other in imports(path)
        if other != part and LEVELS[other] >= LEVELS[part]
    ]


def test_imports_go_one_way() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part != "__init__":
            wrong += climbing(path, part)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line", ["from openvino_xai.cli.app import app", "import openvino_xai.runtime.folder", "from openvino_xai import hooks"]
)
def test_an_import_that_climbs_is_seen(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / "operations.py"
    path.write_text(f"def late() -> None:\n    {line}\n")
    assert len(climbing(path, "operations")) == 1


@pytest.mark.parametrize("folder", [PACKAGE, *(PACKAGE.parents[0] / name for name in ("tests", "scripts"))])
def test_no_folder_is_a_heap(folder: Path) -> None:
    folders = {path.parent for path in folder.rglob("*.py") if not any(part.startswith(".") for part in path.parts)}
    heaps = {str(place): count for place in folders if (count := len(list(place.glob("*.py")))) > MOST_FILES}
    assert not heaps
