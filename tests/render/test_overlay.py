"""Maps in a photo's coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.render.overlay import Style, colour, drawn, on_photo, stretch

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
    over = drawn(photo, PEAK, (10, 0, 30, 20))
    assert (over[:, :10] == 90).all() and (over[:, 30:] == 90).all()
    assert (over[:, 10:30] != 90).any()
    alone = drawn(photo, PEAK, (10, 0, 30, 20), Style("heatmap"))
    assert not alone[:, :10].any() and alone[:, 10:30].any(axis=2).all()


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


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"colormap": "rainbows"}, "colour map 'rainbows' is not known: one of .*viridis"),
        ({"kind": "bars"}, "style 'bars' is not known: one of overlay, heatmap, contours"),
        ({"smoothing": "cubic"}, "smoothing 'cubic' is not known: one of bilinear, nearest"),
        ({"opacity": 2}, "opacity is 2; a number from 0 to 1"),
    ],
)
def test_styles_that_are_not_known(told: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Style(**told)  # type: ignore[arg-type]


def test_opacity_is_how_much_of_the_photo_is_left() -> None:
    photo = np.full((20, 30, 3), 90, np.uint8)
    np.testing.assert_array_equal(drawn(photo, PEAK, (0, 0, 30, 20), Style(opacity=0)), photo)
    np.testing.assert_array_equal(
        drawn(photo, PEAK, (0, 0, 30, 20), Style(opacity=1)), drawn(photo, PEAK, (0, 0, 30, 20), Style("heatmap"))
    )


def test_cells_stay_cells_without_smoothing() -> None:
    spread, _ = on_photo(PEAK, (20, 30), (0, 0, 30, 20), "nearest")
    assert set(np.unique(spread)) == {0, 1}
    assert spread[:10, 20:].min() == 1 and spread.sum() == 100


def test_contours_lie_where_the_map_crosses_a_level() -> None:
    photo = np.full((200, 300, 3), 90, np.uint8)
    lined = drawn(photo, np.tile(np.linspace(0, 1, 301), (201, 1)), (0, 0, 300, 200), Style("contours"))
    changed = np.flatnonzero((lined[100] != 90).any(axis=1))
    for level in (75, 150, 225):
        assert np.abs(changed - level).min() <= 2
    assert not set(range(90, 135)) & set(changed.tolist())
