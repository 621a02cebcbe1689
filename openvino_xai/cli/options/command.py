"""Commands, as typer reads them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from openvino_xai.cli.options.choices import Vocabulary
from openvino_xai.cli.options.words import Place, Word, placed, usage
from openvino_xai.errors import InputError

WORDS = "words"  # the name of what stands without a flag
MODEL = "model"
ALL = "help_all"
HELP_ALL = "--help-all"
LINE_END = re.compile(r"(?<!\n)\n(?!\n)")  # within a paragraph


def texts(values: dict[str, Any]) -> dict[str, Any]:
    """The options with their paths as text, as JSON holds them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it.

    Every field of a group of options is an option of the command, in the group's place; and what is marked as a Word may be
    given without its flag, too.
    """
    hints = get_type_hints(command, include_extras=True)
    arguments = inspect.signature(command).parameters
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in arguments.items():
        if name in groups:
            inner = get_type_hints(groups[name], include_extras=True)
            options = [(field.name, field.default, inner[field.name]) for field in fields(groups[name])]
        else:
            options = [(name, parameter.default, hints[name])]
        parameters += [inspect.Parameter(n, parameter.KEYWORD_ONLY, default=d, annotation=a) for n, d, a in options]
    places = {parameter.name: place for parameter in parameters if (place := _place(parameter)) is not None}
    parameters = [p.replace(default=None, annotation=_optional(p.annotation)) if p.name in places else p for p in parameters]
    choices = {parameter.name: mark for parameter in parameters for mark in _marks(parameter) if isinstance(mark, Vocabulary)}
    parameters = [_completed(parameter, choices.get(parameter.name)) for parameter in parameters]
    if places:
        parameters.insert(0, _words(places))
    parameters.append(_all_option())

    @wraps(command)
    def call(**values: Any) -> None:
        values.pop(ALL, None)
        if places:
            values |= placed(command.__name__, places, values, values.pop(WORDS) or [])
        _check(values, places, choices)
        instances = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        for group in instances.values():
            group.check()
        command(**instances, **values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _marks(parameter: inspect.Parameter) -> tuple[Any, ...]:
    """What an option's annotation holds beside its type."""
    return get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()


def _completed(parameter: inspect.Parameter, choices: Vocabulary | None) -> inspect.Parameter:
    """The option, whose words a shell completes where it has choices."""
    if choices is None:
        return parameter
    kind, option, *marks = get_args(parameter.annotation)
    option = copy(option)
    option.autocompletion = choices.completed
    return parameter.replace(annotation=Annotated[kind, option, *marks])


def _check(values: Mapping[str, Any], places: Mapping[str, Place], choices: Mapping[str, Vocabulary]) -> None:
    """Raise InputError for a model that is none, and then for options that are none, before a file is read."""
    for name, place in places.items():
        for value in values[name] if place.is_list else [values[name]]:
            if place.word.check is not None:
                place.word.check(value)
    for name, words in choices.items():
        words.check(words.flag or f"--{name.replace('_', '-')}", values[name])


def _place(parameter: inspect.Parameter) -> Place | None:
    """How an option is given by its place, None where it has none."""
    word = next((mark for mark in _marks(parameter) if isinstance(mark, Word)), None)
    if word is None:
        return None
    kind = get_args(parameter.annotation)[0]
    is_list = any(get_origin(part) is list for part in (kind, *get_args(kind)))  # of what may be left out, too
    return Place(word, is_list, parameter.default is inspect.Parameter.empty, Path if Path in get_args(kind) else str)


def _optional(annotation: Any) -> Any:
    """The annotation of an option that need not be given by its flag."""
    kind, *marks = get_args(annotation)
    return Annotated[kind if isinstance(kind, UnionType) else kind | None, *marks]


def _all_option() -> inspect.Parameter:
    option = typer.Option(HELP_ALL, is_eager=True, callback=_show_all, help="Show all options, and what they are for.")
    return inspect.Parameter(ALL, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])


def _words(places: dict[str, Place]) -> inspect.Parameter:
    """The words of a command as an argument of typer's; the help of their flags tells what they are."""
    argument = typer.Argument(metavar=usage(places), hidden=True)
    return inspect.Parameter(
        WORDS, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[list[str] | None, argument]
    )


class Command(TyperCommand):
    """A command with a help that fits on a screen.

    Its options that have a panel of their own, and all but the first paragraph of what it says, are shown by --help-all.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The values of the words. Raises InputError for a second model, of which click would forget the first."""
        flags = [
            flag for parameter in self.params if parameter.name == MODEL and not parameter.multiple for flag in parameter.opts
        ]
        models = [at for at, word in enumerate(args) if word.partition("=")[0] in flags]
        if len(models) > 1:
            first, second = (args[at].partition("=")[2] or "".join(args[at + 1 : at + 2]) for at in models[:2])
            raise InputError(f"'{second}' is a model, and '{first}' is given already: {self.name} takes one")
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words as they are, without brackets around all of them."""
        words = [parameter.metavar or "" for parameter in self.params if parameter.name == WORDS]
        return [self.options_metavar or "", *words]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help: all of it where --help-all asks for that."""
        everything = bool(ctx.meta.get(HELP_ALL))
        rare: list[Any] = [parameter for parameter in self.params if _panel(parameter) is not None]
        text, epilog = self.help, self.epilog
        if rare and not everything:
            panels = dict.fromkeys(str(_panel(parameter)).partition(" (")[0] for parameter in rare)
            self.epilog = f"{HELP_ALL} shows {len(rare)} more options: {', '.join(panels)}."
            self.help = (text or "").partition("\n\n")[0]
        else:
            self.help = LINE_END.sub(" ", text or "")
        try:
            for parameter in rare:
                parameter.hidden = not everything
            super().format_help(ctx, formatter)
        finally:
            for parameter in rare:
                parameter.hidden = False
            self.help, self.epilog = text, epilog


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _show_all(context: typer.Context, flag: bool) -> None:
    if flag and not context.resilient_parsing:
        context.meta[HELP_ALL] = True
        context.get_help()  # typer prints it
        raise typer.Exit
