"""The photos that the words of a command mean."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from openvino_xai.cli.text import warn
from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_folder


def find_photos(inputs: list[str], *outputs: Path | None) -> list[Path]:
    """The images that paths, folders and patterns mean, each once, in order. Raises InputError where there are none.

    Where a folder or a pattern is searched, what runs wrote, and what lies in `outputs`, is left out.
    """
    from openvino_xai.runtime.folders.search import Search

    search = Search(outputs)
    photos: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        if is_folder(path):
            photos.update(dict.fromkeys(search.inside(path)))
        elif glob.has_magic(entry) and not os.path.lexists(path):
            photos.update(dict.fromkeys(search.matching(entry)))
        else:
            photos[path] = None
    if search.left_out:
        warn(search.note)
    if not photos:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return list(photos)
