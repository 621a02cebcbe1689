"""What an explanation leaves of the prediction, and of itself, where it masks the image.

Chattopadhay et al., "Grad-CAM++", 2018 (drop and increase), and Poppi et al., "Revisiting the evaluation of class activation
mapping for explainability", 2021, equations 3 - 8 (coherency, complexity and ADCC).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from openvino_xai.evaluate.classes.case import Case
from openvino_xai.probes.classifier import enlarged


def average_drop(case: Case) -> float:
    """max(0, y - o) / y, of the probabilities before and after masking."""
    masked_score, _ = case.masked_result
    return max(0.0, case.score - masked_score) / case.score if case.score > 0 else 0.0


def average_increase(case: Case) -> float:
    """1 where the masked image is more probable than the image, else 0."""
    masked_score, _ = case.masked_result
    return float(masked_score > case.score)


def coherency(case: Case) -> float:
    """(r + 1) / 2, of Pearson's r between the map and the map of the masked image; 0 where one is constant.

    On the maps' cells, or on the image's pixels, to which they are enlarged, as `compared` says.
    """
    both = np.stack([case.saliency, case.masked_result[1]])
    if case.choices.compared == "pixels":
        both = enlarged(both, (case.image.shape[2], case.image.shape[3]))
    first, second = both.reshape(2, -1).astype(np.float64)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.clip((np.corrcoef(first, second)[0, 1] + 1) / 2, 0, 1))


def complexity(case: Case) -> float:
    """The mean of the mask."""
    return float(case.mask.mean(dtype=np.float64))


def adcc(means: Mapping[str, float]) -> float:
    """The harmonic mean of coherency, 1 - complexity and 1 - average drop, of their means over a data set."""
    parts = (means["coherency"], 1 - means["complexity"], 1 - means["average_drop"])
    return 0.0 if min(parts) <= 0 else 3 / sum(1 / part for part in parts)
