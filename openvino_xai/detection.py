"""The explanation of a detector's boxes: which parts of the image carry each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.explanation.checks import hold, is_box, is_number
from openvino_xai.explanation.classes import noted
from openvino_xai.explanation.files import endings_of, written
from openvino_xai.render.boxes import Mark, colour_of, marked, tinted
from openvino_xai.render.overlay import OVERLAY, Box, Style
from openvino_xai.render.photo import write_picture
from openvino_xai.render.switch import Tile

ENDING = "_boxes"  # of the files that hold all boxes
COLUMNS = 5  # of a grid


@dataclass(frozen=True)
class Detection(Prediction):
    """A box (x0, y0, x1, y1) in the photo's pixels, its class and its score in [0, 1], which is its `probability`.

    `index` is the row of the model's own output.
    """

    box: Box
    index: int

    def __post_init__(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        super().__post_init__()
        hold("a box", is_box(self.box) and isinstance(self.index, int))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "id": self.id,
            "label": self.label,
            "score": round(self.probability, 6),
            "box": [round(edge, 2) for edge in self.box],
            "index": self.index,
        }


@dataclass(frozen=True, eq=False, repr=False)
class DetectionExplanation(Explanation):
    """One image, its boxes explained.

    `predictions` are all detections of at least `min_score`, best first; `targets` those explained; `maps` [D, h, w], one for
    each target. The rest is as of any explanation.
    """

    predictions: tuple[Detection, ...]
    targets: tuple[Detection, ...]
    min_score: float = 0.0

    def overview(self, *, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: the photo with all boxes, each with its map in its own colour, its label and its score.

        A single box is as `drawn`; where there is none, it is the photo alone.
        """
        if len(self.targets) < 2:
            return self.drawn(style) if self.targets else self.image
        marks = [self._mark(index) for index in range(len(self.targets))]
        return marked(tinted(self.image, self.maps, self.box, [mark.colour for mark in marks], style), marks)

    def drawn(self, style: Style, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style, and its box with label and score."""
        picture = super().drawn(style, target)
        return marked(picture, [self._mark(target)])

    def base(self, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the photo, with the box of a target."""
        return marked(self.image, [self._mark(target)])

    def caption(self, target: int = 0) -> str:
        """The label of a box, and its score."""
        return _caption(self.targets[target])

    def pictures(self, style: Style = OVERLAY) -> Iterator[Tile]:
        """All boxes with their maps, where there are several or none, then each of them."""
        if len(self.targets) != 1:
            yield Tile(self.overview(style=style), f"{len(self.targets) or 'no'} boxes")
        if self.targets:
            yield from super().pictures(style)

    def check(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        super().check()
        hold("a box", all(isinstance(item, Detection) for item in (*self.predictions, *self.targets)))
        hold("the least score", is_number(self.min_score))

    def _mark(self, index: int) -> Mark:
        target = self.targets[index]
        return Mark(target.box, _caption(target), colour_of(index))

    def _rows(self, style: Style) -> list[list[tuple[np.ndarray, str]]]:
        name = self.path.name if self.path else ""
        alone = [(self.drawn(style, index), _caption(target)) for index, target in enumerate(self.targets)]
        tiles = [(self.overview(style=style), name), *alone]
        return [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]

    def file_endings(self, style: Style = OVERLAY) -> list[str]:
        """What a name gets behind it for each file that `save_pictures` writes."""
        return [*endings_of(ENDING, style), *(ending + suffix for ending, suffix in self._endings_of_each(style))]

    def _endings_of_each(self, style: Style) -> list[tuple[str, str]]:
        """What a name gets behind it for the picture of each box, and the suffix, where the style has such pictures."""
        ranked = enumerate(self.endings if style.each else [], start=1)
        return [(f"_{rank}{ending}", suffix) for rank, ending in ranked for suffix in style.suffixes]

    def save_pictures(self, folder: Path, name: str | None = None, *, style: Style = OVERLAY) -> list[dict[str, str]]:
        """Write a picture of all boxes and their maps [D, h, w] (`.npy`); where the style says so, a picture of each.

        Returns the paths: of what holds all boxes, and of each box where it has a file.
        """
        stem = self.stem(name)
        files = [written(folder, stem + ENDING, partial(self.overview, style=style), self.maps, style)]
        for index, (ending, suffix) in enumerate(self._endings_of_each(style)):
            path = folder / f"{stem}{ending}{suffix}"
            write_picture(path, self.drawn(style, index))
            files.append({"overlay": str(path)})
        return files

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        of_all, *of_each = files or [{}]
        pairs = zip(self.targets, self.notes, strict=True)
        boxes = [{**detection.to_dict(), **noted(notes)} for detection, notes in pairs]
        if of_each:
            boxes = [{**box, **paths} for box, paths in zip(boxes, of_each, strict=True)]
        return {
            "image": None if self.path is None else str(self.path),
            "boxes": boxes,
            "min_score": self.min_score,
            "cells": list(self.maps.shape[1:]),
            "box": [round(edge, 2) for edge in self.box],
            **of_all,
            "preprocessing": dict(self.preprocessing),
            "hook": dict(self.record),
        }

    def to_row(self) -> dict[str, Any]:
        """As a row of a table holds it: the boxes, their corners one after the other, and the maps.

        Arrays, so that columns have their types where no image has a box.
        """
        return {
            "targets": np.array([target.id for target in self.targets], np.int64),
            "probabilities": np.array([target.probability for target in self.targets], np.float64),
            "indices": np.array([target.index for target in self.targets], np.int64),
            "boxes": np.array([target.box for target in self.targets], np.float64).reshape(-1),
            "cells": list(self.maps.shape[1:]),
            "box": list(self.box),
            "maps": self.maps,
        }


def _caption(detection: Detection) -> str:
    return f"{detection.label} {detection.probability:.0%}"
