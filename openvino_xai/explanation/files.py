"""The files of pictures and maps, and their names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from openvino_xai.render.photo import write_array, write_picture

SUFFIXES = (".png", ".npy")  # of the files of a target
LABEL = 120  # bytes of a label in a file's name


def written(folder: Path, name: str, picture: np.ndarray, saliency: np.ndarray) -> dict[str, str]:
    """The paths of a picture and a map, written."""
    overlay, array = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    write_picture(overlay, picture)
    write_array(array, saliency)
    return {"overlay": str(overlay), "map": str(array)}


def safe(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", label).strip("_")[:60].encode()[:LABEL].decode(errors="ignore") or "class"
