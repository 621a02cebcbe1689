"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openvino_xai.errors import OutputError
from openvino_xai.files.paths import exists, is_folder
from openvino_xai.files.scratch import scratch_folder

if TYPE_CHECKING:
    pass

NAME_MAX = 255  # bytes of a name, where the system does not tell


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A temporary path with the target's name; on success it, and any files written beside it, are moved into place.

    What has been moved is on the disk when this returns. A link at the target is replaced, and what it points to is left as it
    is. Raises OutputError.
    """
    check_output(target)
    with writing(target), scratch_folder(target.parent) as folder:
        yield folder / target.name
        # what it refers to goes first
        paths = sorted(folder.iterdir(), key=lambda path: path.name == target.name)
        for path in paths:
            check_output(target.parent / path.name)
            settle(path)
        for path in paths:
            path.replace(target.parent / path.name)
        settle(target.parent)


def check_output(target: Path, *, size: int = 1) -> None:
    """Raise OutputError where no file of so many bytes can be written.

    A folder, a pipe or a device is there, or its place cannot be used or is full, as far as the system tells that ahead.
    """
    if "\0" in str(target):
        raise OutputError(f"cannot write {target}: no name holds a NUL; choose another name")
    with writing(target):
        try:
            mode = target.lstat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        place = next(parent for parent in target.absolute().parents if exists(parent))
        if not is_folder(place):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if any(len(os.fsencode(part)) > _longest_name(place) for part in target.absolute().relative_to(place).parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if shutil.disk_usage(place).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise OutputError(f"cannot write {target}: what is there is {kind}; choose another name")


def _longest_name(folder: Path) -> int:
    """Bytes of a name that a folder's file system takes."""
    return os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else NAME_MAX


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What the system says against writing a target becomes an OutputError with its name and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "choose another place")
        raise OutputError(f"cannot write {target}: {error.strerror or error}; {advice}") from error


_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "the system's limit of a file's size (ulimit -f) is too low, or the disk takes no file as large",
    errno.EACCES: "choose a place that you may write in",
    errno.EPERM: "choose a place that you may write in",
    errno.EROFS: "choose a place that you may write in",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a folder is expected where a file is",
    errno.EEXIST: "a folder is expected where a file is",
}


def settle(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
