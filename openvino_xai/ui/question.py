"""What the page asks: how a photo is to be explained. It comes from a browser, and is believed in nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast, get_args

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.json_text import from_json

Fill = Literal["grey", "blur"]
GREY = 127
FED = ("preset", "reverse_input_channels", "resize_type")  # what the page changes of the preprocessing
LONGEST = 4096  # characters of a name
CLASSES, COVERS = 16, 16  # at most


def fed_by(start: Mapping[str, object], changes: Mapping[str, str]) -> dict[str, object]:
    """What the program was started with, with what the page changes; a preset replaces all that it has a say in."""
    parts = ("preset", "mean_values", "scale_values", *FED) if "preset" in changes else ()
    return {**{name: value for name, value in start.items() if name not in parts}, **changes}


class Choice(NamedTuple):
    """How a hook is made: the method and the layer, None where the model and what the program was started with tell."""

    method: str | None = None
    layer: str | None = None


DEFAULT = Choice()


@dataclass(frozen=True)
class Question:
    """One photo, how it is fed, what of it is covered, and what is explained of it how.

    `photo` is the id of a photo that is here, "" for one that comes with the question. `classes` are ids. `covers` are left,
    top, width and height, as shares of the photo's sides. `preprocessing` is as `Network.configure` takes it. What a command
    line also has are the `name` of a photo that was sent, and the map's `opacity`.
    """

    photo: str = ""
    choice: Choice = DEFAULT
    preprocessing: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[int, ...] = ()
    covers: tuple[tuple[float, float, float, float], ...] = ()
    fill: Fill = "grey"
    name: str = "photo.jpg"
    opacity: float = 0.5

    @classmethod
    def parse(cls, data: bytes) -> Question:
        """A question from JSON. Raises InputError for what it cannot mean."""
        try:
            content = from_json(data)
        except ValueError as error:
            raise InputError(f"the question is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise InputError("the question is no JSON object")
        fed = content.get("preprocessing") or {}
        if not isinstance(fed, dict):
            raise InputError("the preprocessing is no JSON object")
        fill = content.get("fill") or "grey"
        if fill not in get_args(Fill):
            raise InputError(f"what is covered is filled grey or blur, not {fill!r}")
        return cls(
            photo=_text(content, "photo") or "",
            choice=Choice(_text(content, "method"), _text(content, "layer")),
            preprocessing={name: text for name in FED if (text := _text(fed, name)) is not None},
            classes=tuple(_class(k) for k in _items(content, "classes", CLASSES)),
            covers=tuple(_cover(item) for item in _items(content, "covers", COVERS)),
            fill=cast(Fill, fill),
            name=_text(content, "name") or cls.name,
            opacity=_share(content.get("opacity", cls.opacity)),
        )

    def covered(self, photo: np.ndarray) -> np.ndarray:
        """The photo [H, W, 3] with what is covered; itself where nothing is."""
        if not self.covers:
            return photo
        result = np.array(photo, order="C")
        for cover in self.covers:
            rows, columns = _pixels(cover, photo.shape[0], photo.shape[1])
            result[rows, columns] = GREY if self.fill == "grey" else _blurred(photo[rows, columns])
        return result


def _text(content: Mapping[str, Any], name: str) -> str | None:
    """A text, None where there is none. Raises InputError for what is no text."""
    value = content.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST:
        raise InputError(f"{name} is no text of at most {LONGEST} characters")
    return value


def _items(content: Mapping[str, Any], name: str, most: int) -> list[Any]:
    items = content.get(name) or []
    if not isinstance(items, list) or len(items) > most:
        raise InputError(f"{name} is no list of at most {most}")
    return items


def _class(k: object) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < 2**31:
        raise InputError(f"class {k!r} is no number of a class")
    return k


def _share(number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
        raise InputError(f"the opacity is {number!r}; a number from 0 to 1 is expected")
    return float(number)


def _cover(item: object) -> tuple[float, float, float, float]:
    numbers = item if isinstance(item, list) and len(item) == 4 else []
    is_number = all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
    if not numbers or not is_number or not all(math.isfinite(number) for number in numbers):
        raise InputError("what is covered is told by four numbers: left, top, width and height, as shares of the photo")
    left, top, width, height = (min(1.0, max(0.0, float(number))) for number in numbers)
    return left, top, width, height


def _pixels(cover: tuple[float, float, float, float], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a photo that a cover lies over."""
    left, top, wide, tall = cover
    rows = slice(round(top * height), round(min(1.0, top + tall) * height))
    return rows, slice(round(left * width), round(min(1.0, left + wide) * width))


def _blurred(patch: np.ndarray) -> np.ndarray:
    """A part of a photo without its details: shrunk to a few pixels, and made as large as it was."""
    height, width = patch.shape[:2]
    if not (height and width):
        return patch
    scale = max(height, width) / 6
    few = cv2.resize(patch, (max(1, round(width / scale)), max(1, round(height / scale))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC))
