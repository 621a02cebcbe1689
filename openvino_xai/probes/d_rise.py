"""D-RISE: the mean of random masks, each weighed with how much of a detection is left under it.

Petsiuk et al., "Black-box explanation of object detectors via saliency maps", 2021, section 3: grids of 16 x 16 that keep a
cell with probability 1/2, made to masks as RISE does. How much is left is the largest similarity between the detection and what
the model proposes for the masked image.

The paper's similarity is IoU times the cosine of class probabilities, times an objectness where there is one. Here it is IoU
times the probability of the detection's own class: files that return a class and a score have no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings
from openvino_xai.probes.rise import rise

GRID = 16


@dataclass(frozen=True, eq=False)
class Proposals:
    """What a detector proposes for one image: `boxes` [A, 4], xyxy, and the probability [A, C] of each class in each."""

    boxes: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class BoxScorer:
    """Detections as if they were classes: how much of each of D is left in an image.

    They are `boxes` [D, 4] of `classes` [D]; `propose` is the detector.
    """

    batch: int
    propose: Callable[[np.ndarray], Sequence[Proposals]]
    boxes: np.ndarray
    classes: np.ndarray

    def scores(self, images: np.ndarray) -> np.ndarray:
        """[N, D] in [0, 1], f64: for each detection the largest IoU * p of its class that images [N, C, H, W] hold."""
        return np.stack([left_of(self.boxes, self.classes, proposals) for proposals in self.propose(images)])


def left_of(boxes: np.ndarray, classes: np.ndarray, proposals: Proposals) -> np.ndarray:
    """[D] in [0, 1], f64: the largest IoU * p over what is proposed, for detections `boxes` [D, 4] of `classes` [D]."""
    probabilities = proposals.probabilities
    there = np.flatnonzero(classes < probabilities.shape[1])
    left = np.zeros(len(boxes))
    if len(proposals.boxes):
        of_class = probabilities[:, classes[there]].T  # [D, A]
        left[there] = (overlaps(boxes[there], proposals.boxes) * of_class).max(axis=1)
    return left


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[D, A] in [0, 1], f64: the IoU of boxes [D, 4] and others [A, 4]; 0 with one that has no area."""
    a, b = boxes[:, None].astype(np.float64), others[None].astype(np.float64)
    shared = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0).prod(axis=-1)
    areas = [np.maximum(each[..., 2:] - each[..., :2], 0).prod(axis=-1) for each in (a, b)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.where(union > 0, shared / np.where(union > 0, union, 1), 0))


def d_rise(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [D, H, W], f32, in the image's pixels: how much is expected to be left where a pixel is kept."""
    return rise(model, image, classes, settings, grid=GRID)
