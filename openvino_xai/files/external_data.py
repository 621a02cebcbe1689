"""A model's data outside the file that it is called by: one rule for every format.

Data lies in the folder of the path that the model is named by, or below, in regular files of its own. A link, or a second
hard link, may lead to anything that the user may read; a pipe or a device may hang, or do something to the machine. Where the
model's path is a link, its data is looked for beside the link, as ONNX Runtime and OpenVINO do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from openvino_xai.errors import ModelError

DATA = {".xml": ".bin", ".pdmodel": ".pdiparams"}  # suffixes of formats that have one file of data, and of that file
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def data_beside(path: Path) -> Path | None:
    """The file with the data of a model, where its format has one of the same name; None for other formats."""
    return path.with_suffix(DATA[path.suffix]) if path.suffix in DATA else None


def open_beside(folder: Path, location: str, subject: str) -> BinaryIO:
    """The file at a location in a model's folder, open. Messages call the data `subject`.

    What is checked is what was opened, whatever the path leads to a moment later. Raises ModelError.
    """
    place = PurePosixPath(location)
    if not place.name or place.is_absolute() or ".." in place.parts:
        raise ModelError(f"{subject} is in '{location}', which is no file in the model's folder: it has to lie there")
    path = folder / place
    try:
        before = path.lstat()
        if not stat.S_ISREG(before.st_mode):  # opening a device may do something already
            raise ModelError(_refusal(subject, location))
        file = os.fdopen(os.open(path, FLAGS), "rb")
        opened = os.fstat(file.fileno())
        straight = path.resolve(strict=True) == folder.resolve() / place and os.path.samestat(opened, path.lstat())
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        raise ModelError(f"{subject} is in '{location}', and there is no such file that can be read: {error}") from error
    if not stat.S_ISREG(opened.st_mode) or opened.st_nlink != 1 or not straight:
        file.close()
        raise ModelError(_refusal(subject, location))
    return file


@contextmanager
def unchanged(files: list[Path]) -> Iterator[None]:
    """Hold files that another library reads by their paths to the rule, before it does and after. Raises ModelError."""
    before = [_identity(path) for path in files]
    yield
    for path, identity in zip(files, before, strict=True):
        if _identity(path) != identity:
            raise ModelError(f"{path} was replaced while it was read: read it again when nobody writes it")


def _identity(path: Path) -> tuple[int, ...]:
    with open_beside(path.parent, path.name, "the model's data") as file:
        status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _refusal(subject: str, location: str) -> str:
    return (
        f"{subject} is in '{location}', which is no regular file of its own in the model's folder: a link may lead anywhere; "
        "copy the content there"
    )
