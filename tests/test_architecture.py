"""What the folders promise: imports go one way, and no folder is a heap."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from sources import nodes

import openvino_xai
from openvino_xai.operations.table import OPERATIONS

PACKAGE = Path(openvino_xai.__file__).parent
MOST_FILES = 15
ORDER = (  # what stands in one line knows of the lines above, and of none below
    "version errors words",
    "json_text files graph choices tables",
    "arguments",
    "operations hooks boxes",
    "contract dialects probes",
    "locate method_table own_methods",
    "tail",
    "plan record render",
    "verify",
    "surgery",
    "explanation",
    "detection segmentation",
    "runtime benchmark",
    "evaluate serve predecessor ui",
    "metrics",
    "cli",
    "__main__",
)
LEVELS = {name: level for level, names in enumerate(ORDER) for name in names.split()}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the part of the package, of everything that a file imports from it."""
    for node in nodes(path):
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


MOST_KIND_TESTS = 40
SPEAK_OF_KINDS = ("operations", "dialects")  # what has records, and what names them


def kind_tests(path: Path) -> list[int]:
    """The lines where a node's kind is compared: what is known of an operation belongs into its record."""
    return [
        node.lineno
        for node in nodes(path)
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Attribute) and side.attr == "kind" and not _is_of_a_type(side) for side in sides(node))
    ]


def sides(node: ast.Compare) -> list[ast.expr]:
    return [node.left, *node.comparators]


def _is_of_a_type(side: ast.Attribute) -> bool:
    """Whether the kind is a number's (`dtype.kind`) or a picture's."""
    owner = (
        side.value.attr if isinstance(side.value, ast.Attribute) else side.value.id if isinstance(side.value, ast.Name) else ""
    )
    return owner in ("dtype", "style")


def kind_sets(path: Path) -> list[str]:
    """The names at the top of a module that hold several operations by their names."""
    places = []
    for node in cast("ast.Module", nodes(path)[0]).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            texts = [
                item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant) and isinstance(item.value, str)
            ]
            words = {word for text in texts for word in text.split()}
            if len(words & OPERATIONS.keys()) > 1 and len(words & OPERATIONS.keys()) == len(words):
                places.append(f"{path.name}:{node.lineno}")
    return places


def elsewhere() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in SPEAK_OF_KINDS]


def test_kinds_are_asked_of_records() -> None:
    places = [f"{path.relative_to(PACKAGE)}:{line}" for path in elsewhere() for line in kind_tests(path)]
    assert len(places) <= MOST_KIND_TESTS, "\n".join(places)


def test_no_set_of_kinds_stands_outside_records() -> None:
    assert not [place for path in elsewhere() for place in kind_sets(path)]


def test_what_belongs_into_records_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "tail.py"
    path.write_text(
        'EASY = frozenset("relu conv matmul".split())\nSCORES = ("softmax", "logit")\n'
        'def f(node, value):\n    return node.kind == "relu" or node.kind in EASY or value.dtype.kind != "f"\n'
    )
    assert kind_tests(path) == [4, 4]
    assert kind_sets(path) == ["tail.py:1"]
