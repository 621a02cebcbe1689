"""How alike two saliency maps are.

Pearson's r and Spearman's rank correlation as in Adebayo et al., "Sanity checks for saliency maps", 2018, and structural
similarity, Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation
from openvino_xai.render.overlay import on_photo, stretch

SIDE = 96  # pixels of the longer side of a photo, on which maps of different grids are compared
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


MEASURES = tuple(one.name for one in fields(Similarity))


def means(told: Sequence[Similarity]) -> dict[str, float]:
    """Each measure over many pairs of maps; of `top_cell` the share."""
    return {name: float(np.mean([getattr(one, name) for one in told])) for name in MEASURES}


def similarity(a: Explanation, b: Explanation) -> Similarity:
    """How alike the maps of the first target of two explanations of one photo are, where both networks saw it.

    Maps are min-max scaled and brought to the photo's own coordinates, so that grids and preprocessing may differ. The top
    cells meet where the centre of one lies in the other. Raises InputError where the networks saw nothing in common.
    """
    pearsonr, spearmanr, ssim = _metrics()
    (one, seen_by_one), (two, seen_by_two) = (_spread(each) for each in (a, b))
    seen = seen_by_one & seen_by_two
    if not seen.any():
        raise InputError("the two networks see different parts of the image: nothing can be compared")
    x, y = one[seen], two[seen]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        pearson = spearman = 0.0
    else:
        pearson, spearman = float(pearsonr(x, y)[0]), float(spearmanr(x, y)[0])
    _, local = ssim(one, two, data_range=1.0, win_size=WINDOW, gaussian_weights=True, full=True)
    return Similarity(pearson, spearman, float(local[seen].mean()), _top_cells_meet(a, b))


def _metrics() -> tuple[Any, Any, Any]:
    """SciPy's and scikit-image's functions. Raises InputError where they are not installed."""
    try:
        from scipy.stats import pearsonr, spearmanr
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise InputError(f"comparing maps needs {error.name}: pip install 'ovxai[evaluate]'") from error
    return pearsonr, spearmanr, structural_similarity


def _spread(explanation: Explanation) -> tuple[np.ndarray, np.ndarray]:
    """The first map over the photo, shrunk, and where the network saw it."""
    height, width = explanation.image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(WINDOW, round(height * scale)), max(WINDOW, round(width * scale))
    x0, y0, x1, y1 = explanation.box
    across, down = size[1] / width, size[0] / height
    return on_photo(stretch(explanation.maps[0]), size, (x0 * across, y0 * down, x1 * across, y1 * down))


def _top_cells_meet(a: Explanation, b: Explanation) -> bool:
    (ax, ay, *_), (bx, by, *_) = one, two = _top_cell(a), _top_cell(b)
    return _inside((ax, ay), two) or _inside((bx, by), one)


def _top_cell(explanation: Explanation) -> tuple[float, float, float, float]:
    """Centre, and half of width and height, of the cell with the largest value, in the photo's pixels."""
    saliency = explanation.maps[0]
    row, column = np.unravel_index(int(saliency.argmax()), saliency.shape)
    x0, y0, x1, y1 = explanation.box
    wide, tall = (x1 - x0) / saliency.shape[1], (y1 - y0) / saliency.shape[0]
    return x0 + (column + 0.5) * wide, y0 + (row + 0.5) * tall, wide / 2, tall / 2


def _inside(point: tuple[float, float], cell: tuple[float, float, float, float]) -> bool:
    return bool(abs(point[0] - cell[0]) <= cell[2] and abs(point[1] - cell[1]) <= cell[3])
