"""Detections against the objects that somebody drew, and the lists that tell these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openvino_xai.detection import Detection
from openvino_xai.errors import InputError
from openvino_xai.evaluate.boxes.annotations import Annotated, annotated, read_annotations
from openvino_xai.evaluate.boxes.matching import Object, matched

CAT, DOG = 0, 1


def detection(label: int, box: Any, score: float) -> Detection:
    return Detection(label, str(label), score, box, 0)


def square(x: float, side: float = 10.0) -> Any:
    return (x, 0.0, x + side, side)


def test_each_object_has_one_detection() -> None:
    """The better one, wherever it stands; the second is no object's."""
    objects = [Object(CAT, square(0))]
    twice = [detection(CAT, square(1), 0.3), detection(CAT, square(2), 0.8)]
    assert [match.group for match in matched(twice, objects)] == ["false_positive", "true_positive"]
    assert [match.others for match in matched(twice, objects)] == [(), ()]


def test_a_detection_takes_the_object_that_it_overlaps_most_and_is_free() -> None:
    objects = [Object(CAT, square(0)), Object(CAT, square(2))]
    pair = [detection(CAT, square(1.5), 0.9), detection(CAT, square(1.6), 0.8)]
    first, second = matched(pair, objects)
    assert (first.group, first.others) == ("true_positive", (square(0),))
    assert (second.group, second.others) == ("true_positive", (square(2),))
    assert first.iou == pytest.approx(9.5 / 10.5)


@pytest.mark.parametrize(
    ("x", "group"),
    [
        (3.0, "true_positive"),
        (10 / 3, "mislocalised"),
        (8.0, "mislocalised"),
        (8.5, "false_positive"),
        (50.0, "false_positive"),
    ],
)
def test_the_overlap_decides(x: float, group: str) -> None:
    """Squares of 10 that are x apart have an IoU of (10 - x) / (10 + x): a half, which is not above it, at 10 / 3."""
    (match,) = matched([detection(CAT, square(x), 0.9)], [Object(CAT, square(0))])
    assert match.group == group
    assert match.iou == pytest.approx(max(0, 10 - x) / (10 + x))


def test_other_classes_do_not_count() -> None:
    (match,) = matched([detection(CAT, square(0), 0.9)], [Object(DOG, square(0)), Object(CAT, square(50))])
    assert (match.group, match.iou, match.others) == ("false_positive", 0, (square(50),))
    assert [match.group for match in matched([detection(CAT, square(0), 0.9)], [])] == ["false_positive"]
    assert [match.group for match in matched([detection(CAT, square(0), 0.9)], None)] == ["detected"]
    assert matched([], [Object(CAT, square(0))]) == []


def written(folder: Path, content: object) -> Path:
    path = folder / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_shares_become_pixels(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"format": "of all kinds", "images": {"a.jpg": [[1, 0.5, 0.5, 0.5, 0.25], [0, 0, 0, 1, 1]], "b.jpg": []}}
    )
    first, second = read_annotations(path, (), 2)
    assert (first.path, second.path) == (tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert first.objects_in((40, 80)) == [Object(1, (20, 15, 60, 25)), Object(0, (0, 0, 40, 20))]
    assert second.objects_in((40, 80)) == []
    assert Annotated(tmp_path / "c.jpg").objects_in((40, 80)) is None


COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 20, "height": 10}, {"id": 8, "file_name": "b.jpg"}],
    "categories": [{"id": 18, "name": "Dog"}, {"id": 17, "name": "cat"}],
    "annotations": [
        {"image_id": 7, "category_id": 18, "bbox": [2, 3, 4, 5]},
        {"image_id": 7, "category_id": 17, "bbox": [10, 0, 100, 5]},
        {"image_id": 7, "category_id": 17, "bbox": [0, 0, 20, 10], "iscrowd": 1},
        {"image_id": 7, "category_id": 17, "bbox": [0, 0, 0, 10]},
    ],
}


def test_cocos_annotations(tmp_path: Path) -> None:
    """Classes by the model's labels, whatever the ids; crowds and boxes without a pixel are left out."""
    first, second = read_annotations(written(tmp_path, COCO), ["dog", "tree", "cat"], 3)
    assert first.objects_in((20, 40)) == [Object(0, (4, 6, 12, 16)), Object(2, (20, 0, 40, 10))]
    assert second.objects_in((20, 40)) == []
    without_labels, _ = read_annotations(written(tmp_path, COCO), (), 2)
    assert without_labels.objects_in((10, 20)) == [Object(1, (2, 3, 6, 8)), Object(0, (10, 0, 20, 5))]
    only_cats, _ = read_annotations(written(tmp_path, COCO), ["cat"], 1)
    assert only_cats.objects_in((10, 20)) == [Object(0, (10, 0, 20, 5))]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "cannot read"),
        ([], "COCO's annotations are expected, or"),
        ({"images": {"a.jpg": 3}}, "a.jpg, has boxes that are no list: 3"),
        ({"images": {"a.jpg": [[1, 2, 3]]}}, "has a box .1, 2, 3.; class, x, y, width and height are expected"),
        ({"images": {"a.jpg": [[0.5, 0.1, 0.1, 0.1, 0.1]]}}, "class, x, y, width and height are expected"),
        ({"images": {"a.jpg": [[0, 0.1, 0.1, 0, 0.1]]}}, "with sides above 0"),
        ({"images": {"a.jpg": [[0, 120, 80, 60, 60]]}}, "that is no share of the photo"),
        ({"images": {"a.jpg": [[2, 0.1, 0.1, 0.1, 0.1]]}}, "of class 2; the model has 2 classes"),
        ({"images": {"": [[0, 0.1, 0.1, 0.1, 0.1]]}}, "names no photo"),
        ({**COCO, "categories": []}, "has 0 categories and the model 2 classes without labels"),
        ({**COCO, "annotations": [{"image_id": 7}]}, "has no category_id"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_annotations(written(tmp_path, content), (), 2)


def test_labels_that_no_category_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no label of the model is a category of .*, which has 'Dog', 'cat'"):
        read_annotations(written(tmp_path, COCO), ["tree"], 1)


def test_photos_are_found_by_path_or_name(tmp_path: Path) -> None:
    listed = [Annotated(tmp_path / "x" / "a.jpg", ()), Annotated(tmp_path / "y" / "a.jpg", (Object(0, square(0)),))]
    left_out: list[Path] = []
    photos = [tmp_path / "y" / "a.jpg", tmp_path / "z" / "a.jpg"]
    (match,) = annotated(photos, listed, tmp_path / "boxes.json", left_out.append)
    assert match == listed[1] and left_out == photos[1:]  # two are called so: which of them is meant is not known
    (by_name,) = annotated([Path("other/a.jpg")], listed[1:], tmp_path / "boxes.json", left_out.append)
    assert by_name == Annotated(Path("other/a.jpg"), listed[1].objects)
    with pytest.raises(InputError, match="tells the objects of none of the images: it names others, as a.jpg"):
        annotated([Path("b.jpg")], listed, tmp_path / "boxes.json", left_out.append)
