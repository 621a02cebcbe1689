"""Results of every kind, small, with hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.explanation import Contrast, Explanation, HeadsExplanation, Match, Prediction
from openvino_xai.segmentation import Region, SegmentationExplanation

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&\x1b[31m\n"
RNG = np.random.default_rng(0)
PHOTO = np.stack(np.broadcast_arrays(*np.ogrid[0:240:4, 0:240:3], 99), axis=2).astype(np.uint8)  # [60, 80, 3], smooth
FACTS: dict[str, Any] = {
    "record": {"method": "reciprocam", "layer": "f"},
    "preprocessing": {"fed": "RGB", "mean_values": [1.5, 2.0], "sources": {"mean_values": "x"}},
}


def maps(count: int) -> np.ndarray:
    return RNG.random((count, 3, 4)).astype(np.float32)


def classes() -> Explanation:
    targets = (Prediction(0, HOSTILE, 0.1 + 0.2), Prediction(3, "dog", 1e-9))
    box = (10.0, -10.0, 70.0, 70.0)
    return Explanation(PHOTO, targets, targets, maps(2), box, path=Path("a/cat.png"), answers=(0, 3), **FACTS)


def contrasts() -> Explanation:
    dog, cat = Prediction(3, "dog", 1e-9), Prediction(0, HOSTILE, 0.1 + 0.2)
    targets = (Contrast.of(dog, cat), Contrast.of(cat, dog))
    return Explanation(PHOTO, (cat, dog), targets, maps(2), (0, 0, 80, 60), path=Path("a/cat.png"), **FACTS)


def boxes(count: int = 2) -> DetectionExplanation:
    found_boxes = tuple(Detection(k, HOSTILE, 0.5, (4.0, 5.0, 30.0 + k, 40.5), 7 + k) for k in range(count))
    return DetectionExplanation(PHOTO, found_boxes, found_boxes, maps(count), (0, 0, 80, 60), min_score=0.25, **FACTS)


def regions(count: int = 2) -> SegmentationExplanation:
    targets = tuple(Region(k, f"{k}", 0.5) for k in range(count))
    masks = RNG.random((count, 6, 8)) > 0.5
    return SegmentationExplanation(PHOTO, targets, targets, maps(count), (0, 0, 80, 60), regions=masks, **FACTS)


def heads() -> HeadsExplanation:
    return HeadsExplanation({"color": classes(), HOSTILE: classes()}, Path("cat.png"))


def match() -> Match:
    pair = (maps(1)[0], maps(1)[0])
    return Match((PHOTO, PHOTO[:30]), pair, 0.25, "cosine", ((0, 0, 80, 60), (0, 0, 80, 30)), against=Path("b.png"), **FACTS)


RESULTS = {"classes": classes, "contrasts": contrasts, "boxes": boxes, "regions": regions, "heads": heads, "match": match}
EMPTY = {"no boxes": lambda: boxes(0), "no regions": lambda: regions(0)}
