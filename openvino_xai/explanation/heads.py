"""The explanation of one image by several heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.contract import names_of
from openvino_xai.explanation.checks import check_facts, hold
from openvino_xai.explanation.classes import Explanation
from openvino_xai.explanation.result import Result
from openvino_xai.render.overlay import OVERLAY, Style
from openvino_xai.render.switch import Tile


@dataclass(frozen=True, eq=False, repr=False)
class HeadsExplanation(Result):
    """One image, explained by several heads of a model: an explanation of each, by the name of its scores."""

    heads: Mapping[str, Explanation]
    path: Path | None = None

    def __post_init__(self) -> None:
        """Raise InputError for what is no explanation of heads."""
        self.check()

    def grid(self, *, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: a row for each head."""
        first, *others = self.heads.values()
        return first.grid(*others, style=style)

    def pictures(self, style: Style = OVERLAY) -> Iterator[Tile]:
        """Those of each head, behind its name."""
        for scores, head in self.heads.items():
            for item in head.pictures(style):
                yield Tile(item.picture, f"{scores}: {item.caption}")

    def __repr__(self) -> str:
        """What each head predicts."""
        heads = ", ".join(f"{quoted(scores)}: {head!r}" for scores, head in self.heads.items())
        return f"<{type(self).__name__} {heads}>"

    def check(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        hold("a head", isinstance(self.heads, Mapping) and all(isinstance(head, Explanation) for head in self.heads.values()))
        hold("a head", len(self.heads) > 0)
        check_facts({}, {}, self.path)

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save_pictures` writes."""
        return [f"{ending}{behind}" for ending, head in self._named_heads for behind in head.file_endings(style)]

    @property
    def _named_heads(self) -> list[tuple[str, Explanation]]:
        """What a name gets behind it for the files of each head; the heads."""
        return [(f"_{names_of(head.record).head}", head) for head in self.heads.values()]

    def save_pictures(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture (PNG) and a map (`.npy`) for each target of each head; for each, the two paths."""
        stem = self.stem(name)
        return [paths for ending, head in self._named_heads for paths in head.save_pictures(folder, stem + ending, style=style)]

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        heads, done = [], 0
        for scores, head in self.heads.items():
            paths, done = files[done : done + len(head.targets)], done + len(head.targets)
            facts = {key: item for key, item in head.to_dict(paths).items() if key != "image"}
            heads.append({"scores": scores, **facts})
        return {"image": None if self.path is None else str(self.path), "heads": heads}
