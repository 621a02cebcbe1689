"""What stands on a command line without a flag: a model, and photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_folder

OPENED = (".xml", ".onnx")  # suffixes of models, which no photo has


@dataclass(frozen=True)
class Word:
    """Marks an option that is given by its place, too: by so many words of the line, or, None, by all that are left.

    `check` refuses a value ahead of all else.
    """

    name: str
    count: int | None = 1
    check: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Place:
    """An option that words fill: its mark, whether its value is a list, and whether it must be given."""

    word: Word
    is_list: bool
    is_required: bool
    kind: Callable[[str], Any] = str


def usage(places: Mapping[str, Place]) -> str:
    """The words of a command, as its help shows them: `MODEL PHOTO...`."""
    names = []
    for place in places.values():
        name = place.word.name if place.word.count is not None else f"{place.word.name}..."
        names += [name if place.is_required else f"[{name}]"] * (place.word.count or 1)
    return " ".join(names)


def placed(command: str, places: Mapping[str, Place], values: Mapping[str, Any], words: list[str]) -> dict[str, Any]:
    """The value of each option in `places`: what its flag gave, and then words, in order.

    Raises InputError where one is missing, or a word is too many or stands in another's place.
    """
    texts = {name: _listed(values[name]) for name in places}
    wanted = f"ovxai {command} {usage(places)}"
    left = list(words)
    for name, place in places.items():
        count = len(left) if place.word.count is None else max(0, place.word.count - len(texts[name]))
        texts[name], left = texts[name] + left[:count], left[count:]
    of_model = {name: place.word.name == "MODEL" for name, place in places.items()}
    models, photos = (
        [str(text) for name in places if of_model[name] == kind for text in texts[name]] for kind in (True, False)
    )
    _check_order(models, photos, wanted)
    if left:
        flags = [f"--{name} is '{values[name]}' already; " for name in places if isinstance(values[name], (str, Path))]
        raise InputError(f"'{left[0]}' is one word too many: {''.join(flags[:1])}{wanted} is expected")
    for name, place in places.items():
        if place.is_required and not texts[name]:
            raise InputError(f"no {place.word.name} is given: {wanted} is expected")
    return {
        name: [place.kind(text) for text in texts[name]]
        if place.is_list
        else next((place.kind(text) for text in texts[name]), None)
        for name, place in places.items()
    }


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _check_order(models: list[str], photos: list[str], wanted: str) -> None:
    """Raise InputError where a photo stands in a model's place, or a model among the photos."""
    from openvino_xai.render.kinds import SUFFIXES

    photo = next((model for model in models if Path(model).suffix.lower() in SUFFIXES and not is_folder(model)), None)
    model = next((photo for photo in photos if Path(photo).suffix.lower() in OPENED and not is_folder(photo)), None)
    if photo is not None:
        other = f" and '{model}' a model" if model is not None else ""
        raise InputError(f"'{photo}' is a photo{other}, and the model comes first: {wanted} is expected")
    if model is not None and models:
        first = " and ".join(f"'{name}'" for name in models)
        raise InputError(f"'{model}' is a model, and {first} is given already: {wanted} is expected")
