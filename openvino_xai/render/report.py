"""Explanations of many images as one page that needs nothing else: photos, maps, and what the wrong ones have in common."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.reading import read_regular
from openvino_xai.files.writing import written_whole
from openvino_xai.json_text import to_json
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.overlay import Style, colour, stretch
from openvino_xai.render.photo import read_photo

SIDE = 360  # pixels of the longer side of a photo
QUALITY = 80  # of its JPEG
CELLS = 56  # rows and columns of a map at most
THREADS = 2
LARGEST = 2**30  # bytes of a map's file
ANEW = "explain the image again, which makes it anew"


def write_report(path: Path, lines: Sequence[Mapping[str, Any]], *, title: str, style: Style) -> list[ImageError]:
    """Write a page for lines of `explanations.jsonl`, whole or not at all; what is wrong with the images that it does not show.

    Raises ImageError where it would show none.
    """
    folder = os.path.commonpath([Path(line["image"]).absolute().parent for line in lines])
    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(lambda line: _image(line, folder), lines))
    failures = [outcome for outcome in outcomes if isinstance(outcome, ImageError)]
    images = [outcome for outcome in outcomes if not isinstance(outcome, ImageError)]
    if not images:
        raise failures[0]
    hook = lines[0]["hook"]
    content = {
        "title": title,
        "how": ", ".join(f"{key} {hook[key]}" for key in ("method", "layer", "score", "precision") if key in hook),
        "opacity": style.opacity,
        "colormap": _text(colour(np.arange(256) / 255, style.colormap)),
        "images": images,
    }
    page = files("openvino_xai.render").joinpath("report.html").read_text(encoding="utf-8")
    data = to_json(content).replace("<", "\\u003c")  # no label ends the script
    with written_whole(path) as temporary:
        temporary.write_text(page.replace("@DATA@", data), encoding="utf-8")
    return failures


def _image(line: Mapping[str, Any], folder: str) -> dict[str, Any] | ImageError:
    try:
        with blamed_on(Path(line["image"])):
            return _image_data(line, folder)
    except ImageError as error:
        return error


def _image_data(line: Mapping[str, Any], folder: str) -> dict[str, Any]:
    photo = read_photo(Path(line["image"]))
    height, width = photo.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    x0, y0, x1, y1 = line["box"]
    label = line.get("label")
    return {
        "name": os.path.relpath(line["image"], folder),
        "photo": "data:image/jpeg;base64," + _text(jpeg),
        "size": size,
        "box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        "predictions": line["predictions"],
        "label": None if label is None else label["id"],
        "labelled": None if label is None else label["label"],
        "correct": None if label is None else label["id"] == line["predictions"][0]["id"],
        "targets": [_target(target) for target in line["targets"]],
    }


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    saliency = stretch(_map(Path(target["map"])))
    if max(saliency.shape) > CELLS:
        saliency = cv2.resize(saliency, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    values = np.round(saliency * 255).astype(np.uint8)
    shown = {name: target[name] for name in ("id", "label", "probability")}
    return {**shown, "map": {"cells": list(saliency.shape), "values": _text(values)}}


def _map(path: Path) -> np.ndarray:
    """A map [h, w] as it was written. Raises ImageError for what is none."""
    try:
        saliency = np.load(io.BytesIO(read_regular(path, most=LARGEST)), allow_pickle=False)
    except (InputError, ValueError, EOFError) as error:
        raise ImageError(f"the map {path} is none any more: {error}; {ANEW}", options=("again",)) from error
    if saliency.ndim != 2 or saliency.dtype.kind != "f" or not saliency.size or not np.isfinite(saliency).all():
        raise ImageError(
            f"the map {path} is none any more: it holds {saliency.dtype} {list(saliency.shape)}; {ANEW}", options=("again",)
        )
    return np.asarray(saliency)


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
