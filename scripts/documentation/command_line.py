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
    """An option or argument: its names, what is written behind it, its default and its help."""

    names: tuple[str, ...]
    value: str
    default: str
    help: str
    positional: bool


def command_line() -> str:
    """The page: options of the program, then each command with how it is called, its arguments and its options."""
    commands = {_name(command): command.callback for command in app.registered_commands if command.callback}
    program = app.registered_callback
    assert program is not None and program.callback is not None
    lines = [
        "# Command line",
        "",
        "The program `ovxai` has one command for each thing to do. `ovxai COMMAND --help` shows the common options, and "
        "`--help-all` what this page shows, which `python scripts/pages.py` writes.",
        "",
        "What stands without a flag is a model and photos: `ovxai explain MODEL PHOTO...` is `ovxai explain --model MODEL "
        "--input PHOTO`. A photo may be a folder, or a pattern in quotes. `file://` URLs are read as paths, and nothing is "
        "downloaded. `ovxai --install-completion` has your shell complete commands, options and their words.",
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
    flags = [option.names[0] if option.positional else f"{option.names[0]} {option.value}" for option in required]
    words = [info.metavar for _, _, info in _parameters(callback) if info.hidden and info.metavar]
    return ["```text", " ".join(["ovxai", name, *words, *flags, "[OPTIONS]"]), "```"]


def _table(callback: Callable[..., Any]) -> list[str]:
    rows = ["| option | value | by default | |", "| --- | --- | --- | --- |"]
    for option in _options(callback):
        cells = (", ".join(f"`{name}`" for name in option.names), _code(option.value), option.default, _escaped(option.help))
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return rows


def _parameters(callback: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any, OptionInfo | ArgumentInfo]]:
    """Each parameter, its type, and what typer knows of it."""
    hints = typing.get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, *extras = typing.get_args(hints[name])
        yield parameter, kind, next(extra for extra in extras if isinstance(extra, OptionInfo | ArgumentInfo))


def _options(callback: Callable[..., Any]) -> Iterator[Option]:
    for parameter, kind, info in _parameters(callback):
        name = parameter.name
        if info.hidden:
            continue
        kind, many = _kind(kind)
        positional = isinstance(info, ArgumentInfo)
        help_text = " ".join((info.help or "").split()) + (" May be given several times." if many and not positional else "")
        yield Option(
            _names(name, info, kind), _value(kind, info, positional), _default(parameter.default), help_text, positional
        )


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
