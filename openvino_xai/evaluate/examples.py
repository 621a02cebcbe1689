"""Photos with what is known of them: their class, and where in them it is."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_folder
from openvino_xai.files.reading import read_regular
from openvino_xai.json_text import from_json
from openvino_xai.render.overlay import Box
from openvino_xai.runtime.folders.search import Search

MOST = 2**30  # bytes of a list: COCO's largest has 470 million
FARTHEST = 1e9  # pixels: what is told farther away is no place in a photo
# pixels on any side of a photo, at which outlines are cut off: OpenCV counts in 32 bits, of which 16 are a fraction's
BEYOND = 2**20
WNID = re.compile(r"^n\d{8}(?:[_ -]|$)")


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


class Classes:
    """Names of classes, found by what files call them: an id, a label, or one of the names that a label lists."""

    def __init__(self, labels: Sequence[str], count: int) -> None:
        self.count = count
        self._by_name: dict[str, set[int]] = {}
        for index, label in enumerate(labels):
            for name in {label, *label.split(",")}:
                self._by_name.setdefault(_plain(name), set()).add(index)

    def find(self, label: object, where: str) -> int:
        """The id of a class. Raises InputError for one that is not known, or is not one alone."""
        text = str(label).strip()
        if re.fullmatch(r"\d{1,18}", text):
            if int(text) >= self.count:
                raise InputError(f"{where} is of class {text}; the model has {self.count} classes, from 0")
            return int(text)
        ids = self._by_name.get(_plain(WNID.sub("", text)), set())
        if len(ids) != 1:
            what = f"classes {', '.join(map(str, sorted(ids)))} are all" if ids else "no class is"
            raise InputError(
                f"{where} is of class '{text}', and {what} called so: name it by its id, or give labels", options=("labels",)
            )
        return next(iter(ids))

    def knows(self, label: str) -> bool:
        """Whether a name stands for one class."""
        return len(self._by_name.get(_plain(WNID.sub("", label)), ())) == 1


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


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
        rows = [row for row in csv.reader(io.StringIO(_text(path), newline="")) if row]
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
        examples.append(Example(_photo(path, row[0].strip(), where), classes.find(row[1], where)))
    return examples


def _text(path: Path) -> str:
    """The text of a list, with or without a byte order mark. Raises InputError."""
    data = read_regular(path, most=MOST)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is written in UTF-16; UTF-8 is expected: save it as 'CSV UTF-8', or JSON in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is no UTF-8 ({error})") from error


def _photo(path: Path, name: object, where: str) -> Path:
    """The path of a photo that a list names. Raises InputError."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{where} names no photo: {name!r}")
    return path.parent / name


def _from_json(path: Path, classes: Classes) -> list[Example]:
    """COCO's annotations, or {photo: {"label": ..., "boxes": [[x0, y0, x1, y1], ...], "size": [width, height]}}."""
    try:
        content = from_json(_text(path))
    except ValueError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _from_coco(_Coco.of(content, path), path, classes)
    if not isinstance(content, dict) or not all(isinstance(item, dict) for item in content.values()):
        raise InputError(
            f"cannot read {path}: COCO's annotations are expected, or "
            '{"photo.jpg": {"label": ..., "boxes": [[x0, y0, x1, y1]]}}'
        )
    return [
        _simple(_photo(path, name, f"{path}, {name},"), item, f"{path}, {name},", classes) for name, item in content.items()
    ]


def _simple(photo: Path, item: Mapping[str, Any], where: str, classes: Classes) -> Example:
    boxes = tuple(_box(box, where) for box in _list(item.get("boxes", []), where, "boxes"))
    label = None if item.get("label") is None else classes.find(item["label"], where)
    return Example(photo, label, boxes, size=_size(item.get("size"), where))


def _list(value: object, where: str, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} has {what} that are no list: {value!r:.80}")
    return value


def _numbers(value: object, where: str, what: str) -> list[float]:
    """Finite numbers. Raises InputError."""
    numbers = _list(value, where, what)
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) and abs(item) < FARTHEST for item in numbers):
        raise InputError(f"{where} has {what} that are no numbers of pixels, below {FARTHEST:g}: {value!r:.80}")
    return [float(item) for item in numbers]


def _box(value: object, where: str) -> Box:
    """A box of corners. Raises InputError for one that holds no pixel."""
    numbers = _numbers(value, where, "a box")
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise InputError(f"{where} has a box {value!r:.80}; x0, y0, x1, y1 are expected, with x0 < x1 and y0 < y1")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _size(value: object, where: str) -> tuple[int, int] | None:
    """Width and height. Raises InputError."""
    if value is None:
        return None
    numbers = _numbers(value, where, "a size")
    if len(numbers) != 2 or min(numbers) < 1:
        raise InputError(f"{where} has a size of {value!r:.80}; a width and a height in pixels are expected")
    return int(numbers[0]), int(numbers[1])


@dataclass(frozen=True)
class _Coco:
    """The tables of COCO's annotations that we read, each a list of objects."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> _Coco:
        """The tables of a file. Raises InputError where something else is in them."""
        needed = {
            "images": ("id", "file_name"),
            "annotations": ("image_id", "category_id", "bbox"),
            "categories": ("id", "name"),
        }
        for table, names in needed.items():
            for number, item in enumerate(_list(content.get(table, []), str(path), table)):
                lacking = [name for name in names if not isinstance(item, dict) or name not in item]
                if lacking:
                    raise InputError(f"{path}, {table}[{number}], has no {lacking[0]}: COCO's annotations are expected")
                if not all(isinstance(item[name], (int, float, str)) for name in names if name.endswith("id")):
                    raise InputError(
                        f"{path}, {table}[{number}], has an id that is no number or text: COCO's annotations are expected"
                    )
        return cls(content["images"], content["annotations"], content.get("categories", []))


def _from_coco(coco: _Coco, path: Path, classes: Classes) -> list[Example]:
    """Each image with the category that covers most of it, and all that there is of that."""
    names = {item["id"]: item["name"] for item in coco.categories}
    of_image: dict[Any, list[tuple[Box, str, dict[str, Any]]]] = {}
    for number, item in enumerate(coco.annotations):
        where = f"{path}, annotations[{number}],"
        if (box := _corners(item["bbox"], where)) is not None:
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
        size = _size([image["width"], image.get("height")], where) if "width" in image else None
        label = classes.find(names.get(best, best), f"{path}, category {best},")
        photo = _photo(path, image["file_name"], where)
        examples.append(Example(photo, label, tuple(box for box, _, _ in same), flat, size))
    return examples


def _corners(value: object, where: str) -> Box | None:
    """A box from COCO's x, y, width and height; None for one without a pixel, as COCO itself has some. Raises InputError."""
    numbers = _numbers(value, where, "a bbox")
    if len(numbers) != 4 or min(numbers[2:]) < 0:
        raise InputError(f"{where} has a bbox {value!r:.80}; x, y, width and height are expected, none of the latter below 0")
    x, y, width, height = numbers
    return (x, y, x + width, y + height) if width and height else None


def _outlines(value: object, where: str) -> list[tuple[float, ...]]:
    """Polygons x, y, x, y, ... of 3 points or more; none where there are run lengths, of which the box is taken.

    Raises InputError.
    """
    if value is None or isinstance(value, dict):
        return []
    outlines = [tuple(_numbers(outline, where, "a polygon")) for outline in _list(value, where, "segmentation")]
    for outline in outlines:
        if len(outline) % 2:
            raise InputError(f"{where} has a polygon of {len(outline)} numbers; x, y, x, y, ... are expected")
    return [outline for outline in outlines if len(outline) >= 6]
