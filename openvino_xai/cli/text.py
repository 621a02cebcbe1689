"""The one place where the command line prints. Text from outside is escaped, so that it commands a terminal nothing.

Results go to standard output, a line or table each, and all else to standard error.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from openvino_xai.errors import OutputError, OvxaiError, PreprocessingWarning

WIDE = 160  # columns, where standard output is no terminal
JOINERS = "\u200c\u200d"  # format characters that words and emoji are spelled with
UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of characters that move the cursor, turn text around or end a line
CLOSED = 128 + 13  # the exit status where nobody reads on, as of a program that SIGPIPE ends


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


def command_line() -> str:
    """What was typed, as a shell reads it."""
    return " ".join(["ovxai", *map(quoted, sys.argv[1:])])


def quoted(word: str) -> str:
    """A word as a shell reads it; where something in it commands a terminal, all of it is spelled, as `$'\\x1b'`."""
    if plain(word) == word:
        return shlex.quote(word)
    spelled = "".join(f"\\x{byte:02x}" if byte < 32 or byte > 126 or byte in b"\\'" else chr(byte) for byte in _bytes(word))
    return f"$'{spelled}'"


def _bytes(word: str) -> bytes:
    """A name as the file system has it, or as near to it as it can be: a page may make any up."""
    try:
        return os.fsencode(word)
    except UnicodeEncodeError:
        return word.encode("utf-8", "replace")


def message(error: OvxaiError | PreprocessingWarning) -> str:
    """What an error or a doubt says, and the flags of the options that help: Python knows them by other names."""
    flags = ", ".join(f"--{option.replace('_', '-')}" for option in error.options)
    return f"{error} ({flags})" if flags else str(error)


@contextmanager
def spelled(option: str, flag: str) -> Iterator[None]:
    """Errors inside name a `flag` as what helps, which is what a command calls the `option`."""
    try:
        yield
    except OvxaiError as error:
        error.options = tuple(flag if name == option else name for name in error.options)
        raise


def say(text: object) -> None:
    """Print a result as one line. Raises OutputError where standard output takes it not."""
    _write_result(plain(text) + "\n")


def say_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, texts: Collection[str], title: str | None = None
) -> None:
    """Print a table, not folded to 80 columns where nobody's terminal asks for that.

    The columns named in `texts` begin at the left, and numbers end at the right. Raises OutputError where standard output takes
    it not.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, title=None if title is None else Text(plain(title)), title_justify="left")
    for name in columns:
        table.add_column(Text(plain(name)), justify="left" if name in texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    terminal = Console()
    drawn = io.StringIO()
    width = terminal.width if terminal.is_terminal else WIDE
    Console(file=drawn, force_terminal=terminal.is_terminal, width=width, soft_wrap=True).print(table)
    _write_result(drawn.getvalue())


def warn(text: object) -> None:
    """Print what is wrong, or worth to know, as one line on standard error; where nobody can be told, go on."""
    with suppress(OSError):
        _write(sys.stderr, f"ovxai: {plain(text)}\n")


def _write_result(text: str) -> None:
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        sys.exit(CLOSED)
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error


def _write(stream: TextIO | None, text: str) -> None:
    """Print at once; characters that the stream's encoding lacks become escapes.

    After an error the stream discards all that follows. Raises OSError.
    """
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), end="", file=stream, flush=True)
    except OSError:
        with suppress(OSError, ValueError):  # what is left in the stream is written at exit, and must not fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def flush() -> None:
    """Write out what others have printed to standard output, as `--help`. Raises OutputError."""
    _write_result("")


@contextmanager
def progress(what: str, *, shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A function that moves a bar on stderr where that is a terminal; it takes a text, the count that is done, and that of all.

    Each call is a sign of life to the process that watches over this one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from openvino_xai.files.watch import beat

    console = Console(stderr=True)
    if not (shown and console.is_terminal):  # a bar that is disabled prints a line all the same, in rich 14.0
        yield lambda now, done, total: beat()
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(plain(what))

        def tell(now: str, done: int, total: int) -> None:
            beat()
            bar.update(task, description=plain(now), completed=done, total=total)

        yield tell
