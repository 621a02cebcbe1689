"""Photos with what is known of them: their class, and where in them it is."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.lists import (
    WNID,
    Classes,
    Coco,
    coco_corners,
    json_of,
    list_of,
    numbers_of,
    photo_of,
    size_of,
    text_of,
)
from openvino_xai.files.paths import is_folder
from openvino_xai.render.overlay import Box
from openvino_xai.runtime.folders.search import Search

# pixels on any side of a photo, at which outlines are cut off: OpenCV counts in 32 bits, of which 16 are a fraction's
BEYOND = 2**20


@dataclass(frozen=True)
class Example:
    """A photo, the class that it shows, and where.

    `boxes` are (x0, y0, x1, y1) and `outlines` (x, y, x, y, ...), in pixels of an image of `size` (width, height), or of the
    photo's own where that is None.
    """

    path: Path
    label: int | None = None
    boxes: tuple[Box, ...] = ()
    outlines: tuple[tuple[float, ...], ...] = ()
    size: tuple[int, int] | None = None

    def boxes_in(self, photo: tuple[int, int]) -> list[Box]:
        """The boxes in the pixels of a photo (height, width), cut off at its edges."""
        scaled = [self._scaled(box, photo).clip(0, photo[::-1]).reshape(-1).tolist() for box in self.boxes]
        return [(left, top, right, bottom) for left, top, right, bottom in scaled]

    def region(self, photo: tuple[int, int]) -> np.ndarray:
        """[H, W] bool: the pixels of a photo that the class takes: its outlines where there are some, else its boxes."""
        canvas = np.zeros(photo, np.uint8)
        for outline in self.outlines:
            points = self._scaled(outline, photo).clip(-BEYOND, BEYOND)
            cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], [1])
        for x0, y0, x1, y1 in () if self.outlines else self.boxes_in(photo):
            canvas[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = 1
        return canvas.view(bool)

    def _scaled(self, numbers: Sequence[float], photo: tuple[int, int]) -> np.ndarray:
        """[N, 2]: points x, y, x, y, ... in the pixels of a photo."""
        return np.array(numbers, np.float64).reshape(-1, 2) * self._scale(photo)

    def _scale(self, photo: tuple[int, int]) -> tuple[float, float]:
        height, width = photo
        return (width / self.size[0], height / self.size[1]) if self.size else (1.0, 1.0)


def find_examples(inputs: Iterable[str], labels: Sequence[str], count: int, search: Search | None = None) -> list[Example]:
    """The examples that inputs name: folders of class folders, photos called after their class, .csv or .json files.

    `search` finds the photos in folders. Raises InputError where nothing is found, or what is found cannot be understood.
    """
    inputs, search = list(inputs), search or Search()
    classes = Classes(labels, count)
    examples: list[Example] = []
    for entry in inputs:
        path = Path(entry)
        if path.suffix.lower() == ".csv":
            examples += _from_csv(path, classes)
        elif path.suffix.lower() == ".json":
            examples += _from_json(path, classes)
        elif is_folder(path):
            examples += _from_folder(path, classes, search)
        elif os.path.lexists(path):
            examples.append(Example(path, _class_in_name(path, classes)))
        else:
            raise InputError(f"there is no file or folder {path}")
    if not examples:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return _each_once(examples)


def _each_once(examples: Iterable[Example]) -> list[Example]:
    """Examples, of which a photo has one. Raises InputError where two differ."""
    of_photo: dict[Path, Example] = {}
    for example in examples:
        first = of_photo.setdefault(example.path, example)
        if first != example:
            raise InputError(f"{example.path} is there twice, with other classes or boxes: say once what it shows")
    return list(of_photo.values())


def known_classes(photos: Iterable[Path], labels: Sequence[str], count: int) -> dict[Path, int]:
    """The class of each photo that is named after it, or lies in a folder that is."""
    classes = Classes(labels, count)
    ids = {}
    for photo in photos:
        name = photo.stem if WNID.match(photo.stem) and classes.knows(photo.stem) else photo.parent.name
        if classes.knows(name):
            ids[photo] = classes.find(name, str(photo))
    return ids


def _from_folder(folder: Path, classes: Classes, search: Search) -> list[Example]:
    photos = list(search.inside(folder))
    parents = sorted({photo.parent.name for photo in photos if photo.parent != folder})
    if len(parents) == classes.count and all(WNID.match(name) for name in parents):  # ImageNet's: its classes in order
        of_parent = {name: index for index, name in enumerate(parents)}
    elif any(classes.knows(name) or name.isdigit() for name in parents):
        of_parent = {name: classes.find(name, str(folder / name)) for name in parents}
    else:
        return [Example(photo, _class_in_name(photo, classes)) for photo in photos]
    return [Example(photo, of_parent.get(photo.parent.name)) for photo in photos]


def _class_in_name(photo: Path, classes: Classes) -> int | None:
    """The class in an ImageNet-style name, as `n01440764_tench.JPEG`; None for other names."""
    return classes.find(photo.stem, str(photo)) if WNID.match(photo.stem) and classes.knows(photo.stem) else None


def _from_csv(path: Path, classes: Classes) -> list[Example]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text_of(path), newline="")) if row]
    except csv.Error as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if rows and [cell.strip().lower() for cell in rows[0]] == ["path", "label"]:
        rows = rows[1:]
    examples = []
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            hint = "; cells are separated by commas, not semicolons" if len(row) == 1 and ";" in row[0] else ""
            raise InputError(f"{path}, row {number}, holds {len(row)} cells; a path and a label are expected{hint}")
        where = f"{path}, row {number},"
        examples.append(Example(photo_of(path, row[0].strip(), where), classes.find(row[1], where)))
    return examples


def _from_json(path: Path, classes: Classes) -> list[Example]:
    """COCO's annotations, or {photo: {"label": ..., "boxes": [[x0, y0, x1, y1], ...], "size": [width, height]}}."""
    content = json_of(path)
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _from_coco(Coco.of(content, path), path, classes)
    if not isinstance(content, dict) or not all(isinstance(item, dict) for item in content.values()):
        raise InputError(
            f"cannot read {path}: COCO's annotations are expected, or "
            '{"photo.jpg": {"label": ..., "boxes": [[x0, y0, x1, y1]]}}'
        )
    return [
        _simple(photo_of(path, name, f"{path}, {name},"), item, f"{path}, {name},", classes) for name, item in content.items()
    ]


