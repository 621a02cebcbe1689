"""Names from a model as literals of what is written: nothing in a name ends the literal that holds it.

Python's literals are those of `repr`, JSON's those of `json`, protobuf's those of `model_config`.
"""

from __future__ import annotations

import re

FENCE = 3  # backticks


def yaml_string(text: str) -> str:
    """A double-quoted scalar of YAML, in ASCII. Its escapes are Python's, but for the quote."""
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def code_span(text: str) -> str:
    """A code span of Markdown."""
    ticks = "`" * (_longest_ticks(text) + 1)
    pad = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") else ""  # a reader takes one off at either end
    return f"{ticks}{pad}{text}{pad}{ticks}"


def code_block(text: str, language: str = "") -> str:
    """A fenced block of Markdown."""
    fence = "`" * max(FENCE, _longest_ticks(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
