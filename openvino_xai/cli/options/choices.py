"""Words that an option takes: a shell completes them, and others are refused before any file is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args

from openvino_xai.choices import check_choice


@dataclass(frozen=True)
class Vocabulary:
    """Marks an option with the words that it takes, which `load` finds; where it is not `closed` it takes other texts, too.

    `flag` is what the option is called, where its parameter is called otherwise.
    """

    load: Callable[[], Iterable[str]]
    closed: bool = True
    flag: str | None = None

    def completed(self, incomplete: str) -> list[str]:
        """The words that begin as what is typed."""
        return [word for word in self.load() if word.startswith(incomplete)]

    def check(self, option: str, value: object) -> None:
        """Raise InputError where a value, or one of several, is none of the words."""
        texts = value if isinstance(value, list) else [] if value is None else str(value).split(",")
        for text in texts if self.closed else []:
            check_choice(option, text, tuple(self.load()))


def literal(name: str, module: str, flag: str | None = None) -> Vocabulary:
    """The words of a Literal, by its name in a module of this package, which is imported when they are wanted."""
    return Vocabulary(lambda: get_args(_member(name, module)), flag=flag)


def keys(name: str, module: str, *more: str, closed: bool = True) -> Vocabulary:
    """What a table or a tuple of words in a module of this package holds, and `more` words."""
    return Vocabulary(lambda: (*_member(name, module), *more), closed)


def _member(name: str, module: str) -> Any:
    return getattr(import_module(f"openvino_xai.{module}"), name)


def methods() -> list[str]:
    """Every method: of hooks, of hooks on rows, and of probes."""
    from openvino_xai.hooks import METHODS
    from openvino_xai.hooks.rows import ROW_METHODS
    from openvino_xai.probes import PROBE_NAMES

    return list(dict.fromkeys([*METHODS, *ROW_METHODS, *PROBE_NAMES]))


PRECISIONS = Vocabulary(lambda: ("f32", "f16", "bf16", "default"))
