"""What an explanation has to be, whoever made it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from openvino_xai.errors import InputError


def hold(what: str, condition: object) -> None:
    """Raise InputError where something is not what it should be."""
    if not condition:
        raise InputError(f"{what} of an explanation is not what is expected there")


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_box(value: object) -> bool:
    """Whether it is four finite numbers."""
    return isinstance(value, tuple) and len(value) == 4 and all(map(is_number, value))


def is_photo(value: object) -> bool:
    """Whether it is RGB bytes [H, W, 3]."""
    return (
        isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3 and value.size > 0
    )


def is_maps(value: object, dimensions: int) -> bool:
    """Whether it is an array of floats with so many dimensions."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim == dimensions


def check_facts(record: object, preprocessing: object, *paths: object) -> None:
    """Raise InputError for a record, preprocessing or paths that are none."""
    texts = isinstance(record, Mapping) and all(isinstance(text, str) for item in record.items() for text in item)
    hold("the record", texts)
    hold("the preprocessing", isinstance(preprocessing, Mapping))
    hold("a path", all(path is None or isinstance(path, Path) for path in paths))
