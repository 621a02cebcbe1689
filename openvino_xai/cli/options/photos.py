"""The photos that the words of a command mean."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from openvino_xai.cli.text import warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.paths import is_folder

STANDARD_INPUT = "-"  # a file of that name is ./-


@dataclass(frozen=True)
class Photos:
    """Photos that words mean, in order; of those in folders the place below; and how many files are passed over, by kind."""

    paths: list[Path]
    places: dict[Path, Path]
    passed_over: dict[str, int]


def find_photos(inputs: list[str], *outputs: Path | None) -> list[Path]:
    """The images that paths, folders and patterns mean, as of `search_photos`."""
    return search_photos(inputs, *outputs).paths


def search_photos(inputs: list[str], *outputs: Path | None, kept_in: Path | None = None) -> Photos:
    """The images that paths, folders and patterns mean, each once, in order; one from standard input is written into `kept_in`.

    Where a folder or a pattern is searched, what runs wrote, and what lies in `outputs`, is left out, and that is told, as is
    what is no photo. Raises InputError where there are none, and where a pattern means none.
    """
    from openvino_xai.runtime.folders.search import Search

    search = Search(outputs)
    photos: dict[Path, None] = {}
    missing: list[str] = []
    for entry in inputs:
        path = Path(entry)
        if entry == STANDARD_INPUT:
            photos[_stored(standard_input(), kept_in)] = None
        elif is_folder(path):
            photos.update(dict.fromkeys(search.inside(path)))
        elif glob.has_magic(entry) and not os.path.lexists(path):
            matching = list(search.matching(entry))
            if not matching and not search.left_out:
                raise InputError(f"no image was found in {entry}: no file is like that")
            photos.update(dict.fromkeys(matching))
        else:
            photos[path] = None
            missing += [] if os.path.lexists(path) else [entry]
    for note in search.notes:
        warn(note)
    if missing and len(missing) == len(photos):  # one of many ends no run
        raise InputError(f"there is no file or folder {', '.join(missing)}")
    if not photos:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return Photos(list(photos), search.places, dict(sorted(search.passed_over.items())))


def standard_input() -> bytes:
    """What is sent to standard input, of the size of a photo. Raises InputError where that is nothing, or a terminal."""
    from openvino_xai.render.photo import MOST

    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("- is a photo on standard input, and nothing is sent there: `< photo.jpg` sends a file")
    try:
        data = sys.stdin.buffer.read(MOST + 1)
    except OSError as error:
        raise InputError(f"cannot read standard input: {error.strerror or error}") from error
    if not data:
        raise InputError("- is a photo on standard input, and that is empty")
    if len(data) > MOST:
        raise InputError(f"a photo of more than {MOST} bytes is on standard input, and at most as many are read")
    return data


def _stored(data: bytes, folder: Path | None) -> Path:
    """The path of a photo from standard input, which its content names: another is another file. Raises InputError."""
    from openvino_xai.files.reading import read_regular
    from openvino_xai.files.writing import written_whole
    from openvino_xai.render.photo import decode_photo

    if folder is None:
        raise InputError("a photo on standard input is for `ovxai explain`, which keeps it, and `ovxai info`")
    try:
        decode_photo(data, "standard input")
    except ImageError as error:  # what is no photo is not kept
        raise InputError(str(error)) from error
    path = folder / f"stdin-{hashlib.sha256(data).hexdigest()[:12]}"
    if not os.path.lexists(path) or read_regular(path) != data:
        with written_whole(path) as temporary:
            temporary.write_bytes(data)
    return path
