"""Photos with what is known of them, from folders and files as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.evaluate.examples import Example, find_examples

LABELS = ["tench, Tinca tinca", "crane", "crane", "golf ball"]


@pytest.fixture
def photo(tmp_path: Path) -> Any:
    def put(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
        return path

    return put


def found(*inputs: Path) -> dict[str, int | None]:
    return {example.path.name: example.label for example in find_examples(map(str, inputs), LABELS, 4)}


def test_folders_of_classes(photo: Any, tmp_path: Path) -> None:
    for name in ("golf_ball/a.png", "Golf-ball/b.png", "n01440764/c.png", "2/d.png"):
        photo(name)
    with pytest.raises(InputError, match=r"n01440764 is of class 'n01440764', and no class is called so"):
        found(tmp_path)
    (tmp_path / "n01440764" / "c.png").unlink()
    photo("n01440764_tench/c.png")
    assert found(tmp_path) == {"a.png": 3, "b.png": 3, "c.png": 0, "d.png": 2}


def test_as_many_folders_of_wordnet_as_classes(photo: Any, tmp_path: Path) -> None:
    for name in ("n04/a.png", "n01440764/a.png", "n02007558/b.png", "n03126707/c.png", "n03445777/d.png"):
        photo(name)
    (tmp_path / "n04" / "a.png").unlink()
    assert found(tmp_path) == {"a.png": 0, "b.png": 1, "c.png": 2, "d.png": 3}


def test_imagenet_style_names(photo: Any, tmp_path: Path) -> None:
    for name in ("n01440764_Tinca_tinca.JPEG", "n03445777_golf_ball.JPEG", "n03126707_crane.JPEG", "holiday.png"):
        photo(name)
    assert found(tmp_path) == {
        "n01440764_Tinca_tinca.JPEG": 0,
        "n03445777_golf_ball.JPEG": 3,
        "n03126707_crane.JPEG": None,  # of two classes of this name nobody can say which
        "holiday.png": None,
    }
    assert found(tmp_path / "n03445777_golf_ball.JPEG") == {"n03445777_golf_ball.JPEG": 3}


def test_csv(photo: Any, tmp_path: Path) -> None:
    photo("in/a.png")
    told = tmp_path / "list.csv"
    told.write_text('path,label\nin/a.png,3\nin/b.png,"tench, Tinca tinca"\n')
    assert found(told) == {"a.png": 3, "b.png": 0}
    told.write_text("in/a.png;3\n")
    with pytest.raises(InputError, match="row 1, holds 1 cells; a path and a label are expected"):
        found(told)
    told.write_text("a.png,crane\n")
    with pytest.raises(InputError, match="row 1, is of class 'crane', and classes 1, 2 are all called so: name it by its id"):
        found(told)
    told.write_text("a.png,4\n")
    with pytest.raises(InputError, match="is of class 4; the model has 4 classes, from 0"):
        found(told)


def test_simple_json(tmp_path: Path) -> None:
    told = tmp_path / "boxes.json"
    told.write_text(json.dumps({"a.png": {"label": 3, "size": [100, 50], "boxes": [[10, 20, 30, 40]]}, "b.png": {}}))
    first, second = find_examples([str(told)], LABELS, 4)
    assert first == Example(tmp_path / "a.png", 3, ((10, 20, 30, 40),), size=(100, 50))
    assert first.boxes_in((100, 100)) == [(10, 40, 30, 80)]  # the photo itself is twice as high
    assert first.region((50, 100)).sum() == 20 * 20
    assert second == Example(tmp_path / "b.png")
    for bad in ('{"a.png": {"boxes": [[1, 2, 3]]}}', "[1]", '{"a.png": 3}'):
        told.write_text(bad)
        with pytest.raises(InputError, match=r"COCO's annotations are expected, or"):
            find_examples([str(told)], LABELS, 4)
    told.write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        find_examples([str(told)], LABELS, 4)


def test_coco(tmp_path: Path) -> None:
    told = tmp_path / "coco.json"
    square = [10, 10, 20, 10, 20, 20, 10, 20]
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 8, "file_name": "empty.jpg"}],
        "categories": [{"id": 90, "name": "golf ball"}, {"id": 91, "name": "tench"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [10, 10, 10, 10], "segmentation": [square]},
            {"image_id": 7, "category_id": 91, "bbox": [0, 0, 3, 3], "segmentation": [[0, 0, 3, 0, 3, 3]]},
        ],
    }
    told.write_text(json.dumps(coco))
    (example,) = find_examples([str(told)], LABELS, 4)
    assert example == Example(tmp_path / "a.jpg", 3, ((10, 10, 20, 20),), (tuple(square),), (40, 30))
    region = example.region((30, 40))
    assert region[15, 15] and not region[5, 5] and region.sum() == 11 * 11  # an outline goes through its pixels
    coco["annotations"][0]["segmentation"] = {"counts": [1], "size": [30, 40]}  # type: ignore[index]  # run lengths: the box is taken
    told.write_text(json.dumps(coco))
    (example,) = find_examples([str(told)], LABELS, 4)
    assert example.outlines == () and example.region((30, 40)).sum() == 100


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        found(tmp_path / "none")
    with pytest.raises(InputError, match="no image was found"):
        found(tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        found(tmp_path / "none.csv")
