"""What lists of photos hold: text, paths, numbers, classes by their names, and COCO's annotations."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.files.reading import read_regular
from openvino_xai.json_text import from_json
from openvino_xai.render.overlay import Box

MOST = 2**30  # bytes of a list: COCO's largest has 470 million
FARTHEST = 1e9  # pixels: what is told farther away is no place in a photo
WNID = re.compile(r"^n\d{8}(?:[_ -]|$)")


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


def text_of(path: Path) -> str:
    """The text of a list, with or without a byte order mark. Raises InputError."""
    data = read_regular(path, most=MOST)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is written in UTF-16; UTF-8 is expected: save it as 'CSV UTF-8', or JSON in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is no UTF-8 ({error})") from error


def json_of(path: Path) -> Any:
    """What a JSON file holds. Raises InputError."""
    try:
        return from_json(text_of(path))
    except ValueError as error:
        raise InputError(f"cannot read {path}: {error}") from error


def photo_of(path: Path, name: object, where: str) -> Path:
    """The path of a photo that a list names. Raises InputError."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{where} names no photo: {name!r}")
    return path.parent / name


def list_of(value: object, where: str, what: str) -> list[Any]:
    """A list. Raises InputError."""
    if not isinstance(value, list):
        raise InputError(f"{where} has {what} that are no list: {value!r:.80}")
    return value


def numbers_of(value: object, where: str, what: str) -> list[float]:
    """Finite numbers. Raises InputError."""
    numbers = list_of(value, where, what)
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) and abs(item) < FARTHEST for item in numbers):
        raise InputError(f"{where} has {what} that are no numbers of pixels, below {FARTHEST:g}: {value!r:.80}")
    return [float(item) for item in numbers]


def size_of(value: object, where: str) -> tuple[int, int] | None:
    """Width and height. Raises InputError."""
    if value is None:
        return None
    numbers = numbers_of(value, where, "a size")
    if len(numbers) != 2 or min(numbers) < 1:
        raise InputError(f"{where} has a size of {value!r:.80}; a width and a height in pixels are expected")
    return int(numbers[0]), int(numbers[1])


@dataclass(frozen=True)
class Coco:
    """The tables of COCO's annotations that we read, each a list of objects."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> Coco:
        """The tables of a file. Raises InputError where something else is in them."""
        needed = {
            "images": ("id", "file_name"),
            "annotations": ("image_id", "category_id", "bbox"),
            "categories": ("id", "name"),
        }
        for table, names in needed.items():
            for number, item in enumerate(list_of(content.get(table, []), str(path), table)):
                lacking = [name for name in names if not isinstance(item, dict) or name not in item]
                if lacking:
                    raise InputError(f"{path}, {table}[{number}], has no {lacking[0]}: COCO's annotations are expected")
                if not all(isinstance(item[name], (int, float, str)) for name in names if name.endswith("id")):
                    raise InputError(
                        f"{path}, {table}[{number}], has an id that is no number or text: COCO's annotations are expected"
                    )
        return cls(content["images"], content["annotations"], content.get("categories", []))


def coco_corners(value: object, where: str) -> Box | None:
    """A box from COCO's x, y, width and height; None for one without a pixel, as COCO itself has some. Raises InputError."""
    numbers = numbers_of(value, where, "a bbox")
    if len(numbers) != 4 or min(numbers[2:]) < 0:
        raise InputError(f"{where} has a bbox {value!r:.80}; x, y, width and height are expected, none of the latter below 0")
    x, y, width, height = numbers
    return (x, y, x + width, y + height) if width and height else None
