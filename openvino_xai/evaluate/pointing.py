"""Whether an explanation points at what it should: at the object that the label names, where somebody drew it.

Zhang et al., "Top-down neural attention by excitation backprop", 2018 (pointing game), Wang et al., "Score-CAM", 2020 (its
energy-based form), and Zhou et al., "Learning deep features for discriminative localization", 2016 (a box around what is above
a fifth of the map's maximum). All in the photo's own pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from openvino_xai.evaluate.case import Case
from openvino_xai.render.overlay import Box

NEAR = 15  # pixels: a maximum that is closer to the object counts as a hit
LEVEL = 0.2  # of the maximum, above which a map's box is drawn


def pointing_game(case: Case) -> float:
    """1 where the map's maximum is closer than 15 pixels to a pixel of the object, else 0."""
    region = case.example.region(case.size)
    row, column = np.unravel_index(int(case.on_photo.argmax()), case.size)
    far = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(far[row, column] < NEAR) if region.any() else 0.0


def energy(case: Case) -> float:
    """The share of the map, in [0, 1], that lies in the object."""
    total = float(case.on_photo.sum(dtype=np.float64))
    inside = float(case.on_photo[case.example.region(case.size)].sum(dtype=np.float64))
    return inside / total if total else 0.0


def localisation(case: Case) -> float:
    """Intersection over union, in [0, 1], of the map's box and the object's box that it fits best."""
    drawn = map_box(case.on_photo)
    boxes = case.example.boxes_in(case.size)
    return max((iou(drawn, box) for box in boxes), default=0.0)


def map_box(saliency: np.ndarray) -> Box:
    """The box (x0, y0, x1, y1) around the largest connected part above a fifth of a map's maximum."""
    above = (saliency > LEVEL * saliency.max()).astype(np.uint8)
    count, _, parts, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    if count < 2:
        return 0.0, 0.0, 0.0, 0.0
    x, y, width, height, _ = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())]
    return float(x), float(y), float(x + width), float(y + height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(across, 0.0) * max(down, 0.0)
    every = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / every if every > 0 else 0.0
