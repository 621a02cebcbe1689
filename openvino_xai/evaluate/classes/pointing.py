"""Whether an explanation points at what it should: at the object that the label names, where somebody drew it.

Zhang et al., "Top-down neural attention by excitation backprop", 2018 (pointing game), Wang et al., "Score-CAM", 2020 (its
energy-based form), and Zhou et al., "Learning deep features for discriminative localization", 2016 (a box around what is above
a fifth of the map's maximum). All in the photo's own pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from openvino_xai.evaluate.classes.case import Case
from openvino_xai.render.overlay import Box

NEAR = 15  # pixels: a maximum that is closer to the object counts as a hit
LEVEL = 0.2  # of the maximum, above which a map's box is drawn


def pointing_game(case: Case) -> float:
    """1 where the map's maximum is closer than 15 pixels to a pixel of the object, else 0; a constant map points nowhere."""
    value, (row, column) = _maximum(case)
    top, left = max(0, row - NEAR), max(0, column - NEAR)
    rows, columns = case.example.region(case.size)[top : row + NEAR, left : column + NEAR].nonzero()
    near = np.hypot(rows + top - row, columns + left - column) < NEAR
    return float(value > 0 and near.any())


def energy(case: Case) -> float:
    """The share of the map, in [0, 1], that lies in the object; of a constant map 0."""
    region, total, inside = case.example.region(case.size), 0.0, 0.0
    for place, values in case.spread.bands():
        total += float(values.sum())
        inside += float(values[region[place]].sum())
    return inside / total if total else 0.0


def localisation(case: Case) -> float:
    """Intersection over union, in [0, 1], of the map's box and the object's box that it fits best; of a constant map 0."""
    level = LEVEL * _maximum(case)[0]
    above = np.zeros(case.size, bool)
    for place, values in case.spread.bands():
        above[place] = values > level
    drawn = largest_part(above)
    boxes = case.example.boxes_in(case.size)
    return max((iou(drawn, box) for box in boxes), default=0.0)


def _maximum(case: Case) -> tuple[float, tuple[int, int]]:
    """The map's largest value on the photo, and the first pixel, by rows, that has it."""
    best, at = -1.0, (0, 0)
    for (rows, columns), values in case.spread.bands():
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        if values[row, column] > best:
            best, at = float(values[row, column]), (rows.start + int(row), columns.start + int(column))
    return best, at


def largest_part(above: np.ndarray) -> Box:
    """The box (x0, y0, x1, y1) around the largest connected part of a map [H, W] that is true; all 0 where nothing is."""
    count, _, parts, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    if count < 2:
        return 0.0, 0.0, 0.0, 0.0
    x, y, width, height, _ = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())]
    return float(x), float(y), float(x + width), float(y + height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(across, 0.0) * max(down, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0
