"""Maps in a photo's coordinates."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvino_xai.errors import InputError
from openvino_xai.render import overlay
from openvino_xai.render.overlay import Style, colour, drawn, on_photo, stretch

PEAK = np.zeros((2, 3), np.float32)
PEAK[0, 2] = 1


def test_the_corner_cell_is_drawn_in_its_corner() -> None:
    spread, coverage = on_photo(PEAK, (20, 30), (0, 0, 30, 20))
    assert coverage.all()
    assert np.unravel_index(spread.argmax(), spread.shape) == (0, 25) or spread[0, 29] == spread.max() == 1
    assert spread[5, 25] == pytest.approx(1, abs=0.06)  # the middle of the cell
    assert spread[15, 5] == 0


def test_what_the_model_did_not_see_is_left_alone() -> None:
    photo = np.full((20, 40, 3), 90, np.uint8)
    _, coverage = on_photo(PEAK, (20, 40), (10, 0, 30, 20))
    assert coverage[:, 10:30].all()
    assert not coverage[:, :10].any() and not coverage[:, 30:].any()
    over = drawn(photo, PEAK, (10, 0, 30, 20))
    assert (over[:, :10] == 90).all() and (over[:, 30:] == 90).all()
    assert (over[:, 10:30] != 90).any()
    alone = drawn(photo, PEAK, (10, 0, 30, 20), Style("heatmap"))
    assert not alone[:, :10].any() and alone[:, 10:30].any(axis=2).all()


def test_padding_is_cropped_off() -> None:
    spread, coverage = on_photo(PEAK, (10, 30), (0, -10, 30, 20))  # rows of cells: 10 pixels of padding, then the photo
    assert coverage.all()
    # row 0 has its middle at -2.5, row 1 at 12.5: the photo's first pixel, at 0.5, is a fifth of the way
    assert spread.max() == pytest.approx(0.8)


def test_stretching() -> None:
    np.testing.assert_allclose(stretch(np.array([[2.0, 4.0], [3.0, 2.0]])), [[0, 1], [0.5, 0]])
    assert not stretch(np.full((2, 2), 3.0)).any()


def test_colours() -> None:
    low, high = colour(np.array([[0.0, 1.0]]))[0]
    assert low[2] > low[0] and high[0] > high[2]  # jet: blue to red


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colormap": "rainbows"}, "colour map 'rainbows' is not known: one of .*viridis"),
        ({"kind": "bars"}, "style 'bars' is not known: one of overlay, heatmap, contours"),
        ({"smoothing": "cubic"}, "smoothing 'cubic' is not known: one of bilinear, nearest"),
        ({"opacity": 2}, "opacity is 2; a number from 0 to 1"),
    ],
)
def test_styles_that_are_not_known(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Style(**options)  # type: ignore[arg-type]


def test_opacity_is_how_much_of_the_photo_is_left() -> None:
    photo = np.full((20, 30, 3), 90, np.uint8)
    np.testing.assert_array_equal(drawn(photo, PEAK, (0, 0, 30, 20), Style(opacity=0)), photo)
    np.testing.assert_array_equal(
        drawn(photo, PEAK, (0, 0, 30, 20), Style(opacity=1)), drawn(photo, PEAK, (0, 0, 30, 20), Style("heatmap"))
    )


@pytest.mark.parametrize("opacity", [0, 1 / 3, 0.5, 0.7, 1])
def test_each_byte_over_each_is_rounded_to_even_from_double_precision(opacity: float) -> None:
    photo = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 256, axis=1).repeat(3, axis=2)
    levels = np.broadcast_to(np.arange(256) / 255, (256, 256))
    shades = colour(levels)
    expected = np.round(photo * (1 - opacity) + shades * opacity)
    picture = drawn(photo, np.array(levels, np.float32), (0, 0, 256, 256), Style(opacity=opacity, smoothing="nearest"))
    np.testing.assert_array_equal(picture, expected)
    assert len(np.unique(shades)) > 60


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


def slow(saliency: np.ndarray, size: tuple[int, int], box: tuple[float, ...], smoothing: str) -> tuple[np.ndarray, np.ndarray]:
    """One pixel after the other: the four cells around its middle, or the cell that it lies in."""
    rows, columns = saliency.shape
    x0, y0, x1, y1 = box
    values, coverage = np.zeros(size), np.zeros(size, bool)
    for i, j in np.ndindex(size):
        y, x = (i + 0.5 - y0) / (y1 - y0) * rows, (j + 0.5 - x0) / (x1 - x0) * columns
        if not (0 <= y < rows and 0 <= x < columns):
            continue
        coverage[i, j] = True
        if smoothing == "nearest":
            values[i, j] = saliency[int(y), int(x)]
            continue
        y, x = min(max(y - 0.5, 0), rows - 1), min(max(x - 0.5, 0), columns - 1)
        for row in {int(y), min(int(y) + 1, rows - 1)}:
            for column in {int(x), min(int(x) + 1, columns - 1)}:
                values[i, j] += saliency[row, column] * max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
    return values, coverage


EDGES = st.tuples(st.floats(-9, 8), st.floats(1, 30))


@pytest.mark.slow
@given(
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    edges=st.tuples(EDGES, EDGES),
    smoothing=st.sampled_from(["bilinear", "nearest"]),
    band=st.integers(1, 40),
)
def test_every_pixel_is_what_the_cells_around_it_say(cells: Any, size: Any, edges: Any, smoothing: Any, band: int) -> None:
    saliency = np.random.default_rng(0).random(cells)
    (x0, wide), (y0, tall) = edges
    box = (x0, y0, x0 + wide, y0 + tall)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "BAND", band)
        values, coverage = on_photo(saliency, size, box, smoothing)
    expected, there = slow(saliency, size, box, smoothing)
    np.testing.assert_array_equal(coverage, there)
    np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["overlay", "heatmap", "contours"])
@pytest.mark.parametrize("size", [(1, 40000), (40000, 1), (1, 1), (2, 70000)])
def test_photos_of_extreme_sides(size: tuple[int, int], kind: Any) -> None:
    photo = np.full((*size, 3), 90, np.uint8)
    picture = drawn(photo, PEAK, (0, 0, size[1], size[0]), Style(kind))
    assert picture.shape == photo.shape and picture.dtype == np.uint8
    assert (photo == 90).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["overlay", "heatmap", "contours"])
def test_a_map_that_is_no_number_is_not_drawn(kind: Any, strange: float) -> None:
    saliency = PEAK.copy()
    saliency[1, 1] = strange
    with pytest.raises(InputError, match="the map holds NaN or infinite values"):
        drawn(np.zeros((4, 4, 3), np.uint8), saliency, (0, 0, 4, 4), Style(kind))


def test_a_constant_map_and_one_of_huge_values_are_drawn() -> None:
    photo = np.full((4, 6, 3), 90, np.uint8)
    low = drawn(photo, np.zeros((2, 3), np.float32), (0, 0, 6, 4))
    np.testing.assert_array_equal(drawn(photo, np.full((2, 3), 7, np.float32), (0, 0, 6, 4)), low)
    huge = np.where(PEAK > 0, np.float32(3e38), np.float32(-3e38))
    np.testing.assert_array_equal(drawn(photo, huge, (0, 0, 6, 4)), drawn(photo, PEAK, (0, 0, 6, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["overlay", "contours"])
def test_a_large_photo_needs_memory_for_itself_and_its_picture(kind: str) -> None:
    """In a process of its own, whose peak is told by the system; the map alone in the photo's pixels took 27 photos."""
    pytest.importorskip("resource", reason="this system does not tell how much memory a process took")
    unit = 1 if sys.platform == "darwin" else 1024
    code = f"""
import resource
import numpy as np
from openvino_xai.render.overlay import Style, drawn
photo = np.full((5000, 5000, 3), 90, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
drawn(photo, np.eye(7), (0, 0, 5000, 5000), Style({kind!r}))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * {unit} / photo.nbytes)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) < 3
