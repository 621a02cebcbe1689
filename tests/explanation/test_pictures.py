"""The result a person holds: pictures of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.render.sheet import COLUMN

pytestmark = pytest.mark.slow

CAT, DOG = Prediction(0, "cat", 0.9), Prediction(1, "a dog, or a wolf / fox?", 0.1)


def explanation(targets: tuple[Prediction, ...]) -> Explanation:
    maps = np.random.default_rng(0).random((len(targets), 3, 4)).astype(np.float32)
    return Explanation(np.full((60, 80, 3), 128, np.uint8), targets, targets, maps, (0, 0, 80, 60), {}, Path("photo.png"))


def test_pictures_are_as_large_as_the_photo() -> None:
    result = explanation((CAT, DOG))
    for picture in (
        result.overlay(),
        result.heatmap(1),
        result.contours(1, colormap="turbo"),
        result.overlay(smoothing="nearest"),
    ):
        assert picture.shape == (60, 80, 3) and picture.dtype == np.uint8


def test_a_grid_has_a_row_for_each_image_and_a_column_for_each_target() -> None:
    first, second = explanation((CAT, DOG)), explanation((CAT,))
    alone = first.grid()
    both = first.grid(second)
    assert alone.shape[1] == both.shape[1] == 3 * COLUMN
    assert both.shape[0] == 2 * alone.shape[0]
    np.testing.assert_array_equal(both[: alone.shape[0]], alone)


def test_a_notebook_shows_the_grid() -> None:
    result = explanation((CAT, DOG))
    shown = cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(shown, result.grid())


def test_labels_make_safe_names(tmp_path: Path) -> None:
    files = explanation((CAT, DOG)).save(tmp_path)
    assert [Path(file["overlay"]).name for file in files] == ["photo_0_cat.png", "photo_1_a_dog_or_a_wolf_fox.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        Path(path).name for file in [*files, {"all": "photo.npz"}] for path in file.values()
    )
