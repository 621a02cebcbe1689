"""The library knows options by their names in Python, and only the command line spells them as flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from sources import nodes
from typer.main import get_command

import openvino_xai
from openvino_xai.cli.app import app
from openvino_xai.cli.text import message
from openvino_xai.errors import InputError, OvxaiError, TooLarge

PACKAGE = Path(openvino_xai.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_-]*")
OTHER_PROGRAMS = {  # whose flags have the names of ours
    ("serve/servers/fastapi.py", "--port"),
    ("serve/servers/ovms.py", "--port"),
    ("serve/servers/kserve.py", "--precision"),
    ("serve/programs/kserve_predictor.py", "--precision"),
}
SPEAKING = ("cli/", "predecessor/successors.py")  # the latter is a table of what to type in place of what


@cache
def flags() -> frozenset[str]:
    """Every long flag of every command."""
    root = get_command(app)
    commands = [root, *root.commands.values()]  # type: ignore[attr-defined]
    names = {name for command in commands for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return frozenset(name for name in names if name.startswith("--")) | {"--help"}


def literals(tree: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """The line and the text of every string that is no docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in tree if isinstance(node, documented) and _is_text(node.body[0])}
    for node in tree:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def spoken(tree: Iterable[ast.AST], place: str) -> list[str]:
    """The flags of the command line in the strings of a file, as `place:line flag`."""
    return [
        f"{place}:{line} {flag}"
        for line, text in literals(tree)
        for flag in FLAG.findall(text)
        if flag in flags() and (place, flag) not in OTHER_PROGRAMS
    ]


def test_only_the_command_line_spells_flags() -> None:
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    outside = {place: path for place, path in paths.items() if not place.startswith(SPEAKING)}
    assert len(outside) > 100
    assert not [flag for place, path in outside.items() for flag in spoken(nodes(path), place)]


@pytest.mark.parametrize(
    "source",
    ["why = 'choose another with --layer'", "def why(n):\n    'Why.'\n    return f'{n} exists: --force overwrites it'"],
)
def test_a_flag_in_a_string_is_seen(source: str) -> None:
    silent = f"def f():\n    'Explain with --layer.'\n\n{source.replace('--', '')}"
    assert len(spoken(tuple(ast.walk(ast.parse(source))), "files/paths.py")) == 1
    assert not spoken(tuple(ast.walk(ast.parse(silent))), "files/paths.py")


def test_every_option_of_an_error_is_a_flag() -> None:
    """The options are written where an error is raised: each of them is one of some command."""
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        if "predecessor" not in path.parts  # whose functions have the options of another package
        for node in nodes(path)
        if isinstance(node, ast.Call)
    ]
    values = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "options"]
    tuples = [node for value in values for node in ast.walk(value) if isinstance(node, ast.Tuple)]
    options = {word.value for node in tuples for word in node.elts if isinstance(word, ast.Constant)}
    assert {"layer", "force", "max_memory"} <= options
    assert {f"--{str(option).replace('_', '-')}" for option in options} <= flags()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("there is none"), "there is none"),
        (InputError("it exists; overwrite it with force", options=("force",)), "it exists; overwrite it with force (--force)"),
        (OvxaiError("unknown", options=("token_grid", "prefix_tokens")), "unknown (--token-grid, --prefix-tokens)"),
        (TooLarge("too large", needed=1, fits=None), "too large (--max-memory)"),
    ],
)
def test_a_line_ends_in_the_flags_that_help(error: OvxaiError, line: str) -> None:
    assert message(error) == line
