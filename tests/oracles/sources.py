"""The sources of this project as trees, parsed once in a process: many tests look at all of them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file, in the order of `ast.walk`, its module first; for files that do not change while tests run."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
