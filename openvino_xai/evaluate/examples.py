"""Photos with what is known of them: their class, and where in them it is."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.render.overlay import Box
from openvino_xai.render.photo import SUFFIXES

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
        height, width = photo
        across, down = self._scale(photo)
        found = []
        for x0, y0, x1, y1 in self.boxes:
            left, right = np.clip([x0 * across, x1 * across], 0, width)
            top, bottom = np.clip([y0 * down, y1 * down], 0, height)
            found.append((float(left), float(top), float(right), float(bottom)))
        return found

    def region(self, photo: tuple[int, int]) -> np.ndarray:
        """[H, W] bool: the pixels of a photo that the class takes: its outlines where there are some, else its boxes."""
        canvas = np.zeros(photo, np.uint8)
        if self.outlines:
            across, down = self._scale(photo)
            for outline in self.outlines:
                points = np.array(outline).reshape(-1, 2) * (across, down)
                cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], [1])
        else:
            for x0, y0, x1, y1 in self.boxes_in(photo):
                canvas[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = 1
        return canvas.view(bool)

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

    def find(self, told: object, where: str) -> int:
        """The id of a class. Raises InputError for one that is not known, or is not one alone."""
        text = str(told).strip()
        if re.fullmatch(r"\d+", text):
            if int(text) >= self.count:
                raise InputError(f"{where} is of class {text}; the model has {self.count} classes, from 0")
            return int(text)
        found = self._by_name.get(_plain(WNID.sub("", text)), set())
        if len(found) != 1:
            what = f"classes {', '.join(map(str, sorted(found)))} are all" if found else "no class is"
            raise InputError(f"{where} is of class '{text}', and {what} called so: name it by its id, or give --labels")
        return next(iter(found))

    def knows(self, told: str) -> bool:
        """Whether a name stands for one class."""
        return len(self._by_name.get(_plain(WNID.sub("", told)), ())) == 1


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def find_examples(inputs: Iterable[str], labels: Sequence[str], count: int) -> list[Example]:
    """The examples that inputs name: folders of class folders, photos called after their class, .csv or .json files.

    Raises InputError where nothing is found, or what is found cannot be understood.
    """
    classes = Classes(labels, count)
    found: list[Example] = []
    for told in inputs:
        path = Path(told)
        if path.suffix.lower() == ".csv":
            found += _from_csv(path, classes)
        elif path.suffix.lower() == ".json":
            found += _from_json(path, classes)
        elif path.is_dir():
            found += _from_folder(path, classes)
        elif path.is_file():
            found.append(Example(path, _called(path, classes)))
        else:
            raise InputError(f"there is no file or folder {path}")
    if not found:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return found


def known_classes(photos: Iterable[Path], labels: Sequence[str], count: int) -> dict[Path, int]:
    """The class of each photo that is named after it, or lies in a folder that is."""
    classes = Classes(labels, count)
    found = {}
    for photo in photos:
        name = photo.stem if WNID.match(photo.stem) and classes.knows(photo.stem) else photo.parent.name
        if classes.knows(name):
            found[photo] = classes.find(name, str(photo))
    return found


def _from_folder(folder: Path, classes: Classes) -> list[Example]:
    photos = sorted(item for item in folder.rglob("*") if item.suffix.lower() in SUFFIXES)
    parents = sorted({photo.parent.name for photo in photos if photo.parent != folder})
    if len(parents) == classes.count and all(WNID.match(name) for name in parents):  # ImageNet's: its classes in order
        of_parent = {name: index for index, name in enumerate(parents)}
    elif any(classes.knows(name) or name.isdigit() for name in parents):
        of_parent = {name: classes.find(name, str(folder / name)) for name in parents}
    else:
        return [Example(photo, _called(photo, classes)) for photo in photos]
    return [Example(photo, of_parent.get(photo.parent.name)) for photo in photos]


def _called(photo: Path, classes: Classes) -> int | None:
    """The class in an ImageNet-style name, as `n01440764_tench.JPEG`; None for other names."""
    return classes.find(photo.stem, str(photo)) if WNID.match(photo.stem) and classes.knows(photo.stem) else None


def _from_csv(path: Path, classes: Classes) -> list[Example]:
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if rows and [cell.strip().lower() for cell in rows[0]] == ["path", "label"]:
        rows = rows[1:]
    found = []
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise InputError(f"{path}, row {number}, holds {len(row)} cells; a path and a label are expected")
        found.append(Example(path.parent / row[0].strip(), classes.find(row[1], f"{path}, row {number},")))
    return found


def _from_json(path: Path, classes: Classes) -> list[Example]:
    """COCO's annotations, or {photo: {"label": ..., "boxes": [[x0, y0, x1, y1], ...], "size": [width, height]}}."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    try:
        if isinstance(told, dict) and {"images", "annotations"} <= set(told):
            return _from_coco(told, path, classes)
        return [_simple(path.parent / name, item, f"{path}, {name},", classes) for name, item in told.items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"cannot read {path} ({type(error).__name__}: {error}): COCO's annotations are expected, or "
            '{"photo.jpg": {"label": ..., "boxes": [[x0, y0, x1, y1]]}}'
        ) from error


def _simple(photo: Path, item: Mapping[str, Any], where: str, classes: Classes) -> Example:
    boxes = tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in item.get("boxes", ()))
    label = None if item.get("label") is None else classes.find(item["label"], where)
    size = item.get("size")
    return Example(photo, label, boxes, size=None if size is None else (int(size[0]), int(size[1])))


def _from_coco(told: Mapping[str, Any], path: Path, classes: Classes) -> list[Example]:
    """Each image with the category that covers most of it, and all that there is of that."""
    names = {item["id"]: item["name"] for item in told.get("categories", ())}
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for item in told["annotations"]:
        of_image.setdefault(item["image_id"], []).append(item)
    found = []
    for image in told["images"]:
        items = of_image.get(image["id"], [])
        if not items:
            continue
        best = max(items, key=lambda item: item["bbox"][2] * item["bbox"][3])["category_id"]
        same = [item for item in items if item["category_id"] == best]
        boxes = tuple((float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in (item["bbox"] for item in same))
        outlines: list[Any] = [item.get("segmentation") for item in same]
        drawn = all(isinstance(outline, list) and outline for outline in outlines)
        size = (int(image["width"]), int(image["height"])) if "width" in image else None
        label = classes.find(names.get(best, best), f"{path}, category {best},")
        flat = tuple(tuple(map(float, polygon)) for outline in outlines for polygon in outline) if drawn else ()
        found.append(Example(path.parent / image["file_name"], label, boxes, flat, size))
    return found
