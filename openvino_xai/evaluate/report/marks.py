"""Texts in a page: whatever a name or a label holds stays text."""

from __future__ import annotations

import html
from collections.abc import Sequence

from openvino_xai.tables import shown


def text(value: object) -> str:
    """A value as HTML has it, on one line, with escapes for what is not printable."""
    return html.escape(shown(value))


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table, the first cell of each row its head; without `heads` it has none."""
    top = "<thead><tr>" + "".join(f"<th>{text(head)}</th>" for head in heads) + "</tr></thead>" if heads else ""
    lines = [f"<tr><th>{text(first)}</th>{''.join(f'<td>{text(cell)}</td>' for cell in cells)}</tr>" for first, *cells in rows]
    return f'<div class="wide"><table>{top}<tbody>{"".join(lines)}</tbody></table></div>'
