"""Photos with the objects that somebody drew in them, all of them and of any class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.evaluate.boxes.matching import Object
from openvino_xai.evaluate.lists import Classes, Coco, coco_corners, json_of, list_of, numbers_of, photo_of, size_of

EXAMPLES = 3  # categories that an error names
SHARES = (1, 1)  # the size of a photo in which shares of its sides are pixels


@dataclass(frozen=True)
class Annotated:
    """A photo, and its objects, in pixels of an image of `size` (width, height), or of the photo's own where that is None.

    `objects` None is a photo of which nobody says what it shows.
    """

    path: Path
    objects: tuple[Object, ...] | None = None
    size: tuple[int, int] | None = None

    def objects_in(self, photo: tuple[int, int]) -> list[Object] | None:
        """The objects in the pixels of a photo (height, width), cut off at its edges; those that lie beyond are left out."""
        if self.objects is None:
            return None
        height, width = photo
        x, y = (width / self.size[0], height / self.size[1]) if self.size else (1.0, 1.0)
        placed = []
        for item in self.objects:
            x0, x1 = (min(max(edge * x, 0.0), float(width)) for edge in item.box[0::2])
            y0, y1 = (min(max(edge * y, 0.0), float(height)) for edge in item.box[1::2])
            if x0 < x1 and y0 < y1:
                placed.append(Object(item.label, (x0, y0, x1, y1)))
        return placed


def read_annotations(path: Path, labels: Sequence[str], count: int) -> list[Annotated]:
    """The photos of a list, which lie beside it: COCO's annotations, or `{"images": {photo: [[class, x, y, w, h], ...]}}`.

    In the latter, x and y are of a box's centre, and all four numbers shares of the photo's sides. Raises InputError.
    """
    content = json_of(path)
    if isinstance(content, dict) and isinstance(content.get("images"), dict):
        return [_of_shares(path, name, rows, count) for name, rows in content["images"].items()]
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _of_coco(Coco.of(content, path), path, labels, count)
    raise InputError(
        f"cannot read {path}: COCO's annotations are expected, or "
        '{"images": {"photo.jpg": [[class, x, y, width, height]]}}, with x and y of the centre, all as shares of the photo'
    )


def annotated(
    photos: Iterable[Path], annotations: Sequence[Annotated], source: Path, left_out: Callable[[Path], None]
) -> list[Annotated]:
    """Those photos that have annotations, by their paths, or else by their names; `left_out` hears of others.

    Raises InputError where no photo has any.
    """
    by_path = {item.path.absolute(): item for item in annotations}
    by_name: dict[str, list[Annotated]] = {}
    for item in annotations:
        by_name.setdefault(item.path.name, []).append(item)
    chosen = []
    for photo in photos:
        namesakes = by_name.get(photo.name, [])
        match = by_path.get(photo.absolute(), namesakes[0] if len(namesakes) == 1 else None)
        if match is None:
            left_out(photo)
        else:
            chosen.append(replace(match, path=photo))
    if not chosen:
        others = f": it names others, as {annotations[0].path.name}" if annotations else ""
        raise InputError(f"{source} tells the objects of none of the images{others}", options=("boxes",))
    return chosen


def _of_shares(path: Path, name: str, rows: object, count: int) -> Annotated:
    where = f"{path}, {name},"
    objects = tuple(_object(row, where, count) for row in list_of(rows, where, "boxes"))
    return Annotated(photo_of(path, name, where), objects, SHARES)


def _object(row: object, where: str, count: int) -> Object:
    numbers = numbers_of(row, where, "a box")
    if len(numbers) != 5 or min(numbers[3:]) <= 0 or numbers[0] != int(numbers[0]):
        raise InputError(f"{where} has a box {row!r:.80}; class, x, y, width and height are expected, with sides above 0")
    k, x, y, width, height = numbers
    if max(width, height) > 1 or not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"{where} has a box {row!r:.80} that is no share of the photo: numbers from 0 to 1 are expected")
    if not 0 <= k < count:
        raise InputError(f"{where} has a box of class {k:g}; the model has {count} classes, from 0")
    return Object(int(k), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def _of_coco(coco: Coco, path: Path, labels: Sequence[str], count: int) -> list[Annotated]:
    """Each image with all its objects; of crowds, whose boxes are around many, none."""
    classes = _categories(coco, path, labels, count)
    of_image: dict[Any, list[Object]] = {}
    for number, item in enumerate(coco.annotations):
        where = f"{path}, annotations[{number}],"
        box = coco_corners(item["bbox"], where)
        label = classes.get(item["category_id"])
        if label is not None and box is not None and not item.get("iscrowd"):
            of_image.setdefault(item["image_id"], []).append(Object(label, box))
    return [
        Annotated(
            photo_of(path, image["file_name"], where),
            tuple(of_image.get(image["id"], [])),
            size_of([image["width"], image.get("height")], where) if "width" in image else None,
        )
        for number, image in enumerate(coco.images)
        if (where := f"{path}, images[{number}],")
    ]


def _categories(coco: Coco, path: Path, labels: Sequence[str], count: int) -> dict[Any, int]:
    """The model's class of each category that it has: by the name where there are labels, else by its place in order of ids.

    Raises InputError where no category is known, or, without labels, there are not as many as the model has classes.
    """
    names: Mapping[Any, str] = {item["id"]: str(item["name"]) for item in coco.categories}
    if labels:
        classes = Classes(labels, count)
        ids = {key: classes.find(name, str(path)) for key, name in names.items() if classes.knows(name)}
        if not ids:
            listed = ", ".join(f"'{name}'" for name in list(names.values())[:EXAMPLES])
            raise InputError(
                f"no label of the model is a category of {path}, which has {listed or 'none'}", options=("labels",)
            )
        return ids
    if len(names) != count:
        raise InputError(
            f"{path} has {len(names)} categories and the model {count} classes without labels: say what these are called",
            options=("labels",),
        )
    return {key: index for index, key in enumerate(sorted(names, key=lambda key: (isinstance(key, str), key)))}
