"""Folders for what is being written: beside its place, so that it can be moved there, and locked while somebody writes.

The lock ends with the process, however it ends. So a folder without one is what a killed process has left.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openvino_xai.files.paths import is_folder
from openvino_xai.files.watch import note_folder, run_name

if sys.platform != "win32":
    import fcntl

PREFIX = ".ovxai-"
RANDOM = "[a-z0-9_]{8}"  # as tempfile ends names


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A new folder in `beside`, which is made where it is not there; it is removed with what is left in it."""
    beside.mkdir(parents=True, exist_ok=True)
    note_folder(beside)
    with locked_folder(beside, f"{PREFIX}{run_name()}-") as folder:
        yield folder


@contextmanager
def locked_folder(beside: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `beside` with a name that begins so, locked until it is removed."""
    folder, descriptor = _new(beside, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sweep(beside: Path, run: str = RANDOM) -> None:
    """Remove what killed processes have left in a folder, of one run or, by default, of any."""
    for folder in left_folders(beside, re.escape(PREFIX) + run + "-" + RANDOM):
        shutil.rmtree(folder, ignore_errors=True)


def left_folders(beside: Path, pattern: str) -> Iterator[Path]:
    """Folders in `beside` with names like `pattern`, of this user and no links, that no process has locked.

    Each is locked until the next is asked for. Where the system has no such locks there are none.
    """
    with suppress(OSError):
        for name in sorted(os.listdir(beside)):  # noqa: PTH208 - a listing while folders come and go
            if not re.fullmatch(pattern, name):
                continue
            try:
                descriptor = _locked(beside / name, alone=True)
            except OSError:
                continue
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    yield beside / name
            finally:
                os.close(descriptor)


def _new(beside: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=beside))
        try:
            descriptor = _locked(folder, alone=False)
        except (FileNotFoundError, BlockingIOError):  # who sweeps was faster
            continue
        except OSError:  # a file system without locks, where nobody sweeps
            return folder, None
        if is_folder(folder):
            return folder, descriptor
        os.close(descriptor)


def _locked(folder: Path, *, alone: bool) -> int:
    """A descriptor of a folder that is no link, with a lock that others share or not. Raises OSError."""
    if sys.platform == "win32":
        raise OSError("folders have no locks here")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
