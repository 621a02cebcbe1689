"""Photos in folders, without what runs wrote there."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from openvino_xai.files.paths import is_folder, resolved
from openvino_xai.render.photo import SUFFIXES
from openvino_xai.runtime.manifest import is_product, products


class Search:
    """Finds photos in folders; what lies in `outputs`, or runs wrote into any folder, is left out and counted."""

    def __init__(self, outputs: Sequence[Path | None] = ()) -> None:
        self._outputs = [resolved(path) for path in outputs if path is not None]
        self._products: dict[Path, frozenset[str]] = {}  # by folder
        self.left_out: list[Path] = []

    @property
    def note(self) -> str:
        """How many files were left out, and an example."""
        return f"{len(self.left_out)} images are left out, as they are output and no photos: {self.left_out[0]}, ..."

    def inside(self, folder: Path) -> Iterator[Path]:
        """The photos in a folder and below, in order."""
        top = resolved(folder)
        outputs = [output for output in self._outputs if top in output.parents]  # where it is the input itself, only products
        return self._photos(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES), outputs)

    def matching(self, pattern: str) -> Iterator[Path]:
        """The files that a pattern means, in order."""
        files = [output for output in self._outputs if not is_folder(output)]
        return self._photos([Path(path) for path in sorted(glob.glob(pattern, recursive=True))], files)

    def _photos(self, paths: Iterable[Path], outputs: Sequence[Path]) -> Iterator[Path]:
        for path in paths:
            if self._is_output(path, outputs):
                self.left_out.append(path)
            elif not is_folder(path):
                yield path

    def _is_output(self, path: Path, outputs: Sequence[Path]) -> bool:
        parent = path.parent
        if parent not in self._products:
            self._products[parent] = products(parent)
        if is_product(path, self._products[parent]):
            return True
        place = resolved(parent) / path.name if outputs else path
        return any(output == place or output in place.parents for output in outputs)
