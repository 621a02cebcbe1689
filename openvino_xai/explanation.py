"""The result a person holds: what was predicted, and which parts of the image carry it."""

from __future__ import annotations

import math
import re
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.contract import names_of
from openvino_xai.errors import ImageError
from openvino_xai.render.overlay import OVERLAY, Box, Smoothing, Style, drawn
from openvino_xai.render.photo import png, write_array, write_picture
from openvino_xai.render.sheet import sheet

SUFFIXES = (".png", ".npy")  # of the files of a target
LABEL = 120  # bytes of a label in a file's name


@dataclass(frozen=True)
class Prediction:
    """A class, its label (its id where there are no labels) and its probability in [0, 1]."""

    id: int
    label: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"id": self.id, "label": self.label, "probability": round(self.probability, 6)}


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image, explained.

    `image` [H, W, 3] RGB bytes; `predictions` the five most probable classes; `targets` the classes explained; `maps`
    [K, h, w], one for each target, on the scale that the hook was inserted with; `box` (x0, y0, x1, y1) what the model saw of
    the image, in its pixels; `record` how the hook was inserted and what ran; `preprocessing` what the model was fed, by the
    names of `model_info`, in few words (`fed`), and who said so (`sources`). `answers` are the classes that a model of several
    labels answers, as its `model_info` says; None of a model that answers one.
    """

    image: np.ndarray = field(repr=False)
    predictions: tuple[Prediction, ...]
    targets: tuple[Prediction, ...]
    maps: np.ndarray = field(repr=False)
    box: Box
    record: Mapping[str, str] = field(repr=False)
    path: Path | None = None
    preprocessing: Mapping[str, Any] = field(repr=False, default_factory=dict, kw_only=True)
    answers: tuple[int, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Raise ImageError where a map or a probability is no number."""
        bad = [target.id for target, saliency in zip(self.targets, self.maps, strict=True) if not np.isfinite(saliency).all()]
        if bad:
            raise ImageError(
                f"the map of class {bad[0]} holds numbers that are not finite: does the model run in this precision?"
            )
        if not all(math.isfinite(prediction.probability) for prediction in (*self.predictions, *self.targets)):
            raise ImageError("the model's scores are not finite: does it run in this precision?")

    def overlay(
        self, target: int = 0, *, colormap: str = "jet", opacity: float = 0.5, smoothing: Smoothing = "bilinear"
    ) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of the target at index `target` over the image; unseen parts stay as they are."""
        return self.drawn(Style("overlay", colormap, opacity, smoothing), target)

    def heatmap(self, target: int = 0, *, colormap: str = "jet", smoothing: Smoothing = "bilinear") -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target alone, black where the model saw nothing."""
        return self.drawn(Style("heatmap", colormap, smoothing=smoothing), target)

    def contours(self, target: int = 0, *, colormap: str = "jet", smoothing: Smoothing = "bilinear") -> np.ndarray:
        """[H, W, 3] RGB bytes: the image, with lines where the map of a target is at a quarter, half and three quarters."""
        return self.drawn(Style("contours", colormap, smoothing=smoothing), target)

    def drawn(self, style: Style, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style."""
        return drawn(self.image, self.maps[target], self.box, style)

    def grid(self, *others: Explanation, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: a row for this explanation and each other: the image, then each target with its probability."""
        rows = [row for explanation in (self, *others) for row in explanation._rows(style)]
        longest = max(map(len, rows))
        return sheet([[*row, *[(np.full_like(row[0][0], 255), "")] * (longest - len(row))] for row in rows])

    def _rows(self, style: Style) -> list[list[tuple[np.ndarray, str]]]:
        drawn_targets = [
            (self.drawn(style, index), f"{target.label} {target.probability:.1%}") for index, target in enumerate(self.targets)
        ]
        return [[(self.image, self.path.name if self.path else ""), *drawn_targets]]

    def show(self) -> None:
        """Open the grid in the system's viewer; in a notebook the explanation shows itself."""
        with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
            file.write(self._repr_png_())
        webbrowser.open(Path(file.name).as_uri())

    def _repr_png_(self) -> bytes:
        """The grid as PNG, which notebooks show."""
        return png(self.grid())

    @property
    def endings(self) -> list[str]:
        """What a name gets behind it for the files of each target, but for their suffixes."""
        return [f"_{k.id}_{_safe(k.label)}" if k.label != str(k.id) else f"_{k.id}" for k in self.targets]

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save` writes."""
        return [ending + suffix for ending in self.endings for suffix in SUFFIXES]

    def save(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture (PNG) and a map (`.npy`) for each target; for each, the two paths."""
        stem = name or (self.path.stem if self.path else "image")
        return [
            _written(folder, stem + ending, self.drawn(style, index), self.maps[index])
            for index, ending in enumerate(self.endings)
        ]

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        paths = files or [{} for _ in self.targets]
        return {
            "image": None if self.path is None else str(self.path),
            "predictions": [prediction.to_dict() for prediction in self.predictions],
            **({} if self.answers is None else {"answers": list(self.answers)}),
            "targets": [{**target.to_dict(), **path} for target, path in zip(self.targets, paths, strict=True)],
            "cells": list(self.maps.shape[1:]),
            "box": [round(edge, 2) for edge in self.box],
            "preprocessing": dict(self.preprocessing),
            "hook": dict(self.record),
        }

    def to_row(self) -> dict[str, Any]:
        """As a row of a table holds it: what is predicted, and the maps."""
        best = self.predictions[0]
        return {
            "predicted": best.id,
            "label": best.label,
            "probability": best.probability,
            "targets": [target.id for target in self.targets],
            "probabilities": [target.probability for target in self.targets],
            "cells": list(self.maps.shape[1:]),
            "box": list(self.box),
            "maps": self.maps,
        }


@dataclass(frozen=True, eq=False)
class HeadsExplanation:
    """One image, explained by several heads of a model: an explanation of each, by the name of its scores."""

    heads: Mapping[str, Explanation]
    path: Path | None = None

    def grid(self, *, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: a row for each head."""
        first, *others = self.heads.values()
        return first.grid(*others, style=style)

    def _repr_png_(self) -> bytes:
        """The grid as PNG, which notebooks show."""
        return png(self.grid())

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save` writes."""
        return [f"{ending}{behind}" for ending, head in self._named_heads for behind in head.file_endings(style)]

    @property
    def _named_heads(self) -> list[tuple[str, Explanation]]:
        """What a name gets behind it for the files of each head; the heads."""
        return [(f"_{names_of(head.record).head}", head) for head in self.heads.values()]

    def save(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture (PNG) and a map (`.npy`) for each target of each head; for each, the two paths."""
        stem = name or (self.path.stem if self.path else "image")
        return [paths for ending, head in self._named_heads for paths in head.save(folder, stem + ending, style=style)]

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        heads, done = [], 0
        for scores, head in self.heads.items():
            paths, done = files[done : done + len(head.targets)], done + len(head.targets)
            facts = {key: item for key, item in head.to_dict(paths).items() if key != "image"}
            heads.append({"scores": scores, **facts})
        return {"image": None if self.path is None else str(self.path), "heads": heads}


@dataclass(frozen=True, eq=False)
class Match:
    """Two photos, explained to each other by a model whose output is a vector.

    `images` are two of [H, W, 3] RGB bytes; `maps` two of [h, w], on the scale that the hook was inserted with: where the first
    is like the second, and where the second is like the first. `similarity` is that of their vectors by the `measure`, `dot` or
    `cosine`, which is in [-1, 1]. `boxes` (x0, y0, x1, y1) are what the model saw of each, in its pixels; `record` is how the
    hook was inserted and what ran, `preprocessing` what the model was fed, as of any explanation.
    """

    images: tuple[np.ndarray, np.ndarray] = field(repr=False)
    maps: tuple[np.ndarray, np.ndarray] = field(repr=False)
    similarity: float
    measure: str
    boxes: tuple[Box, Box]
    record: Mapping[str, str] = field(repr=False)
    path: Path | None = None
    against: Path | None = None
    preprocessing: Mapping[str, Any] = field(repr=False, default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Raise ImageError where a map or the similarity is no number."""
        if not all(np.isfinite(saliency).all() for saliency in self.maps) or not math.isfinite(self.similarity):
            raise ImageError(
                "the maps or the similarity hold numbers that are not finite: does the model run in this precision?"
            )

    def drawn(self, style: Style, side: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the first image (0) or the second (1) with its map, in a style."""
        return drawn(self.images[side], self.maps[side], self.boxes[side], style)

    def grid(self, *, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: a row for each image, as it is and with its map."""
        names = [path.name if path else "" for path in (self.path, self.against)]
        captions = [f"like {names[1]} {self.similarity:.3f}", f"like {names[0]} {self.similarity:.3f}"]
        return sheet([[(self.images[i], names[i]), (self.drawn(style, i), captions[i])] for i in (0, 1)])

    def _repr_png_(self) -> bytes:
        """The grid as PNG, which notebooks show."""
        return png(self.grid())

    @property
    def endings(self) -> list[str]:
        """What the first image's name gets behind it for the files of each image, but for their suffixes."""
        other = _safe(self.against.stem) if self.against else "other"
        return [f"_like_{other}", f"_in_{other}"]

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save` writes."""
        return [ending + suffix for ending in self.endings for suffix in SUFFIXES]

    def save(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture (PNG) and a map (`.npy`) for each image; for each, the two paths."""
        stem = name or (self.path.stem if self.path else "image")
        return [
            _written(folder, stem + ending, self.drawn(style, side), self.maps[side])
            for side, ending in enumerate(self.endings)
        ]

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        paths = [None if path is None else str(path) for path in (self.path, self.against)]
        sides = zip(paths, self.maps, self.boxes, files or ({}, {}), strict=True)
        return {
            "image": paths[0],
            "against": paths[1],
            "similarity": round(self.similarity, 6),
            "measure": self.measure,
            "targets": [
                {"image": path, "cells": list(saliency.shape), "box": [round(edge, 2) for edge in box], **written}
                for path, saliency, box, written in sides
            ],
            "preprocessing": dict(self.preprocessing),
            "hook": dict(self.record),
        }


def _written(folder: Path, name: str, picture: np.ndarray, saliency: np.ndarray) -> dict[str, str]:
    """The paths of a picture and a map, written."""
    overlay, array = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    write_picture(overlay, picture)
    write_array(array, saliency)
    return {"overlay": str(overlay), "map": str(array)}


def _safe(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", label).strip("_")[:60].encode()[:LABEL].decode(errors="ignore") or "class"
