"""Folders for what is being written: beside its place, so that it can be moved there, and known to who watches."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = ".ovxai-"
LOG = "OVXAI_SCRATCH_LOG"  # a file that the folders of this process are written down in, so that another can remove them


def scratch_folder(beside: Path) -> Path:
    """A new folder in `beside`, which is made where it is not there."""
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
    if log := os.environ.get(LOG):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{folder.resolve()}\n")
    return folder


def sweep(beside: Path) -> None:
    """Remove what processes that were killed have left there; nobody may be writing."""
    for folder in beside.glob(f"{PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
