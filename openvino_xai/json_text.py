"""JSON as it is written down here: text of ASCII alone, and numbers that every reader has.

NaN and infinity are no JSON: a file that holds them is refused by other programs, and a mean over them is none.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from openvino_xai.errors import InputError


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON, of ASCII alone, so that names of files that are no text can be written and read back.

    Raises InputError for a number that is not finite.
    """
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except ValueError as error:
        raise InputError(f"a result holds a number that is not finite, which JSON has no word for: {error}") from error


def from_json(text: str | bytes) -> Any:
    """The value that JSON tells, with or without a byte order mark. Raises ValueError for whatever is wrong with it."""
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")
