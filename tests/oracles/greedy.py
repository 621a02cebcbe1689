"""Non-maximum suppression as everybody writes it: one box after the other."""

from __future__ import annotations

import numpy as np


def greedy(
    boxes: np.ndarray, probabilities: np.ndarray, *, count: int, overlap: float, score: float, background: int | None = None
) -> list[tuple[int, int, float]]:
    """The detections of one image, from boxes [A, 4] and probabilities [A, C]: row, class and probability, best first."""
    objects = probabilities.copy()
    if background is not None:
        objects[:, background] = -1
    standing: list[tuple[int, int, float]] = []
    for row in sorted(range(len(boxes)), key=lambda row: -objects[row].max()):
        k = int(objects[row].argmax())
        rivals = [other for other, other_class, _ in standing if other_class == k]
        if objects[row, k] > score and not any(same_object(boxes[row], boxes[other], overlap) for other in rivals):
            standing.append((row, k, float(objects[row, k])))
    return standing[:count]


def same_object(a: np.ndarray, b: np.ndarray, overlap: float) -> bool:
    """Whether two boxes, xyxy, overlap by more than `overlap`."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = area(a) + area(b) - width * height
    return bool(width * height > overlap * union)


def area(box: np.ndarray) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))
