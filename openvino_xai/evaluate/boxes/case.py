"""What the metrics of boxes are given: a detector to ask, one photo, and one of its boxes with a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from openvino_xai.probes.classifier import enlarged
from openvino_xai.probes.d_rise import Proposals
from openvino_xai.render.overlay import Box, Spread, stretch

Propose: TypeAlias = Callable[[np.ndarray], list[Proposals]]


@dataclass(frozen=True, eq=False)
class Scene:
    """One photo, and what a detector makes of it.

    `propose` is the detector: for images [N, C, H, W] what it proposes in each, its boxes in pixels of the photo. `image`
    [1, C, H, W] is the photo as the detector sees it, `cover` [1, C, H, W] what replaces its pixels; `size` (height, width) of
    the photo, and `view` what the image shows of it, in its pixels.
    """

    propose: Propose
    image: np.ndarray
    cover: np.ndarray
    size: tuple[int, int]
    view: Box

    @cached_property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """[H] and [W], f64: where the centres of the image's pixels lie in the photo, down and across."""
        x0, y0, x1, y1 = self.view
        height, width = self.image.shape[2:]
        down, across = ((np.arange(sides) + 0.5) / sides for sides in (height, width))
        return y0 + down * (y1 - y0), x0 + across * (x1 - x0)

    def inside(self, box: Box) -> np.ndarray:
        """[H, W] bool: the pixels of the image whose centres lie in a box of the photo."""
        y, x = self.centres
        return np.outer((y > box[1]) & (y < box[3]), (x > box[0]) & (x < box[2]))

    @cached_property
    def blank(self) -> np.ndarray:
        """[1, C, H, W]: the image with all of the photo replaced; its padding is as it was."""
        return np.where(self.shown, self.cover, self.image)

    @cached_property
    def proposals(self) -> tuple[Proposals, Proposals]:
        """What the detector proposes in the image, and in the blank."""
        image, blank = self.propose(np.concatenate([self.image, self.blank]))
        return image, blank

    @cached_property
    def shown(self) -> np.ndarray:
        """[H, W] bool: the pixels of the image that show the photo, and are no padding."""
        return self.inside((0.0, 0.0, float(self.size[1]), float(self.size[0])))


@dataclass(frozen=True, eq=False)
class BoxCase:
    """A box (x0, y0, x1, y1) in the pixels of a scene's photo, an object of class `label`, with its map `saliency` [h, w].

    `others` are the boxes of other objects of that class.
    """

    scene: Scene
    box: Box
    label: int
    saliency: np.ndarray
    others: tuple[Box, ...] = ()

    @cached_property
    def spread(self) -> Spread:
        """The map in [0, 1], laid over the photo's own pixels. Raises InputError for a map with NaN."""
        return Spread(stretch(self.saliency), self.scene.size, self.scene.view)

    @cached_property
    def order(self) -> np.ndarray:
        """[P]: the pixels of the image that show the photo, counted by rows, the most salient first."""
        height, width = self.scene.image.shape[2:]
        mask = enlarged(stretch(self.saliency)[None], (height, width)).reshape(-1)
        pixels = np.flatnonzero(self.scene.shown)
        return np.asarray(pixels[np.argsort(-mask[pixels], kind="stable")])

    @cached_property
    def area(self) -> int:
        """How many pixels of the image the box has, at least one."""
        return max(1, int(self.scene.inside(self.box).sum()))
