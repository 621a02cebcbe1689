"""Tables as people read them, in a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

RULE = 120  # characters of the line below the heads, at most


def text_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows below their heads, in columns, with nothing in them that would command a terminal."""
    cells = [[shown(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * min(RULE, max(map(len, lines))), *lines[1:]])


def html_table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, titles: Sequence[str] = ()) -> str:
    """The same as HTML, every text escaped; `titles` are what the first cell of each row tells under the pointer."""

    def cell(tag: str, text: object, title: str = "") -> str:
        hint = f' title="{html.escape(title)}"' if title else ""
        return f'<{tag} style="text-align:left"{hint}>{html.escape(shown(text))}</{tag}>'

    lines = [
        "".join(cell("td", text, titles[place] if titles and not column else "") for column, text in enumerate(row))
        for place, row in enumerate(rows)
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{''.join(cell('th', head) for head in heads)}</tr></thead><tbody>{body}</tbody></table>"


def shown(value: object) -> str:
    """A value on one line, with escapes for what is not printable: a name may hold anything."""
    text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)
