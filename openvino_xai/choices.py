"""Words of which one is expected: what else comes is refused, with the word that was probably meant."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable

from openvino_xai.errors import InputError

LONGEST = 64  # characters of what can be a slip of a word
CLOSE = 0.6  # a likeness above which one word is taken for a slip of another


def quoted(value: object) -> str:
    """What somebody gave, shortened, in quotes where it is text: `'gradcam'`, `3.5`, `[1, 2, 3, ...]`."""
    if isinstance(value, (str, bytes, int, float, bool, type(None), list, tuple, dict, set, frozenset)):
        return _SHORT.repr(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"  # what anything else says of itself may be long, or fail


def suggestion(word: object, expected: Iterable[str]) -> str:
    """`; did you mean 'grad_cam'?` for `gradcam`, "" where nothing is like it; capitals and underscores make no difference."""
    if not isinstance(word, str) or not 0 < len(word) <= LONGEST:
        return ""
    by_key: dict[str, str] = {}
    for name in expected:
        by_key.setdefault(_key(name), name)
    close = difflib.get_close_matches(_key(word), by_key, n=1, cutoff=CLOSE)
    return f"; did you mean '{by_key[close[0]]}'?" if close else ""


def check_choice(what: str, value: object, expected: Collection[str], *, of: str = "", options: tuple[str, ...] = ()) -> None:
    """Raise InputError where a value is none of the words that are expected (`of` something)."""
    if isinstance(value, str) and value in expected:  # ahead of all that could be there
        return
    words = tuple(expected)
    raise InputError(
        f"{what} {quoted(value)} is not known{of}: one of {', '.join(filter(None, words))} is expected"
        f"{suggestion(value, words)}",
        options=options,
    )


def _key(word: str) -> str:
    return re.sub(r"[\W_]+", "", word.casefold().replace("+", "plus"))


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
