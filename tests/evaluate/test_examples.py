"""Photos with what is known of them, from folders and files as people have them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvino_xai.errors import InputError
from openvino_xai.evaluate.examples import Example, find_examples
from openvino_xai.evaluate.lists import MOST

WORDS = ["images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "bbox", "segmentation", "label"]
WORDS += ["boxes", "size", "width", "height", "name"]
LABELS = ["tench, Tinca tinca", "crane", "crane", "golf ball"]


@pytest.fixture
def photo(tmp_path: Path) -> Any:
    def put(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
        return path

    return put


def labels_in(*inputs: Path) -> dict[str, int | None]:
    return {example.path.name: example.label for example in find_examples(map(str, inputs), LABELS, 4)}


def test_folders_of_classes(photo: Any, tmp_path: Path) -> None:
    for name in ("golf_ball/a.png", "Golf-ball/b.png", "n01440764/c.png", "2/d.png"):
        photo(name)
    with pytest.raises(InputError, match=r"n01440764 is of class 'n01440764', and no class is called so"):
        labels_in(tmp_path)
    (tmp_path / "n01440764" / "c.png").unlink()
    photo("n01440764_tench/c.png")
    assert labels_in(tmp_path) == {"a.png": 3, "b.png": 3, "c.png": 0, "d.png": 2}


def test_as_many_folders_of_wordnet_as_classes(photo: Any, tmp_path: Path) -> None:
    for name in ("n04/a.png", "n01440764/a.png", "n02007558/b.png", "n03126707/c.png", "n03445777/d.png"):
        photo(name)
    (tmp_path / "n04" / "a.png").unlink()
    assert labels_in(tmp_path) == {"a.png": 0, "b.png": 1, "c.png": 2, "d.png": 3}


def test_imagenet_style_names(photo: Any, tmp_path: Path) -> None:
    for name in ("n01440764_Tinca_tinca.JPEG", "n03445777_golf_ball.JPEG", "n03126707_crane.JPEG", "holiday.png"):
        photo(name)
    assert labels_in(tmp_path) == {
        "n01440764_Tinca_tinca.JPEG": 0,
        "n03445777_golf_ball.JPEG": 3,
        "n03126707_crane.JPEG": None,  # of two classes of this name nobody can say which
        "holiday.png": None,
    }
    assert labels_in(tmp_path / "n03445777_golf_ball.JPEG") == {"n03445777_golf_ball.JPEG": 3}


def test_csv(photo: Any, tmp_path: Path) -> None:
    photo("in/a.png")
    table = tmp_path / "list.csv"
    table.write_text('path,label\nin/a.png,3\nin/b.png,"tench, Tinca tinca"\n')
    assert labels_in(table) == {"a.png": 3, "b.png": 0}
    table.write_text("in/a.png;3\n")
    with pytest.raises(
        InputError, match="row 1, holds 1 cells; a path and a label are expected; cells are separated by commas"
    ):
        labels_in(table)
    table.write_text("path,label\r\nin/a.png,3\r\n", encoding="utf-8-sig")  # as Excel writes it
    assert labels_in(table) == {"a.png": 3}
    table.write_text('"in/a\nb.png",3\n')
    assert labels_in(table) == {"a\nb.png": 3}
    table.write_text("path,label\n", encoding="utf-16")
    with pytest.raises(InputError, match="written in UTF-16; UTF-8 is expected"):
        labels_in(table)
    table.write_text(f"a.png,{'9' * 5000}\n")
    with pytest.raises(InputError, match="no class is called so"):
        labels_in(table)
    table.write_text("a.png,crane\n")
    with pytest.raises(InputError, match="row 1, is of class 'crane', and classes 1, 2 are all called so: name it by its id"):
        labels_in(table)
    table.write_text("a.png,4\n")
    with pytest.raises(InputError, match="is of class 4; the model has 4 classes, from 0"):
        labels_in(table)


def test_simple_json(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.png": {"label": 3, "size": [100, 50], "boxes": [[10, 20, 30, 40]]}, "b.png": {}}))
    first, second = find_examples([str(boxes)], LABELS, 4)
    assert first == Example(tmp_path / "a.png", 3, ((10, 20, 30, 40),), size=(100, 50))
    assert first.boxes_in((100, 100)) == [(10, 40, 30, 80)]  # the photo itself is twice as high
    assert first.region((50, 100)).sum() == 20 * 20
    assert second == Example(tmp_path / "b.png")
    for bad in ("[1]", '{"a.png": 3}', "null"):
        boxes.write_text(bad)
        with pytest.raises(InputError, match=r"COCO's annotations are expected, or"):
            find_examples([str(boxes)], LABELS, 4)
    boxes.write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        find_examples([str(boxes)], LABELS, 4)
    boxes.write_text('\ufeff{"a.png": {"label": 3}}', encoding="utf-8")
    assert labels_in(boxes) == {"a.png": 3}


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("[1, 2, 3]", "a.png, has a box [1, 2, 3]; x0, y0, x1, y1 are expected"),
        ("[5, 5, 5, 9]", "with x0 < x1 and y0 < y1"),
        ("[5, 5, 1, 1]", "with x0 < x1 and y0 < y1"),
        ("[0, 0, NaN, 1]", "NaN is no number in JSON"),
        ("[0, 0, 1e400, 1]", "has a box that are no numbers of pixels"),
        ("[0, 0, 1e300, 1]", "has a box that are no numbers of pixels"),
        ('["0", 0, 1, 1]', "has a box that are no numbers of pixels"),
        ("[0, 0, true, 1]", "has a box that are no numbers of pixels"),
        ("7", "has a box that are no list"),
    ],
)
def test_boxes_that_are_none(box: str, message: str, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'{{"a.png": {{"boxes": [{box}]}}}}')
    with pytest.raises(InputError) as error:
        find_examples([str(boxes)], LABELS, 4)
    assert message in str(error.value) and "boxes.json" in str(error.value)


@pytest.mark.parametrize("size", ["[0, 10]", "[10]", "3", "[10, null]", '"10x10"'])
def test_sizes_that_are_none(size: str, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'{{"a.png": {{"size": {size}}}}}')
    with pytest.raises(InputError, match=r"a\.png, has a size"):
        find_examples([str(boxes)], LABELS, 4)


def test_outlines_far_outside_are_cut_off() -> None:
    far = 9e8
    outline = (-far, -far, far, -far, far, far, -far, far)
    assert Example(Path("a.png"), outlines=(outline,), size=(1, 1)).region((30, 40)).all()
    assert Example(Path("a.png"), boxes=((-far, 3, far, 5),)).region((30, 40)).sum() == 2 * 40
    assert not Example(Path("a.png"), boxes=((50, 50, far, far),)).region((30, 40)).any()


def test_coco(tmp_path: Path) -> None:
    listing = tmp_path / "coco.json"
    square = [10, 10, 20, 10, 20, 20, 10, 20]
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 8, "file_name": "empty.jpg"}],
        "categories": [{"id": 90, "name": "golf ball"}, {"id": 91, "name": "tench"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [10, 10, 10, 10], "segmentation": [square]},
            {"image_id": 7, "category_id": 91, "bbox": [0, 0, 3, 3], "segmentation": [[0, 0, 3, 0, 3, 3]]},
        ],
    }
    listing.write_text(json.dumps(coco))
    (example,) = find_examples([str(listing)], LABELS, 4)
    assert example == Example(tmp_path / "a.jpg", 3, ((10, 10, 20, 20),), (tuple(square),), (40, 30))
    region = example.region((30, 40))
    assert region[15, 15] and not region[5, 5] and region.sum() == 11 * 11  # an outline goes through its pixels
    coco["annotations"][0]["segmentation"] = {"counts": [1], "size": [30, 40]}  # type: ignore[index]  # run lengths: the box is taken
    listing.write_text(json.dumps(coco))
    (example,) = find_examples([str(listing)], LABELS, 4)
    assert example.outlines == () and example.region((30, 40)).sum() == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [0, 0, -1, 5]}, r"annotations\[0\], has a bbox"),
        ({"bbox": [0, 0, "5", 5]}, "no numbers of pixels"),
        ({"bbox": None}, "no list"),
        ({"segmentation": [[0, 0, 1, 1, 2]]}, "a polygon of 5 numbers"),
        ({"segmentation": [["a", 0, 1, 1, 2, 2]]}, "no numbers of pixels"),
        ({"segmentation": "x"}, "segmentation that are no list"),
        ({"image_id": [1]}, "an id that is no number"),
        ({"category_id": None}, "an id that is no number"),
    ],
)
def test_coco_that_is_none(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    listing = tmp_path / "coco.json"
    annotation = {"image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2], **changes}
    listing.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [annotation]}))
    with pytest.raises(InputError, match=message):
        find_examples([str(listing)], LABELS, 4)


def test_coco_with_marks_of_no_area(tmp_path: Path) -> None:
    """COCO itself has some: they mark nothing."""
    listing = tmp_path / "coco.json"
    marks = [
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 0]},
        {"image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 1, 1]]},
    ]
    listing.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": marks}))
    assert find_examples([str(listing)], LABELS, 4) == [Example(tmp_path / "a.jpg", 3, ((0, 0, 2, 2),))]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("a.png"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.one_of(JUNK.map(json.dumps).map(str.encode), st.binary(max_size=40), st.text(max_size=40).map(str.encode)))
def test_junk_is_refused_and_nothing_else(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("list.csv", "list.json"):
            path = Path(folder) / name
            path.write_bytes(data)
            with suppress(InputError):
                for example in find_examples([str(path)], LABELS, 4):
                    example.region((5, 6))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and sparse files")
@pytest.mark.parametrize("name", ["list.csv", "list.json"])
def test_pipes_and_what_is_too_large(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="no regular file"):
        labels_in(tmp_path / name)
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as file:
        file.truncate(MOST + 1)
    with pytest.raises(InputError, match=f"at most {MOST} are read"):
        labels_in(tmp_path / name)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        labels_in(tmp_path / "none")
    with pytest.raises(InputError, match="no image was found"):
        labels_in(tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        labels_in(tmp_path / "none.csv")
