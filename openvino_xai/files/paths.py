"""What a path leads to, whatever text it is.

pathlib raises errors for names that are too long, for circles of links and for folders that are closed.
"""

from __future__ import annotations

import os
from pathlib import Path


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to something; links are followed."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a regular file; links are followed."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a folder; links are followed."""
    return os.path.isdir(path)  # noqa: PTH112


def is_link(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a link itself."""
    return os.path.islink(path)  # noqa: PTH114


def resolved(path: str | os.PathLike[str]) -> Path:
    """The path without links, as far as there are files; what is no path, and a circle of links, stays as it is."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a NUL
        return Path(path)
