"""The result a person holds: what was predicted, and which parts of the image carry it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.render.overlay import Box, overlay
from openvino_xai.render.photo import write_array, write_picture


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
    the image, in its pixels; `record` how the hook was inserted and what ran.
    """

    image: np.ndarray = field(repr=False)
    predictions: tuple[Prediction, ...]
    targets: tuple[Prediction, ...]
    maps: np.ndarray = field(repr=False)
    box: Box
    record: Mapping[str, str] = field(repr=False)
    path: Path | None = None

    def overlay(self, target: int = 0, *, colormap: str = "jet", opacity: float = 0.5) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of the target at index `target` over the image; unseen parts stay as they are."""
        return overlay(self.image, self.maps[target], self.box, colormap=colormap, opacity=opacity)

    def save(self, folder: Path, name: str | None = None) -> list[dict[str, str]]:
        """Write an overlay (PNG) and a map (`.npy`) for each target; for each, the two paths."""
        stem = name or (self.path.stem if self.path else "image")
        files = []
        for index, target in enumerate(self.targets):
            start = f"{stem}_{target.id}_{_safe(target.label)}" if target.label != str(target.id) else f"{stem}_{target.id}"
            picture, array = folder / f"{start}.png", folder / f"{start}.npy"
            write_picture(picture, self.overlay(index))
            write_array(array, self.maps[index])
            files.append({"overlay": str(picture), "map": str(array)})
        return files

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, without pixels."""
        return {
            "image": None if self.path is None else str(self.path),
            "predictions": [prediction.to_dict() for prediction in self.predictions],
            "targets": [target.to_dict() for target in self.targets],
            "cells": list(self.maps.shape[1:]),
            "box": [round(edge, 2) for edge in self.box],
            "hook": dict(self.record),
        }


def _safe(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", label).strip("_")[:60] or "class"