def _simple(photo: Path, item: Mapping[str, Any], where: str, classes: Classes) -> Example:
    boxes = tuple(_box(box, where) for box in list_of(item.get("boxes", []), where, "boxes"))
    label = None if item.get("label") is None else classes.find(item["label"], where)
    return Example(photo, label, boxes, size=size_of(item.get("size"), where))


def _box(value: object, where: str) -> Box:
    """A box of corners. Raises InputError for one that holds no pixel."""
    numbers = numbers_of(value, where, "a box")
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise InputError(f"{where} has a box {value!r:.80}; x0, y0, x1, y1 are expected, with x0 < x1 and y0 < y1")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _from_coco(coco: Coco, path: Path, classes: Classes) -> list[Example]:
    """Each image with the category that covers most of it, and all that there is of that."""
    names = {item["id"]: item["name"] for item in coco.categories}
    of_image: dict[Any, list[tuple[Box, str, dict[str, Any]]]] = {}
    for number, item in enumerate(coco.annotations):
        where = f"{path}, annotations[{number}],"
        if (box := coco_corners(item["bbox"], where)) is not None:
            of_image.setdefault(item["image_id"], []).append((box, where, item))
    examples = []
    for number, image in enumerate(coco.images):
        items = of_image.get(image["id"], [])
        if not items:
            continue
        where = f"{path}, images[{number}],"
        best = max(items, key=lambda item: (item[0][2] - item[0][0]) * (item[0][3] - item[0][1]))[2]["category_id"]
        same = [item for item in items if item[2]["category_id"] == best]
        outlines = [_outlines(item.get("segmentation"), there) for _, there, item in same]
        flat = tuple(outline for several in outlines for outline in several) if all(outlines) else ()
        size = size_of([image["width"], image.get("height")], where) if "width" in image else None
        label = classes.find(names.get(best, best), f"{path}, category {best},")
        photo = photo_of(path, image["file_name"], where)
        examples.append(Example(photo, label, tuple(box for box, _, _ in same), flat, size))
    return examples


def _outlines(value: object, where: str) -> list[tuple[float, ...]]:
    """Polygons x, y, x, y, ... of 3 points or more; none where there are run lengths, of which the box is taken.

    Raises InputError.
    """
    if value is None or isinstance(value, dict):
        return []
    outlines = [tuple(numbers_of(outline, where, "a polygon")) for outline in list_of(value, where, "segmentation")]
    for outline in outlines:
        if len(outline) % 2:
            raise InputError(f"{where} has a polygon of {len(outline)} numbers; x, y, x, y, ... are expected")
    return [outline for outline in outlines if len(outline) >= 6]
