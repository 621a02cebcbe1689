"""Commands, as typer reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, get_type_hints


def texts(values: dict[str, Any]) -> dict[str, Any]:
    """The options with their paths as text, as JSON holds them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: every field of a group of options is an option of the command, in the group's place."""
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

    @wraps(command)
    def call(**values: Any) -> None:
        instances = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        command(**instances, **values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
