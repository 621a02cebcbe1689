"""What all results share: they are compared, shown in notebooks, and written so that they can be read again."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from openvino_xai.arguments import is_path
from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.explanation.archive import SUFFIX, read_archive, write_archive
from openvino_xai.explanation.files import endings_of, written
from openvino_xai.files.paths import is_folder
from openvino_xai.render.overlay import OVERLAY, Style
from openvino_xai.render.photo import png
from openvino_xai.render.switch import Tile, switch

FILES = (".png", ".jpg", ".jpeg", ".npy", ".html", ".pdf", ".svg")  # what no folder is called


class Result:
    """An explanation of one kind or another; a dataclass that says what it holds."""

    path: Path | None
    maps: Sequence[np.ndarray] | np.ndarray

    def grid(self, *, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: all that there is, side by side."""
        raise NotImplementedError

    def drawn(self, style: Style, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style."""
        raise NotImplementedError

    def _picture_of_file(self, style: Style, target: int) -> np.ndarray:
        """[H, W, 3] RGB bytes: what a file shows of a target: the map, and what there is to read of it."""
        return self.drawn(style, target)

    @property
    def endings(self) -> list[str]:
        """What a name gets behind it for the files of each target, but for their suffixes."""
        raise NotImplementedError

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save_pictures` writes."""
        return [behind for ending in self.endings for behind in endings_of(ending, style)]

    def save_pictures(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture and a map (`.npy`) for each target; for each, the two paths."""
        stem = self.stem(name)
        return [
            written(folder, stem + ending, partial(self._picture_of_file, style, index), self.maps[index], style)
            for index, ending in enumerate(self.endings)
        ]

    def pictures(self, style: Style = OVERLAY) -> Iterator[Tile]:
        """What a notebook shows, one after the other: each target with its map."""
        raise NotImplementedError

    def save(self, folder: str | os.PathLike[str], name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture (PNG) and a map (`.npy`) for each target into a folder, and `NAME.npz`, which `load` reads again.

        `name` is by default that of the photo's file. Where `folder` ends in `.npz`, that file alone is written. Files of the
        same names are replaced, each whole or not at all. Returns the paths of the picture and the map of each target. Raises
        OutputError where nothing can be written.
        """
        target = _path(folder)
        if name is not None and (not isinstance(name, str) or not is_path(name) or Path(name).name != name):
            raise InputError(f"a name is {quoted(name)}: a part of a file's name is expected, without folders")
        if target.suffix == SUFFIX and not is_folder(target):
            write_archive(target, self)
            return []
        if target.suffix.lower() in FILES and not is_folder(target):
            raise InputError(
                f"{target} looks like a file, and a folder is written: save({quoted(str(target.parent))}) writes pictures and "
                "maps there, and overlay(), heatmap() and grid() return pictures"
            )
        files = self.save_pictures(target, name, style=style)
        write_archive(target / f"{self.stem(name)}{SUFFIX}", self)
        return files

    def stem(self, name: str | None = None) -> str:
        """What files of the result are called."""
        return name or (self.path.stem if self.path else "image")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote: a file `NAME.npz`, or a folder with one such file.

        Nothing is unpickled. Raises InputError for a file that holds something else, or an explanation of another kind.
        """
        source = _path(path)
        if is_folder(source):
            source = _only_archive(source)
        result = read_archive(source)
        if not isinstance(result, cls):
            kind = type(result).__name__
            raise InputError(f"{source} holds a {kind}: openvino_xai.{kind}.load reads it")
        return result

    def show(self) -> None:
        """Open the grid in the system's viewer; in a notebook the explanation shows itself."""
        with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
            file.write(self._repr_png_())
        webbrowser.open(Path(file.name).as_uri())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _same(self, other)

    __hash__ = None  # type: ignore[assignment] # arrays may change

    def _repr_png_(self) -> bytes:
        """The grid as PNG, which notebooks show."""
        return png(self.grid())

    def _repr_html_(self) -> str:
        """Each target's picture behind a switch, which notebooks show."""
        return switch(self.pictures())


def _path(path: object) -> Path:
    if not is_path(path):
        raise InputError(f"a path is {quoted(path)}: text or a pathlib.Path is expected")
    return Path(cast("str | os.PathLike[str]", path))


def _only_archive(folder: Path) -> Path:
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix == SUFFIX)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
    if len(names) != 1:
        some = f"{len(names)} of them ({', '.join(names[:3])}, ...): name one" if names else "none: save an explanation there"
        raise InputError(f"{folder} is a folder, in which one file {SUFFIX} is expected, and there are {some}")
    return folder / names[0]


def _same(first: Any, second: Any) -> bool:
    """Whether two values are the same, to the bit where they are arrays; no number equals NaN but NaN."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return (
            isinstance(first, np.ndarray)
            and isinstance(second, np.ndarray)
            and first.dtype == second.dtype
            and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        )
    if is_dataclass(first) and not isinstance(first, type):
        return type(first) is type(second) and all(
            _same(getattr(first, field.name), getattr(second, field.name)) for field in fields(first)
        )
    if isinstance(first, Mapping):
        return (
            isinstance(second, Mapping)
            and first.keys() == second.keys()
            and all(_same(first[key], second[key]) for key in first)
        )
    if isinstance(first, (list, tuple)):
        pairs = zip(first, second, strict=False) if isinstance(second, (list, tuple)) else ()
        return type(first) is type(second) and len(first) == len(second) and all(_same(*pair) for pair in pairs)
    return bool(first == second)
