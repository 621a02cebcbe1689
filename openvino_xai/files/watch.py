"""What a process lets the one that watches over it know: the folders it writes in, that it gets on, and a page it serves."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from openvino_xai.files.paths import exists

WATCH = "OVXAI_WATCH"  # names the folder of the process that watches, if there is one
FOLDERS, BEAT, PAGE = "folders", "beat", "page"  # what lies in it
PACE = 0.2  # seconds between two signs of life

_alone = secrets.token_hex(4)
_noted: set[tuple[str, bytes]] = set()
_last_beat = 0.0


def run_name() -> str:
    """Eight characters that name this run, the same in all of its processes."""
    return os.environ.get(WATCH, _alone)[-8:]


def note_folder(folder: Path) -> None:
    """Write down that this run writes in a folder. Names end with a NUL, which no name holds."""
    watch, name = os.environ.get(WATCH), os.fsencode(folder.absolute())
    if watch is None or (watch, name) in _noted:
        return
    _noted.add((watch, name))
    with suppress(OSError):  # whoever watches has ended
        descriptor = os.open(Path(watch) / FOLDERS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "ab", buffering=0) as file:  # noqa: PTH123
            file.write(name + b"\0")


def noted_folders(watch: Path) -> list[Path]:
    """The folders that were written down; a name without its end is left out."""
    log = watch / FOLDERS
    names = log.read_bytes().split(b"\0")[:-1] if exists(log) else []
    return [Path(os.fsdecode(name)) for name in names]


def beat() -> None:
    """Give a sign of life: an inference has ended, or an image is done."""
    global _last_beat
    watch, now = os.environ.get(WATCH), time.monotonic()
    if watch is None or now - _last_beat < PACE:
        return
    _last_beat = now
    with suppress(OSError):
        (Path(watch) / BEAT).touch()


def last_beat(watch: Path) -> int:
    """When the last sign of life came, in nanoseconds of the file system's clock; 0 before the first."""
    try:
        return (watch / BEAT).stat().st_mtime_ns
    except OSError:
        return 0


def note_page(address: str) -> bool:
    """Write down the address of a page that is served, for whoever watches to open; whether anybody does."""
    if (watch := os.environ.get(WATCH)) is None:
        return False
    path = Path(watch) / PAGE
    try:
        path.with_suffix(".new").write_text(address, encoding="utf-8")
        path.with_suffix(".new").replace(path)
    except OSError:
        return False
    return True


def noted_page(watch: Path) -> str | None:
    """The address of the page that was written down, if any was."""
    try:
        return (watch / PAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
