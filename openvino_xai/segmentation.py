"""The explanation of a segmentation: which parts of the image carry the classes that its pixels are taken for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.explanation.checks import hold
from openvino_xai.render.overlay import Box, Style

LINE = (255, 255, 255)  # around a region, with a darker one around it
SHADE = (0, 0, 0)


@dataclass(frozen=True)
class Region(Prediction):
    """A class, its label, and the share of pixels that are taken for it, in [0, 1], which is its `probability`."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"id": self.id, "label": self.label, "area": round(self.probability, 6)}


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationExplanation(Explanation):
    """One image, the classes of its pixels explained.

    `predictions` are the classes that there are, the largest first; `targets` those explained; `regions` [K, H, W], boolean,
    the pixels of each target, of what the model saw. The rest is as of any explanation.
    """

    predictions: tuple[Region, ...]
    targets: tuple[Region, ...]
    regions: np.ndarray = field(repr=False, default_factory=lambda: np.zeros((0, 1, 1), bool))

    def drawn(self, style: Style, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style, and an outline of its region."""
        picture = super().drawn(style, target)
        return outlined(picture, self.regions[target], self.box)

    def base(self, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the photo, with an outline of a target's region."""
        return outlined(self.image, self.regions[target], self.box)

    def check(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        super().check()
        regions = self.regions
        fits = isinstance(regions, np.ndarray) and regions.dtype == np.bool_ and regions.ndim == 3
        hold("a region", fits and len(regions) == len(self.targets) and min(regions.shape[1:]) > 0)


def outlined(picture: np.ndarray, region: np.ndarray, box: Box) -> np.ndarray:
    """[H, W, 3] RGB bytes: a picture with a line around a region [h, w], which covers a box (x0, y0, x1, y1) of it."""
    result = np.array(picture, order="C")
    lines, _ = cv2.findContours(np.pad(region, 1).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    x0, y0, x1, y1 = box
    scale = np.array([(x1 - x0) / region.shape[1], (y1 - y0) / region.shape[0]])
    points = [np.round((line[:, 0] - 0.5) * scale + (x0, y0)).astype(np.int32) for line in lines]
    width = max(1, round(max(picture.shape[:2]) / 300))
    for colour, thickness in ((SHADE, width + 2), (LINE, width)):
        cv2.polylines(result, points, isClosed=True, color=colour, thickness=thickness, lineType=cv2.LINE_AA)
    return result
