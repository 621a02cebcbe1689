"""Text in pictures, whose letters are those of ASCII alone."""

from __future__ import annotations

import unicodedata

CUT = "..."


def lettered(text: str, most: int) -> str:
    """Text on one line of at most `most` characters that pictures have: accents go, and what has no letter is a `?`."""
    apart = unicodedata.normalize("NFKD", text[: 8 * most])
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    line = "".join(character if " " <= character <= "~" else "?" for character in plain)
    return line if len(line) <= most else line[: max(0, most - len(CUT))] + CUT[:most]
