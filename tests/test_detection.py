"""Boxes that a person holds: pictures of all and of each, and files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.render.overlay import Style
from openvino_xai.render.sheet import COLUMN

PHOTO = np.full((60, 80, 3), 128, np.uint8)


def explanation(count: int, label: str = "cat") -> DetectionExplanation:
    boxes = tuple(Detection(0, label, 0.9 - d / 100, (d, d, d + 20.0, d + 20.0), 40 + d) for d in range(count))
    maps = np.random.default_rng(0).random((count, 3, 4)).astype(np.float32)
    return DetectionExplanation(PHOTO, boxes, boxes, maps, (0, 0, 80, 60), {"method": "layer_cam"}, Path("photo.png"), 0.25)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_pictures_are_as_large_as_the_photo(count: int) -> None:
    result = explanation(count)
    pictures = [result.overview(), result.overview(style=Style("contours")), *map(result.overlay, range(count))]
    assert all(picture.shape == PHOTO.shape and picture.dtype == np.uint8 for picture in pictures)


def test_a_grid_has_rows_of_five() -> None:
    result = explanation(7)
    assert result.grid().shape[1] == 5 * COLUMN
    assert result.grid().shape[0] == 2 * explanation(4).grid().shape[0]
    assert explanation(0).grid(result).shape[1] == 5 * COLUMN
    assert cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR).shape == result.grid().shape


def test_files_hold_all_boxes_and_each_where_that_is_said(tmp_path: Path) -> None:
    result = explanation(2, "a/../b\n")
    for style, names in (
        (Style(), ["photo_boxes.npy", "photo_boxes.png"]),
        (Style(each=True), ["photo_1_0_a_b.png", "photo_2_0_a_b.png", "photo_boxes.npy", "photo_boxes.png"]),
    ):
        files = result.save_pictures(tmp_path, style=style)
        paths = [Path(path) for entry in files for path in entry.values()]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths) == names
        assert sorted(f"photo{ending}" for ending in result.file_endings(style)) == names
    np.testing.assert_array_equal(np.load(tmp_path / "photo_boxes.npy"), result.maps)
    line = result.to_dict(files)
    assert (line["overlay"], line["map"]) == (files[0]["overlay"], files[0]["map"])
    assert [box["overlay"] for box in line["boxes"]] == [entry["overlay"] for entry in files[1:]]


def test_what_json_holds() -> None:
    line = explanation(1).to_dict()
    assert line["boxes"] == [{"id": 0, "label": "cat", "score": 0.9, "box": [0.0, 0.0, 20.0, 20.0], "index": 40}]
    assert line["min_score"] == 0.25 and "predictions" not in line and "overlay" not in line
    row = explanation(0).to_row()
    assert row["boxes"].dtype == np.float64 and row["maps"].shape == (0, 3, 4)
