"""docs/reference/api.md: the public names of the package, with signatures and documentation, as the code has them."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import openvino_xai as xai
from openvino_xai import errors

BREAK = "\n\n"  # between paragraphs
ORDER = ("functions", "classes", "errors and warnings")
HEAD = (
    "# Python reference",
    "",
    "These are the public names of `openvino_xai`. Letters of shapes are B images, K classes, H rows, W columns, C channels. "
    "`python scripts/pages.py` writes this page.",
)


def api() -> str:
    """The page: functions, then classes with their members, errors, and modules; each name once."""
    groups: dict[str, list[str]] = {title: [] for title in ORDER}
    for name in xai.__all__:
        item = getattr(xai, name)
        if name.startswith("__") or inspect.ismodule(item):
            continue
        if not inspect.isclass(item):
            groups["functions"].append(name)
        else:
            groups["errors and warnings" if issubclass(item, Exception) else "classes"].append(name)
    lines = [*HEAD]
    for title, names in groups.items():
        lines += ["", f"## {title.capitalize()}"]
        if title == ORDER[-1]:
            lines += ["", _documentation(errors)]
        for name in names:
            lines += ["", *_entry(name, getattr(xai, name))]
    for module in (getattr(xai, name) for name in xai.__all__ if inspect.ismodule(getattr(xai, name))):
        short = module.__name__.rpartition(".")[2]
        lines += ["", f"## {short.capitalize()}", "", _documentation(module)]
        members = [(name, getattr(module, name)) for name in module.__all__]
        for name, member in sorted(members, key=lambda item: inspect.isclass(item[1])):
            if callable(member):
                lines += ["", *_entry(f"{short}.{name}", member)]
    return "\n".join(lines) + "\n"


def _entry(name: str, item: Any) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if not (inspect.isclass(item) and issubclass(item, Exception)):
        yield from _code(name, item)
    yield _documentation(item)
    if inspect.isclass(item):
        if bases := [base.__name__ for base in _public_bases(item)]:
            yield ""
            yield f"It has the members of {', '.join(f'[`{base}`](#{base.lower()})' for base in bases)}, too."
        for member, value in _members(item):
            yield ""
            yield from _member(f"{name}.{member}", value)


def _public_bases(item: type) -> list[type]:
    return [base for base in item.__bases__ if not issubclass(base, Exception) and base.__name__ in xai.__all__]


def _members(item: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, in the order of its code, but for those of bases that are public themselves."""
    shown: set[str] = set()
    elsewhere = {owner for base in _public_bases(item) for owner in base.__mro__}
    for owner in item.__mro__:
        if owner in elsewhere or not owner.__module__.startswith("openvino_xai"):
            continue
        for name, value in vars(owner).items():
            plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            public = not name.startswith("_") or name == "__call__"
            if public and name not in shown and (inspect.isfunction(plain) or isinstance(value, property)):
                shown.add(name)
                yield name, plain


def _member(name: str, value: Any) -> Iterator[str]:
    yield f"#### {name}"
    yield ""
    if isinstance(value, property):
        yield _documentation(value.fget)
    else:
        yield from _code(name.rpartition(".")[2] if name.endswith("__call__") else name, value)
        yield _documentation(value)


def _code(name: str, item: Any) -> Iterator[str]:
    yield "```text"
    yield _signature(name, item)
    yield "```"
    yield ""


def _signature(name: str, item: Any) -> str:
    """How it is called, a line for each parameter where one line is not enough."""
    if inspect.isclass(item) and not dataclasses.is_dataclass(item) and item.__init__ is object.__init__:
        return f"class {name}"
    try:
        signature = inspect.signature(item)
    except ValueError:
        return name
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name not in ("self", "cls")]
    words: list[str] = []
    starred = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        words.append(_parameter(parameter))
    end = (
        ""
        if inspect.isclass(item) or signature.return_annotation is signature.empty
        else f" -> {_type(signature.return_annotation)}"
    )
    head = f"{'class ' if inspect.isclass(item) else ''}{name}"
    line = f"{head}({', '.join(words)}){end}"
    return line if len(line) <= 100 else "\n".join([f"{head}(", *(f"    {word}," for word in words), f"){end}"])


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    factory = type(parameter.default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS"
    default = "..." if factory or re.search(r" at 0x|<", repr(parameter.default)) else repr(parameter.default)
    return f"{stars}{parameter.name}{kind}{' = ' if kind else '='}{default}"


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:typing|collections\.abc|pathlib|openvino_xai(?:\.\w+)*)\.", "", text)


def _documentation(item: Any) -> str:
    """The text of a docstring, its paragraphs and blocks as they are."""
    text = inspect.getdoc(item) or ""
    parts = re.split(r"\n\s*\n", text.replace("\n::\n", "\n"))
    return BREAK.join(
        f"```text\n{textwrap.dedent(BREAK.join(group))}\n```" if block else BREAK.join(map(_prose, group))
        for block, group in ((block, list(group)) for block, group in itertools.groupby(parts, key=_is_block))
    )


def _is_block(part: str) -> bool:
    """Whether a part of a docstring is code, or a drawing, and no prose."""
    return all(line.startswith("  ") for line in part.splitlines())


def _prose(part: str) -> str:
    """A paragraph, or a list; what Markdown would read beside code is spelled out."""
    lines = part.splitlines()
    joined = "\n".join(lines) if any(line.lstrip().startswith(("- ", "* ")) for line in lines) else " ".join(lines)
    pieces = re.split(r"(`[^`]*`)", joined)
    return "".join(piece if piece.startswith("`") else re.sub(r"[<*\[](?!\s)|(?<!\w)_", _spelled, piece) for piece in pieces)


def _spelled(match: re.Match[str]) -> str:
    return f"\\{match[0]}"
