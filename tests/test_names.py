"""Names are nouns: a variable that is called `found` or `told` hides what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sources import nodes

ROOT = Path(__file__).parents[1]
NO_NOUNS = frozenset("told asked found made held seen known kept given own every whole one".split())


def bindings(tree: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """The line and name of everything that a source names: variables, parameters, attributes, functions, classes, `as`."""
    for node in tree:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def without_noun(tree: Iterable[ast.AST]) -> list[tuple[int, str]]:
    """The line and name of what is called by no noun, with underscores around it or not."""
    return [(line, name) for line, name in bindings(tree) if name.strip("_").lower() in NO_NOUNS]


def places(path: Path) -> list[str]:
    """Where a file has such names, as `path:line name`."""
    return [f"{path.relative_to(ROOT)}:{line} {name}" for line, name in without_noun(nodes(path))]


def files() -> list[Path]:
    folders = [ROOT / name for name in ("openvino_xai", "scripts", "tests")]
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "/." not in path.as_posix())


def test_names_are_nouns() -> None:
    assert len(files()) > 300
    wrong = [place for path in files() for place in places(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "found: int = 1",
        "a, (b, *found) = rows",
        "model.found = 1",
        "def f(found): pass",
        "def f(*, found=1): pass",
        "def f(*found): pass",
        "def f(**found): pass",
        "f = lambda found: 1",
        "def found(): pass",
        "class Found: pass",
        "for found in rows: pass",
        "with open(path) as found: pass",
        "rows = [found for found in rows]",
        "rows = {found: row for found, row in pairs}",
        "if (found := f()): pass",
        "try: pass\nexcept ValueError as found: pass",
        "import json as found",
        "from json import loads as found",
        "match f():\n    case [found]: pass",
        "match f():\n    case {'a': 1, **found}: pass",
        "match f():\n    case [1, *found]: pass",
        "@dataclass\nclass Row:\n    found: int",
        "class Row:\n    def __init__(self): self._found = 1",
    ],
)
def test_a_wrong_name_is_seen(source: str) -> None:
    renamed = source.replace("found", "candidate").replace("Found", "Candidate")
    assert len(without_noun(ast.walk(ast.parse(source)))) == 1
    assert not without_noun(ast.walk(ast.parse(renamed)))


@pytest.mark.parametrize(
    "source", ["f(found=1)", "model.found", "print(found)", "from hypothesis import given", "foundation = 1"]
)
def test_what_is_named_elsewhere_is_let_through(source: str) -> None:
    assert not without_noun(ast.walk(ast.parse(source)))
