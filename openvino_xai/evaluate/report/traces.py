"""What a page draws of one photo, kept in its row: the map, where it lies, and the curves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from openvino_xai.evaluate.classes.case import Case
from openvino_xai.render.overlay import stretch

MOST = 101  # points of a curve: steps of one pixel have as many as the image
CELLS = 56  # rows and columns of a map, at most


def trace(case: Case, baselines: Mapping[str, Case]) -> dict[str, Any]:
    """Of a case and its `baselines`, measured already: `map`, `cells` and `box`, and `curves` by metric and source.

    The source "" is the method. A curve's points lie evenly between nothing and all of the pixels. `map` is base64 of bytes,
    row by row, scaled from the map's lowest to its highest value.
    """
    cells = _cells(case.saliency)
    curves = {
        name: {source: thinned(other.curves[name]).tolist() for source, other in {"": case, **baselines}.items()}
        for name in case.curves
    }
    return {
        "map": base64.b64encode(cells.tobytes()).decode(),
        "cells": list(cells.shape),
        "box": list(map(float, case.box)),
        **({"curves": curves} if curves else {}),  # Parquet has no empty structures
    }


def map_of(traced: Mapping[str, Any]) -> np.ndarray:
    """[h, w] in [0, 1]: the map of a trace."""
    data = np.frombuffer(base64.b64decode(traced["map"]), np.uint8)
    return np.asarray(data.reshape(traced["cells"]) / np.float32(255), np.float32)


def thinned(scores: np.ndarray) -> np.ndarray:
    """[P], f64: scores [S] where they are few, else P of them evenly between the first and the last, mixed between."""
    points = min(len(scores), MOST)
    return np.asarray(np.interp(np.linspace(0, len(scores) - 1, points), np.arange(len(scores)), scores).round(6))


def _cells(saliency: np.ndarray) -> np.ndarray:
    saliency = stretch(saliency)
    if max(saliency.shape) > CELLS:
        size = min(CELLS, saliency.shape[1]), min(CELLS, saliency.shape[0])
        saliency = cv2.resize(saliency, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(saliency * 255).astype(np.uint8))
