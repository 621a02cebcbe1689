"""The files of pictures and maps, and their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openvino_xai.render.overlay import Style
from openvino_xai.render.photo import write_array, write_picture

MAP = ".npy"  # the suffix of a map's file
LABEL = 120  # bytes of a label in a file's name


def endings_of(ending: str, style: Style) -> list[str]:
    """What a name gets behind it for the files of a picture, where the style has one, and of its map."""
    return [f"{ending}{suffix}" for suffix in (*style.suffixes, MAP)]


def written(folder: Path, name: str, draw: Callable[[], np.ndarray], saliency: np.ndarray, style: Style) -> dict[str, str]:
    """The paths of a picture, which is drawn where the style has one, and a map, written."""
    paths = {}
    for suffix in style.suffixes:
        paths["overlay"] = str(folder / f"{name}{suffix}")
        write_picture(folder / f"{name}{suffix}", draw())
    array = folder / f"{name}{MAP}"
    write_array(array, saliency)
    return {**paths, "map": str(array)}


def safe(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", label).strip("_")[:60].encode()[:LABEL].decode(errors="ignore") or "class"
