"""How alike two saliency maps are.

Pearson's r and Spearman's rank correlation as in Adebayo et al., "Sanity checks for saliency maps", 2018, and structural
similarity, Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation
from openvino_xai.render.overlay import on_photo, stretch

SIDE = 96  # pixels of the longer side of a photo, on which maps of different grids are compared
NEAR = 1e-3  # of a map's range: values that are closer are nearly equal
TIED = 0.02  # of that: values that are closer are equal, so that rounding ranks nothing
WINDOW = 11  # of structural similarity, as in the paper


@dataclass(frozen=True)
class Similarity:
    """Pearson's and Spearman's correlation in [-1, 1], structural similarity in [-1, 1], and whether the top cells meet.

    A correlation with a constant map is 0.
    """

    pearson: float
    spearman: float
    ssim: float
    top_cell: bool


MEASURES = tuple(measure.name for measure in fields(Similarity))


def means(similarities: Sequence[Similarity]) -> dict[str, float]:
    """Each measure over many pairs of maps; of `top_cell` the share."""
    return {name: float(np.mean([getattr(row, name) for row in similarities])) for name in MEASURES}


def similarity(a: Explanation, b: Explanation, targets: tuple[int, int] = (0, 0)) -> Similarity:
    """How alike the maps of one of the `targets` of each of two explanations of one photo are, where both networks saw it.

    Maps are min-max scaled and laid over the photo, shrunk to 96 pixels along its longer side, so that grids and preprocessing
    may differ. Values that are within 2e-5 of a map's range share their rank, and up to 1e-3 in part, so that Spearman's
    correlation does not hang on rounding. The top cells meet where the centre of one lies in the other. Raises InputError where
    the networks saw nothing in common, or a map holds NaN.
    """
    ssim = _structural_similarity()
    sides = tuple(zip((a, b), targets, strict=True))
    (first, first_coverage), (second, second_coverage) = (_spread(*side) for side in sides)
    coverage = first_coverage & second_coverage
    if not coverage.any():
        raise InputError("the two networks see different parts of the image: nothing can be compared")
    x, y = first[coverage], second[coverage]
    _, local = ssim(first, second, data_range=1.0, win_size=WINDOW, gaussian_weights=True, full=True)
    spearman = correlation(ranks(x), ranks(y))
    meet = _top_cells_meet(*(_top_cell(*side) for side in sides))
    return Similarity(correlation(x, y), spearman, float(local[coverage].mean()), meet)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of two vectors [N], in [-1, 1]; 0 where one is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def ranks(values: np.ndarray, near: float = NEAR) -> np.ndarray:
    """[N] ranks from 0 to N - 1: of how many values each is the larger, where those that are as large count half.

    Values within a fiftieth of `near` are as large; from there to `near` the count goes to 0 or 1 in a straight line. Without
    that, the last bits of equal values would rank them, and ranks that tie on one machine would not on another.
    """
    tied = TIED * near
    return (near * _ramped_ranks(values, near) - tied * _ramped_ranks(values, tied)) / (near - tied)


def _ramped_ranks(values: np.ndarray, near: float) -> np.ndarray:
    """[N] ranks for a count that goes from 0 to 1 in a straight line while a value passes from `-near` to `near` of another."""
    order = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(order)])
    below, above = np.searchsorted(order, values - near, "left"), np.searchsorted(order, values + near, "right")
    beside = above - below
    return np.asarray(below + beside / 2 + (beside * values - (sums[above] - sums[below])) / (2 * near) - 0.5)


def _structural_similarity() -> Any:
    """scikit-image's function. Raises InputError where it is not installed."""
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise InputError(f"comparing maps needs {error.name}: pip install 'ovxai[evaluate]'") from error
    return structural_similarity


def _spread(explanation: Explanation, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The map of a target over the photo, shrunk, and where the network saw it."""
    height, width = explanation.image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(WINDOW, round(height * scale)), max(WINDOW, round(width * scale))
    x0, y0, x1, y1 = explanation.box
    across, down = size[1] / width, size[0] / height
    values, coverage = on_photo(stretch(explanation.maps[target]), size, (x0 * across, y0 * down, x1 * across, y1 * down))
    return values.astype(np.float64), coverage


Cell: TypeAlias = "tuple[float, float, float, float]"  # its centre, and half of width and height, in a photo's pixels


def _top_cells_meet(first: Cell, second: Cell) -> bool:
    return _inside(first[:2], second) or _inside(second[:2], first)


def _top_cell(explanation: Explanation, target: int) -> Cell:
    """The cell of a target's map with the largest value."""
    saliency = explanation.maps[target]
    row, column = np.unravel_index(int(saliency.argmax()), saliency.shape)
    x0, y0, x1, y1 = explanation.box
    wide, tall = (x1 - x0) / saliency.shape[1], (y1 - y0) / saliency.shape[0]
    return x0 + (column + 0.5) * wide, y0 + (row + 0.5) * tall, wide / 2, tall / 2


def _inside(point: tuple[float, float], cell: Cell) -> bool:
    return bool(abs(point[0] - cell[0]) <= cell[2] and abs(point[1] - cell[1]) <= cell[3])
