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
from openvino_xai.render.boxes import colour_of
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
    hook, fed = lines[0]["hook"], lines[0].get("preprocessing", {}).get("fed")
    how = [f"{key} {hook[key]}" for key in ("method", "layer", "score", "precision") if key in hook]
    content = {
        "title": title,
        "how": ", ".join([*how, f"fed {fed}"] if fed else how),
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
        "box": _shares((x0, y0, x1, y1), width, height),
        "label": None if label is None else label["id"],
        "labelled": None if label is None else label["label"],
        **(_boxes(line, width, height) if "boxes" in line else _classes(line)),
    }


def _classes(line: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of an image whose classes are explained."""
    label = line.get("label")
    shown = [{name: target[name] for name in ("id", "label", "probability")} for target in line["targets"]]
    maps = [_map(Path(target["map"]), rank=2) for target in line["targets"]]
    return {
        "predictions": line["predictions"],
        "correct": None if label is None else label["id"] in line.get("answers", [line["predictions"][0]["id"]]),
        "targets": [{**target, "map": _cells(saliency)} for target, saliency in zip(shown, maps, strict=True)],
    }


def _boxes(line: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    """What is shown of an image whose boxes are explained: each is a prediction and a target."""
    path, boxes = Path(line["map"]), line["boxes"]
    maps = _map(path, rank=3) if boxes else np.zeros((0, 1, 1), np.float32)
    if len(maps) != len(boxes):
        raise ImageError(
            f"the file {path} holds maps of {len(maps)} boxes, and there are {len(boxes)}; {ANEW}", options=("again",)
        )
    shown = [{"id": box["id"], "label": box["label"], "probability": box["score"]} for box in boxes]
    colours = ["#" + bytes(colour_of(index)).hex() for index in range(len(boxes))]
    targets = [
        {**target, "map": _cells(saliency), "place": _shares(box["box"], width, height), "colour": colour}
        for target, saliency, box, colour in zip(shown, maps, boxes, colours, strict=True)
    ]
    return {"predictions": shown, "correct": None, "targets": targets, "boxes": True}


def _shares(box: Sequence[float], width: int, height: int) -> list[float]:
    """Left, top, width and height of a box, as shares of a photo's sides."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def _cells(saliency: np.ndarray) -> dict[str, Any]:
    """A map [h, w], scaled, with few enough cells."""
    saliency = stretch(saliency)
    if max(saliency.shape) > CELLS:
        saliency = cv2.resize(saliency, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    values = np.round(saliency * 255).astype(np.uint8)
    return {"cells": list(saliency.shape), "values": _text(values)}


def _map(path: Path, *, rank: int) -> np.ndarray:
    """A map [h, w], or maps [D, h, w], as written. Raises ImageError for what is none."""
    try:
        saliency = np.load(io.BytesIO(read_regular(path, most=LARGEST)), allow_pickle=False)
    except (InputError, ValueError, EOFError) as error:
        raise ImageError(f"the map {path} is none any more: {error}; {ANEW}", options=("again",)) from error
    if saliency.ndim != rank or saliency.dtype.kind != "f" or not saliency.size or not np.isfinite(saliency).all():
        raise ImageError(
            f"the map {path} is none any more: it holds {saliency.dtype} {list(saliency.shape)}; {ANEW}", options=("again",)
        )
    return np.asarray(saliency)


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
