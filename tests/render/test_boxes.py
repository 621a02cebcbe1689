"""Boxes over photos: where they are, what is written on them, and colours of maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.render.boxes import COLOURS, DIMMED, Mark, colour_of, marked, tinted
from openvino_xai.render.lettering import lettered
from openvino_xai.render.overlay import Box, Style

PHOTO = np.full((60, 80, 3), 100, np.uint8)
EVERYWHERE = (0.0, 0.0, 80.0, 60.0)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_a_box_is_an_outline_where_it_is() -> None:
    picture = marked(PHOTO, [Mark((10, 20, 30, 40), "", RED)])
    drawn = (picture == RED).all(axis=2)
    expected = np.zeros(drawn.shape, bool)
    expected[20:40, 10:30] = True
    expected[21:39, 11:29] = False
    np.testing.assert_array_equal(drawn, expected)
    assert (PHOTO == 100).all()


def test_the_first_box_lies_on_top() -> None:
    marks = [Mark((10, 20, 30, 40), "", RED), Mark((10, 20, 30, 40), "", BLUE)]
    assert (marked(PHOTO, marks)[20, 15] == RED).all()


def test_a_label_stands_above_its_box_or_inside() -> None:
    for top, rows in ((40, slice(25, 40)), (0, slice(1, 14))):
        picture = marked(PHOTO, [Mark((5, top, 70, 58), "cat", RED)])
        assert ((picture[rows, 8:30] == RED).all(axis=2)).sum() > 50


ODD: list[Box] = [
    (0, 0, 0, 0), (80, 60, 80, 60), (-50, -50, 500, 500), (30, 30, 10, 10), (79.6, 59.6, 79.9, 59.9), (-9, -9, -5, -5),
    (90, 90, 99, 99),
]  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (60, 80), (700, 900)])
@pytest.mark.parametrize("text", ["", "cat 90%", "a\nb\x1b[31m", "猫 " * 50, "x" * 5000])
def test_pictures_and_boxes_of_any_shape(size: tuple[int, int], text: str) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    assert marked(photo, [Mark(box, text, colour_of(index)) for index, box in enumerate(ODD)]).shape == photo.shape


def test_each_map_has_the_colour_of_its_box() -> None:
    maps = np.zeros((2, 1, 2), np.float32)
    maps[0, 0, 0] = maps[1, 0, 1] = 1
    style = Style("overlay", opacity=0.5, smoothing="nearest")
    picture = tinted(PHOTO, maps, EVERYWHERE, [RED, BLUE], style).astype(float)
    np.testing.assert_allclose(picture[30, 10], 50 + np.array(RED) / 2, atol=1)
    np.testing.assert_allclose(picture[30, 70], 50 + np.array(BLUE) / 2, atol=1)
    alone = tinted(PHOTO, maps, EVERYWHERE, [RED, BLUE], replace(style, kind="heatmap"))
    assert (alone[30, 10] == RED).all() and (alone[30, 70] == BLUE).all()
    assert tinted(PHOTO, maps, EVERYWHERE, [RED, BLUE], replace(style, kind="contours")).shape == PHOTO.shape


def test_where_no_map_is_high_the_photo_is_darker() -> None:
    maps = np.zeros((1, 2, 2), np.float32)
    picture = tinted(PHOTO, maps, (0, 0, 40, 60), [RED])
    assert (picture[:, :40] == round(100 * (1 - 0.5 * DIMMED))).all()
    assert (picture[:, 40:] == 100).all()  # what the model did not see stays


def test_maps_that_are_none() -> None:
    with pytest.raises(InputError, match="NaN"):
        tinted(PHOTO, np.full((1, 2, 2), np.nan, np.float32), EVERYWHERE, [RED])


def test_colours_come_again() -> None:
    assert colour_of(len(COLOURS)) == colour_of(0) != colour_of(1)
    assert len(set(COLOURS)) == len(COLOURS)


@pytest.mark.parametrize(
    ("text", "line"),
    [("cat", "cat"), ("été à Noël", "ete a Noel"), ("a\nb\x1b[0m", "a?b?[0m"), ("猫", "?"), ("", ""), ("x" * 99, "xxxxxxx...")],
)
def test_letters_that_pictures_have(text: str, line: str) -> None:
    assert lettered(text, 10) == line


@pytest.mark.parametrize("most", range(5))
def test_few_letters(most: int) -> None:
    assert len(lettered("a long name", most)) <= most
