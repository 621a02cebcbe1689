"""Whether a box's map points into the box, and not at other objects of its class.

Zhang et al., "Top-down neural attention by excitation backprop", 2018 (pointing game), Wang et al., "Score-CAM", 2020 (energy),
and Zhao and Chan, "ODAM: gradient-based instance-specific visual explanations for object detection", 2023 (object
discrimination index). All in the photo's own pixels; a pixel lies in a box where its centre does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.evaluate.boxes.case import BoxCase
from openvino_xai.render.overlay import Box


def pointing_game(case: BoxCase) -> float:
    """1 where the first pixel of the map's maximum lies strictly inside the box, else 0; a constant map points nowhere."""
    best, hit = 0.0, False
    for (rows, columns), values in case.spread.bands():
        if values.max() > best:
            row, column = np.unravel_index(int(values.argmax()), values.shape)
            best = float(values[row, column])
            x, y = columns.start + int(column) + 0.5, rows.start + int(row) + 0.5
            hit = case.box[0] < x < case.box[2] and case.box[1] < y < case.box[3]
    return float(hit)


def energy(case: BoxCase) -> float:
    """The share of the map, in [0, 1], that lies in the box; of a constant map 0."""
    return _share(case, [case.box])


def object_discrimination(case: BoxCase) -> float | None:
    """The share of the map, in [0, 1], that lies in other objects of the class; None where there are none."""
    return _share(case, case.others) if case.others else None


def _share(case: BoxCase, boxes: Sequence[Box]) -> float:
    """The share of the map that lies in any of the boxes."""
    total = inside = 0.0
    for (rows, columns), values in case.spread.bands():
        region = np.zeros(values.shape, bool)
        for x0, y0, x1, y1 in boxes:
            region |= np.outer(_between(rows, y0, y1), _between(columns, x0, x1))
        total += float(values.sum())
        inside += float(values[region].sum())
    return inside / total if total else 0.0


def _between(pixels: slice, low: float, high: float) -> np.ndarray:
    """Which of the pixels along one side have their centres between two edges."""
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    return np.asarray((centres > low) & (centres < high))
