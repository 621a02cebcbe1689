"""What arguments have to be: whoever passes something else is told at the door, and not by what happens to break behind it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import NamedTuple, ParamSpec, TypeVar

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


class Kind(NamedTuple):
    """What a value of an argument passes, and what is said where it does not."""

    fits: Callable[[object], bool]
    expected: str

    def or_none(self) -> Kind:
        """The same, or None."""
        return Kind(lambda value: value is None or self.fits(value), self.expected)


def is_text(value: object) -> bool:
    """Whether it is text that is not empty and holds no NUL."""
    return isinstance(value, str) and bool(value) and "\0" not in value


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or NumPy, that 63 bits hold."""
    return isinstance(value, Integral) and not isinstance(value, bool) and abs(int(value)) < 2**63


def is_path(value: object) -> bool:
    """Whether it is text or a path, not empty, that a file system can have."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path:
        return False
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # half of a character
        return False
    return True


def is_number(value: object) -> bool:
    """Whether it is a number, of Python or NumPy, that is finite."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_text, value))


def _are_sizes(value: object) -> bool:
    return is_text(value) or (isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_whole, value)))


TEXT = Kind(is_text, "text that is not empty and has no NUL is expected")
TEXTS = Kind(lambda value: is_text(value) or _is_list_of_texts(value), "a name, or a list of names, is expected")
PATH = Kind(is_path, "a path is expected")
FLAG = Kind(lambda value: isinstance(value, bool), "True or False is expected")
WHOLE_NUMBER = Kind(is_whole, "a whole number is expected")
COUNT = Kind(lambda value: is_whole(value) and int(value) >= 1, "a whole number, 1 or more, is expected")  # type: ignore[call-overload]
COUNT_OR_NONE = Kind(lambda value: is_whole(value) and int(value) >= 0, "a whole number, 0 or more, is expected")  # type: ignore[call-overload]
IDS = Kind(
    lambda value: isinstance(value, (list, tuple, range)) and all(map(is_whole, value)), "a list of whole numbers is expected"
)
NUMBER = Kind(lambda value: isinstance(value, Real) and not isinstance(value, bool), "a number is expected")
SHARE = Kind(lambda value: is_number(value) and 0 <= float(value) <= 1, "a number from 0 to 1 is expected")  # type: ignore[arg-type]
SIZES = Kind(_are_sizes, "rows and columns, as 14x14 or (14, 14), are expected")
CALLABLE = Kind(callable, "a function is expected")
PLACE = {  # where a hook goes, or a probe looks
    "layer": TEXT.or_none(),
    "scores": TEXT.or_none(),
    "image_input": TEXT.or_none(),
    "prefix_tokens": COUNT_OR_NONE.or_none(),
    "token_grid": SIZES.or_none(),
    "cells": SIZES.or_none(),
}


def takes(**kinds: Kind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function refuse arguments that are not of their kinds. Those that are not named are its own to check."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(function)

        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            check_arguments(parameters.bind(*arguments, **options).arguments, kinds)
            return function(*arguments, **options)

        return call

    return decorated


def check_arguments(values: Mapping[str, object], kinds: Mapping[str, Kind]) -> None:
    """Raise InputError for a value that is not of the kind of its name."""
    for name, value in values.items():
        if name in kinds and not kinds[name].fits(value):
            raise InputError(f"{name} is {quoted(value)}: {kinds[name].expected}", options=(name,))
