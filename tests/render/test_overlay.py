"""Maps in a photo's coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.render.overlay import colour, on_photo, overlay, stretch

PEAK = np.zeros((2, 3), np.float32)
PEAK[0, 2] = 1


def test_the_corner_cell_is_drawn_in_its_corner() -> None:
    spread, seen = on_photo(PEAK, (20, 30), (0, 0, 30, 20))
    assert seen.all()
    assert np.unravel_index(spread.argmax(), spread.shape) == (0, 25) or spread[0, 29] == spread.max() == 1
    assert spread[5, 25] == pytest.approx(1, abs=0.06)  # the middle of the cell
    assert spread[15, 5] == 0


def test_what_the_model_did_not_see_is_left_alone() -> None:
    photo = np.full((20, 40, 3), 90, np.uint8)
    _, seen = on_photo(PEAK, (20, 40), (10, 0, 30, 20))
    assert seen[:, 10:30].all()
    assert not seen[:, :10].any() and not seen[:, 30:].any()
    drawn = overlay(photo, PEAK, (10, 0, 30, 20))
    assert (drawn[:, :10] == 90).all() and (drawn[:, 30:] == 90).all()
    assert (drawn[:, 10:30] != 90).any()


def test_padding_is_cropped_off() -> None:
    spread, seen = on_photo(PEAK, (10, 30), (0, -10, 30, 20))  # rows of cells: 10 pixels of padding, then the photo
    assert seen.all()
    # row 0 has its middle at -2.5, row 1 at 12.5: the photo's first pixel, at 0.5, is a fifth of the way
    assert spread.max() == pytest.approx(0.8)


def test_stretching() -> None:
    np.testing.assert_allclose(stretch(np.array([[2.0, 4.0], [3.0, 2.0]])), [[0, 1], [0.5, 0]])
    assert not stretch(np.full((2, 2), 3.0)).any()


def test_colours() -> None:
    low, high = colour(np.array([[0.0, 1.0]]))[0]
    assert low[2] > low[0] and high[0] > high[2]  # jet: blue to red
    with pytest.raises(InputError, match="colour map 'rainbows' is not known: one of .*viridis"):
        colour(PEAK, "rainbows")
