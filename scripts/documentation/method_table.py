"""The table of docs/methods.md: all methods, as `xai.methods()` lists them."""

from __future__ import annotations

import re

import openvino_xai as xai
from openvino_xai.method_table import MethodRow

START, END = "<!-- table: methods -->", "<!-- end -->"


def with_methods(page: str) -> str:
    """A page with the table of all methods between its markers. Raises ValueError where it has none."""
    pattern = re.compile(rf"(?<={START}\n).*?(?={END})", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no place for the methods, between {START} and {END}")
    return pattern.sub(lambda _: f"\n{table()}\n\n", page)


def table() -> str:
    """Two tables: methods inside the model, then methods that ask it."""
    kinds = {"hook": "Inside the model, as a hook", "probe": "Asking the model, without a hook"}
    return "\n\n".join(f"**{title}**\n\n{_rows(kind)}" for kind, title in kinds.items())


def _rows(kind: str) -> str:
    lines = ["| method | what it shows | explains | gradients | cost | source |", "|" + " --- |" * 6]
    return "\n".join(lines + [_row(method) for method in xai.methods() if method.kind == kind])


def _row(method: MethodRow) -> str:
    default = f" *The default for {method.default}.*" if method.default else ""
    cells = (
        f"`{method.name}`<br>{method.title}",
        method.summary + "." + default,
        ", ".join(method.explains),
        "yes" if method.gradients else "",
        method.cost,
        method.source,
    )
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
