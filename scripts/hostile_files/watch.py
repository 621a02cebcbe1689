"""What a case must leave as it was: a tree of files beside it, and a secret outside of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from hostile_files.traps import SECRET

MARKS = (SECRET[:24], b"root:x:0:0")  # what stands in files that nobody may copy from
LARGE = 2**24


@dataclass(frozen=True)
class Watch:
    """A tree of files as it was: modes, times, links and contents by path."""

    root: Path
    entries: dict[str, tuple[object, ...]]

    @classmethod
    def of(cls, root: Path) -> Watch:
        """The tree at a folder."""
        return cls(root, dict(_entries(root, root)))

    def differences(self, allowed: Callable[[str], bool]) -> list[str]:
        """What was left, or touched, since, but for paths that are allowed to be new or others."""
        now = dict(_entries(self.root, self.root))
        scratch = [name for name in now if name not in self.entries and ".ovxai-" in name]
        new = [name for name in now if name not in self.entries and not allowed(name) and name not in scratch]
        gone = [f"touched: {name} is gone" for name in self.entries if name not in now and not allowed(name)]
        changed = [name for name, entry in self.entries.items() if entry != now.get(name, entry) and not allowed(name)]
        return [*(f"left: {name}" for name in [*scratch, *new]), *gone, *(f"touched: {name}" for name in changed)]


def _entries(folder: Path, root: Path) -> list[tuple[str, tuple[object, ...]]]:
    entries: list[tuple[str, tuple[object, ...]]] = []
    with os.scandir(folder) as items:
        for item in sorted(items, key=lambda item: item.name):
            path = Path(item.path)
            status = item.stat(follow_symlinks=False)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                content = (status.st_size, status.st_mtime_ns, crc32(path.read_bytes()) if status.st_size < LARGE else 0)
            entries.append((str(path.relative_to(root)), (status.st_mode, content)))
            if stat.S_ISDIR(status.st_mode):
                entries += _entries(path, root)
    return entries


def canary(folder: Path) -> None:
    """A tree of somebody else's files: with contents, modes and links."""
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "holiday.txt").write_text("do not touch")
    (folder / "photos" / "model.onnx").write_bytes(b"somebody else's model")
    (folder / "private").write_bytes(SECRET)
    (folder / "private").chmod(0o600)
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o755)
    (folder / ".ovxai-mine").mkdir()
    (folder / ".ovxai-mine" / "note").write_text("mine, whatever its name")
    (folder / "link").symlink_to("photos/holiday.txt")
    (folder / "dangling").symlink_to("nowhere")


def leaked(paths: list[Path]) -> list[str]:
    """The files among some that hold what stands in files that nobody may copy from."""
    return [str(path) for path in paths if path.is_file() and any(mark in path.read_bytes() for mark in MARKS)]
