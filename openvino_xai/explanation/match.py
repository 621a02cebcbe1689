"""Two images, explained to each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from openvino_xai.arguments import NUMBER, takes
from openvino_xai.choices import check_choice
from openvino_xai.errors import ImageError
from openvino_xai.explanation.checks import check_facts, hold, is_box, is_maps, is_photo
from openvino_xai.explanation.files import safe
from openvino_xai.explanation.result import Result
from openvino_xai.render.overlay import OVERLAY, Box, Smoothing, Style, drawn, on_photo
from openvino_xai.render.sheet import sheet
from openvino_xai.render.switch import Tile


@dataclass(frozen=True, eq=False, repr=False)
class Match(Result):
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
        """Raise ImageError where a map or the similarity is no number, InputError for what is no match."""
        self.check()
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

    def pictures(self, style: Style = OVERLAY) -> Iterator[Tile]:
        """Each image, with where it is like the other."""
        names = [path.name if path else f"image {side + 1}" for side, path in enumerate((self.path, self.against))]
        for side in (0, 1):
            yield Tile(self.drawn(style, side), f"{names[side]}, {self.measure} {self.similarity:.3f}")

    @takes(outside=NUMBER)
    def maps_in_photos(self, *, smoothing: Smoothing = "bilinear", outside: float = math.nan) -> tuple[np.ndarray, np.ndarray]:
        """Two of [H, W], f32: each map in its image's own pixels, `outside` (NaN by default) where the model saw nothing."""
        check_choice("smoothing", smoothing, get_args(Smoothing), options=("smoothing",))
        maps = []
        for image, saliency, box in zip(self.images, self.maps, self.boxes, strict=True):
            values, coverage = on_photo(saliency, (image.shape[0], image.shape[1]), box, smoothing)
            maps.append(np.where(coverage, values, np.float32(outside)).astype(np.float32))
        return maps[0], maps[1]

    def __repr__(self) -> str:
        """How like the two are."""
        height, width = self.maps[0].shape
        return (
            f"<{type(self).__name__}: {self.measure} {self.similarity:.4f}, maps of {height} x {width} cells by "
            f"{self.record.get('method', 'an unknown method')}>"
        )

    def check(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        pairs = (self.images, self.maps, self.boxes)
        hold("a pair", all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs))
        hold("an image", all(map(is_photo, self.images)))
        hold("a map", all(is_maps(saliency, 2) and saliency.size for saliency in self.maps))
        hold("a box", all(map(is_box, self.boxes)))
        hold("the similarity", isinstance(self.similarity, (int, float)) and isinstance(self.measure, str))
        check_facts(self.record, self.preprocessing, self.path, self.against)

    @property
    def endings(self) -> list[str]:
        """What the first image's name gets behind it for the files of each image, but for their suffixes."""
        other = safe(self.against.stem) if self.against else "other"
        return [f"_like_{other}", f"_in_{other}"]

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
