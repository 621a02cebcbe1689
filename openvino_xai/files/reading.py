"""Files from anybody, read without hanging on what is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from openvino_xai.errors import InputError

if TYPE_CHECKING:
    pass


def read_regular(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a regular file, of at most `most`.

    Pipes, sockets and devices are not opened: reading one may hang, or do something to the machine. Raises InputError, which
    says what is wrong with the path.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise InputError(f"cannot read {path}: it has {size} bytes, and at most {most} are read")
        return file.read()


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading; what fails meanwhile is an InputError, too. Pipes and devices are not opened."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot read {path}: it is no regular file")
        # what was a file a moment ago may be a pipe now: opening must not wait for a writer
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"cannot read {path}: it is no regular file")
            yield file
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
