"""docs/reference/command_line.md: every command and every option, as the functions behind them declare them.

Signatures are read, and not what typer makes of them, so that the page is the same with every version of it.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from typer.models import ArgumentInfo, OptionInfo

from openvino_xai.cli.app import app

VALUES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


class Option(NamedTuple):
    """An option or argument: its names, what is written behind it, its default, its help, and the group that it is in."""

    names: tuple[str, ...]
    value: str
    default: str
    help: str
    positional: bool
    group: str


def command_line() -> str:
    """The page: options of the program, then each command with how it is called, its arguments and its options."""
    commands = {_name(command): command.callback for command in app.registered_commands if command.callback}
    program = app.registered_callback
    assert program is not None and program.callback is not None
    lines = [
        "# Command line",
        "",
        "The program `ovxai` has one command for each thing to do. `ovxai COMMAND --help` shows what this page shows, and "
        "`python scripts/pages.py` writes it.",
        "",
        "| command | |",
        "| --- | --- |",
        *(f"| [`{name}`](#{name}) | {_cell(_paragraphs(callback)[0])} |" for name, callback in commands.items()),
        "",
        "A mistake is one line on standard error, with exit status 2.",
        "",
        "## Options of the program",
        "",
        "They stand ahead of the command, as in `ovxai --timeout 60 insert ...`.",
        "",
        *_table(program.callback),
    ]
    for name, callback in commands.items():
        lines += ["", f"## {name}", "", "\n\n".join(_paragraphs(callback)), "", *_usage(name, callback), "", *_table(callback)]
    return "\n".join(lines) + "\n"


def _name(command: Any) -> str:
    return command.name or command.callback.__name__.replace("_", "-")


def _usage(name: str, callback: Callable[..., Any]) -> list[str]:
    required = [option for option in _options(callback) if option.default == "required"]
    words = [option.names[0] if option.positional else f"{option.names[0]} {option.value}" for option in required]
    return ["```text", " ".join(["ovxai", name, *_words(callback), *words, "[OPTIONS]"]), "```"]


def _words(callback: Callable[..., Any]) -> list[str]:
    """What is written without a flag, where the command says so by an argument that its help does not list."""
    infos = [info for _, _, info in _parameters(callback) if isinstance(info, ArgumentInfo) and info.hidden]
    return [info.metavar for info in infos if info.metavar]


def _table(callback: Callable[..., Any]) -> list[str]:
    """A table of options for each of their groups, those without one first."""
    groups: dict[str, list[Option]] = {"": []}
    for option in _options(callback):
        groups.setdefault(option.group, []).append(option)
    lines: list[str] = []
    for group, members in groups.items():
        lines += ["", f"**{group}**", ""] if group else []
        lines += ["| option | value | by default | |", "| --- | --- | --- | --- |", *map(_row, members)]
    return lines


def _row(option: Option) -> str:
    cells = (", ".join(f"`{name}`" for name in option.names), _code(option.value), option.default, _escaped(option.help))
    return f"| {' | '.join(map(_cell, cells))} |"


def _parameters(callback: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any, OptionInfo | ArgumentInfo]]:
    """Each parameter of a command, its type, and what is declared of it."""
    hints = typing.get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, *extras = typing.get_args(hints[name])
        yield parameter, kind, next(extra for extra in extras if isinstance(extra, OptionInfo | ArgumentInfo))


def _options(callback: Callable[..., Any]) -> Iterator[Option]:
    for parameter, annotation, info in _parameters(callback):
        if info.hidden:
            continue
        kind, many = _kind(annotation)
        positional = isinstance(info, ArgumentInfo)
        help_text = " ".join((info.help or "").replace("\\[", "[").split()) + (
            " May be given several times." if many and not positional else ""
        )
        group = (info.rich_help_panel or "").partition(" (")[0]
        names = _names(parameter.name, info, kind)
        yield Option(names, _value(kind, info, positional), _default(parameter.default), help_text, positional, group)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) in (list, tuple):
        return typing.get_args(annotation)[0], True
    return annotation, False


def _names(name: str, info: OptionInfo | ArgumentInfo, kind: Any) -> tuple[str, ...]:
    if isinstance(info, ArgumentInfo):
        return (info.metavar or name.upper(),)
    dashed = name.strip("_").replace("_", "-")
    first = (info.default,) if isinstance(info.default, str) else ()  # where typer keeps the first of a declaration
    declared = tuple(word for word in (*first, *(info.param_decls or ())) if word.startswith("-"))
    return declared or ((f"--{dashed}", f"--no-{dashed}") if kind is bool else (f"--{dashed}",))


def _value(kind: Any, info: OptionInfo | ArgumentInfo, positional: bool) -> str:  # noqa: FBT001
    if kind is bool or positional:
        return ""
    if info.metavar:
        return info.metavar
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    return VALUES.get(kind, getattr(kind, "__name__", "TEXT").upper())


def _default(default: Any) -> str:
    if default is inspect.Parameter.empty or default is ...:
        return "required"
    return "" if default is None or default is False or default in ((), []) else "on" if default is True else _code(default)


def _paragraphs(callback: Callable[..., Any]) -> list[str]:
    text = inspect.getdoc(callback) or ""
    return [_escaped(" ".join(part.split())) for part in re.split(r"\n\s*\n", text)]


def _code(text: Any) -> str:
    return f"`{text}`" if text != "" else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _escaped(text: str) -> str:
    """Prose in which Markdown reads code alone."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<*\[]|\b_|_\b)", r"\\\1", part) for part in parts)
