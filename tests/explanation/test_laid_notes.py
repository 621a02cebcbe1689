"""What is said of maps whose cells lie on a part of the photo: as if there were no other places beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from results import classes as explanation_of_classes

from openvino_xai.contract import cells_at, cells_shown
from openvino_xai.explanation import checking
from openvino_xai.explanation.emptiness import COARSE_VALUES, are_alike

CELLS = np.random.default_rng(0).permutation(9).reshape(3, 3).astype(np.float32) / 8
CROP = {"grid": "3x3", "laid": "8x10", "part": "1:7,2:8"}  # 2 x 2 places a cell
CANVAS = {"grid": "3x3", "laid": "3x2", "part": "-1:5,-2:4"}  # of the first row of cells one half, of the first column none


def on_crop(cells: np.ndarray) -> np.ndarray:
    return np.pad(np.kron(cells, np.ones((2, 2), np.float32)), ((1, 1), (2, 2)))


def test_the_cells_of_a_map_are_told_by_its_record() -> None:
    np.testing.assert_array_equal(cells_shown(CROP, on_crop(CELLS)), CELLS)
    laid = np.kron(CELLS, np.ones((2, 2), np.float32))[1:4, 2:4]
    np.testing.assert_array_equal(cells_shown(CANVAS, laid), CELLS[:2, 1:2])
    for record, shape, expected in (
        (CROP, (8, 10), ("-001122-", "--001122--")),
        (CANVAS, (3, 2), ("011", "00")),
    ):
        for size in (1, 3):
            sides = cells_at(record, shape, [size * side for side in shape])
            assert sides is not None
            words = ["".join("-" if cell < 0 else str(cell) for cell in side[::size]) for side in sides]
            assert tuple(words) == expected


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {**CROP, "laid": "9x10"},
        {**CROP, "part": "1:6,2:8"},
        {**CROP, "part": "7:1,2:8"},
        {**CROP, "part": "9:12,2:8"},
        {**CROP, "grid": "0x3"},
        {**CROP, "grid": "3"},
        {**CROP, "part": 7},
        {**CROP, "part": "1:7,2:8\n"},
    ],
)
def test_a_record_of_other_maps_tells_of_no_cells(forged: dict[str, str]) -> None:
    """It may be anybody's: a line of a file, or an archive."""
    saliency = on_crop(CELLS)
    assert cells_shown(forged, saliency) is saliency
    assert cells_at(forged, saliency.shape, (80, 100)) is None


def test_places_beside_cells_are_no_reason_for_a_note() -> None:
    """Nine values, each in four places, are few; two maps of which most is 0 are alike."""
    plain = explanation_of_classes()
    maps = np.stack([on_crop(CELLS), on_crop(1 - CELLS)])
    assert replace(plain, maps=maps).notes == ((COARSE_VALUES.format(9),),) * 2
    assert replace(plain, maps=maps, record={**plain.record, **CROP}).notes == ((), ())
    bright = 1 - CELLS / 20
    others = bright[::-1]
    assert are_alike(on_crop(bright), on_crop(others))
    assert not are_alike(cells_shown(CROP, on_crop(bright)), cells_shown(CROP, on_crop(others)))


def test_what_is_cropped_off_is_not_covered() -> None:
    """Covering it would change nothing, and make any map better than chance."""
    saliency, size = on_crop(CELLS), (80, 100)
    there = np.zeros(size, bool)
    there[10:70, 20:80] = True
    covers = checking._covers(saliency, CROP, size, np.random.default_rng(0))
    assert not covers[:, 0, ~there].any()
    assert covers[0].mean() == pytest.approx(2 / 9 * there.mean())
    assert checking._covers(saliency, {}, size, np.random.default_rng(0))[1:, 0, ~there].any()
