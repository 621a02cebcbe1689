"""A folder for one run at a time: two that write into one would exchange their files."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".ovxai.lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems answer that have none
BEYOND = 2**30  # where Windows locks a byte: what comes before can be read


@contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Keep a folder, made where it is not there, from other runs until the block, or this process, ends.

    Where the file system has no locks a second file is the lock, and a killed run leaves it. Raises InputError where another
    run has the folder.
    """
    new = [parent for parent in (folder, *folder.parents) if not exists(parent)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, descriptor = _lock_file(folder / LOCK)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file, and it locks nobody out
            path.unlink()
        os.close(descriptor)
        for parent in new:  # a run that wrote nothing leaves nothing
            try:
                parent.rmdir()
            except OSError:
                break


def _lock_file(path: Path) -> tuple[Path, int]:
    """The file that is the lock, and its descriptor."""
    while True:
        descriptor = _open_lock(path)
        try:
            if not _try_lock(descriptor, path):
                sole = path.with_suffix(".sole")
                with suppress(FileExistsError):
                    os.close(os.open(sole, os.O_CREAT | os.O_EXCL, 0o644))
                    return sole, descriptor
                raise InputError(
                    f"{path.parent} is in use, or was when a run was killed: its file system has no locks to tell; remove "
                    f"{sole} when no run has the folder"
                )
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
                    return path, descriptor
        except BaseException:  # Ctrl-C, too; it is raised again
            os.close(descriptor)
            raise
        os.close(descriptor)  # who had it has removed it meanwhile


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"cannot lock {path.parent}: {path} is no regular file")
    return descriptor


def _try_lock(descriptor: int, path: Path) -> bool:
    """Lock a file; False where the file system has no locks. Raises InputError where another process has it locked."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, BEYOND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        os.lseek(descriptor, 0, os.SEEK_SET)
        owner = os.read(descriptor, 300).decode(errors="replace") or "another run"
        raise InputError(f"{path.parent} is in use by {owner}: choose another folder, or wait until it ends") from error
    return True
