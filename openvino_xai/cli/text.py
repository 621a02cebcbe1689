"""What commands print with: tables as wide as they need, bars where somebody watches."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 160  # columns, where standard output is no terminal
JOINERS = "\u200c\u200d"  # format characters that words and emoji are spelled with
UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of characters that move the cursor, turn text around or end a line


def plain(text: object) -> str:
    """A name or message on one line that commands a terminal nothing: control characters, line ends and halves of characters
    become escapes, as in `\\x1b`.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in UNSHOWN and character not in JOINERS
        else character
        for character in str(text)
    )


def print_table(table: Table) -> None:
    """Print a table, not folded to 80 columns where nobody's terminal asks for that."""
    from rich.console import Console

    console = Console()
    Console(width=console.width if console.is_terminal else WIDE, soft_wrap=True).print(table)


@contextmanager
def progress(what: str, *, shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal; it is told what goes on, how much is done and how much there is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda now, done, total: bar.update(task, description=now, completed=done, total=total)
