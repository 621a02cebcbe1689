"""Photos in folders, without what runs wrote there. What is no photo is counted by its kind: nothing is passed over unsaid."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_folder, is_link, resolved
from openvino_xai.files.reading import open_regular
from openvino_xai.render.kinds import HEAD, SUFFIXES, kind_of, reads_heic
from openvino_xai.runtime.manifest import is_product, products

OURS = ".ovxai"  # how hidden files begin that runs leave beside their outputs
HEIC = "HEIC (pip install 'ovxai[heif]' reads them)"


class Search:
    """Finds photos in folders; what lies in `outputs`, or runs wrote into any folder, is left out and counted.

    `passed_over` counts, by kind, all else that is there and no photo. `places` are the folders of photos, from the one that is
    searched.
    """

    def __init__(self, outputs: Sequence[Path | None] = ()) -> None:
        self._outputs = [resolved(path) for path in outputs if path is not None]
        self._products: dict[Path, frozenset[str]] = {}  # by folder
        self.left_out: list[Path] = []
        self.passed_over: Counter[str] = Counter()
        self.places: dict[Path, Path] = {}

    @property
    def notes(self) -> list[str]:
        """How many files were left out, with an example, and how many of which kind are no photos."""
        notes = []
        if self.left_out:
            count = len(self.left_out)
            notes.append(f"{count} images are left out, as they are output and no photos: {self.left_out[0]}, ...")
        if self.passed_over:
            kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(self.passed_over.items()))
            notes.append(f"passed over, as no photos that can be read; {kinds}")
        return notes

    def inside(self, folder: Path) -> Iterator[Path]:
        """The photos in a folder and below, in order. Links to folders are not followed, so that no circle has no end."""
        top = resolved(folder)
        outputs = [output for output in self._outputs if top in output.parents]  # where it is the input itself, only products
        for path in self._photos(sorted(self._files(folder)), outputs):
            kind = self._reason(path)
            if kind is not None:
                self.passed_over[kind] += 1
                continue
            self.places[path] = path.parent.relative_to(folder)
            yield path

    def matching(self, pattern: str) -> Iterator[Path]:
        """The files that a pattern means, in order."""
        files = [output for output in self._outputs if not is_folder(output)]
        return self._photos([Path(path) for path in sorted(glob.glob(pattern, recursive=True))], files)

    def _files(self, folder: Path) -> Iterator[Path]:
        """What is in a folder and below, but for folders and what is hidden."""

        def count(_: OSError) -> None:
            self.passed_over["folders that cannot be read"] += 1

        for parent, folders, files in os.walk(folder, onerror=count):
            place = Path(parent)
            self.passed_over["hidden"] += sum(name.startswith(".") and not name.startswith(OURS) for name in files)
            links = [name for name in folders if is_link(place / name)]
            self.passed_over["links to folders"] += len(links)
            hidden = [name for name in folders if name.startswith(".") and name not in links]
            self.passed_over["hidden folders"] += len(hidden)
            folders[:] = sorted(set(folders) - set(links) - set(hidden))
            yield from (place / name for name in files if not name.startswith("."))
        self.passed_over = +self.passed_over  # without what was not there

    def _reason(self, path: Path) -> str | None:
        """The kind of what is no photo that can be read; None for a photo, and for what has the name of one."""
        try:
            mode = path.stat().st_mode
        except OSError:
            return "links that lead nowhere" if is_link(path) else "that cannot be read"
        if not stat.S_ISREG(mode):
            return "pipes, sockets and devices"
        try:
            with open_regular(path) as file:
                kind = kind_of(file.read(HEAD))
        except InputError:
            return "that cannot be read"
        suffix = path.suffix.lower()
        if kind == "HEIC" and not reads_heic():
            return HEIC
        return None if kind is not None or suffix in SUFFIXES else suffix or "without a suffix"

    def _photos(self, paths: Iterable[Path], outputs: Sequence[Path]) -> Iterator[Path]:
        for path in paths:
            if self._is_output(path, outputs):
                self.left_out += [path] if path.suffix.lower() in SUFFIXES else []  # maps go with their pictures
            elif not is_folder(path):
                yield path

    def _is_output(self, path: Path, outputs: Sequence[Path]) -> bool:
        for folder in path.parents:
            if folder not in self._products:
                self._products[folder] = products(folder)
            if is_product(path.relative_to(folder), self._products[folder]):
                return True
        place = resolved(path.parent) / path.name if outputs else path
        return any(output == place or output in place.parents for output in outputs)
