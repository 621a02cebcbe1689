"""What a report holds of one image: facts as JSON, and its pictures as base64."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np

from openvino_xai.contract import cells_shown
from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.reading import read_regular
from openvino_xai.render.boxes import colour_of
from openvino_xai.render.overlay import Box, stretch
from openvino_xai.render.photo import read_photo
from openvino_xai.render.suspicion import suspicions

QUALITY = 80  # of a photo's JPEG
LARGEST = 2**30  # bytes of a map's file
ONE_AT_A_TIME = Lock()  # NumPy reads a header by `ast`, which two threads must not in CPython before 3.11.5
ANEW = "explain the image again, which makes it anew"


class Fineness(NamedTuple):
    """Pixels of the longer side of a photo, and rows and columns of a map, at most."""

    side: int
    cells: int


FINENESS = {100: Fineness(640, 56), 1000: Fineness(360, 56)}  # of pages with so many images at most
COARSE = Fineness(240, 28)  # of others: a page of 5000 photos has some 50 MB


def fineness_for(count: int) -> Fineness:
    """How fine the pictures of so many images are, so that a page can still be opened and sent."""
    return next((fineness for most, fineness in FINENESS.items() if count <= most), COARSE)


@dataclass(frozen=True)
class ReportImage:
    """`facts` as JSON holds them; `pictures` in base64, the photo (JPEG) and the map of each target (bytes, row by row).

    `best` is the map [h, w] of the class that the image is taken for, where that is explained.
    """

    facts: dict[str, Any]
    pictures: list[str]
    best: np.ndarray | None


class _Frame(NamedTuple):
    """A photo's width and height, and what the model saw of it, in its pixels."""

    width: int
    height: int
    box: Box

    def shares(self, box: Sequence[float]) -> list[float]:
        """Left, top, width and height of a box, as shares of the photo's sides."""
        x0, y0, x1, y1 = box
        return [x0 / self.width, y0 / self.height, (x1 - x0) / self.width, (y1 - y0) / self.height]

    def in_map(self, box: Sequence[float]) -> Box:
        """A box in pixels of the photo, in shares of what the model saw."""
        left, top, right, bottom = self.box
        x0, y0, x1, y1 = box
        wide, tall = right - left, bottom - top
        return (x0 - left) / wide, (y0 - top) / tall, (x1 - left) / wide, (y1 - top) / tall


def report_image(line: Mapping[str, Any], folder: str, fineness: Fineness) -> ReportImage:
    """What is shown of a line of `explanations.jsonl`; the image is named as seen from a folder. Raises ImageError."""
    photo = read_photo(Path(line["image"]))
    height, width = photo.shape[:2]
    frame = _Frame(width, height, tuple(line["box"]))
    targets, maps = _boxes(line, frame) if "boxes" in line else _classes(line)
    cells = [_cells(saliency, fineness.cells) for saliency in maps]
    small, jpeg = _jpeg(photo, fineness.side)
    boxes = [frame.in_map(box["box"]) for box in line["boxes"]] if "boxes" in line else None
    facts = {
        "name": os.path.relpath(line["image"], folder),
        "size": small,
        "pixels": [width, height],
        "box": frame.shares(frame.box),
        "cells": list(cells[0].shape) if cells else [1, 1],
        "targets": [
            {**target, "range": [float(saliency.min()), float(saliency.max())]}
            for target, saliency in zip(targets, maps, strict=True)
        ],
        "suspicions": [
            asdict(doubt)
            for doubt in suspicions(maps, frame.in_map((0, 0, width, height)), boxes=boxes, shown=_shown(line, maps))
        ],
        **_answer(line, targets),
    }
    best = facts["predictions"][0]["id"] if facts["predictions"] else None
    index = next((index for index, target in enumerate(targets) if target["id"] == best), None)
    return ReportImage(
        facts, [_text(jpeg), *map(_text, cells)], None if index is None or boxes is not None else np.asarray(maps[index])
    )


def _shown(line: Mapping[str, Any], maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The cells that maps [h, w] show, by what the line tells of the hook."""
    return [cells_shown(line.get("hook", {}), saliency) for saliency in maps]


def _answer(line: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was predicted, and whether that is right where it is known: each box is a prediction and a target."""
    label = line.get("label")
    truth = {"label": None, "labelled": None} if label is None else {"label": label["id"], "labelled": label["label"]}
    if "boxes" in line:
        predictions = [{name: target[name] for name in ("id", "label", "probability")} for target in targets]
        return {"predictions": predictions, "correct": None, "boxes": True, **truth}
    correct = None if label is None else label["id"] in line.get("answers", [line["predictions"][0]["id"]])
    return {"predictions": line["predictions"], "correct": correct, **truth}


def _classes(line: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """The classes that are explained, and their maps; a contrast has both ids, so that it is no class that is predicted."""
    targets = [{name: target[name] for name in ("id", "label", "probability")} for target in line["targets"]]
    for target, contrast in zip(targets, line["targets"], strict=True):
        if "other" in contrast:
            target["id"] = f"{contrast['id']}-{contrast['other']['id']}"
    return targets, [_map(Path(target["map"]), rank=2) for target in line["targets"]]


def _boxes(line: Mapping[str, Any], frame: _Frame) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """The boxes that are explained, and their maps."""
    path, boxes = Path(line["map"]), line["boxes"]
    maps = list(_map(path, rank=3)) if boxes else []
    if len(maps) != len(boxes):
        raise ImageError(
            f"the file {path} holds maps of {len(maps)} boxes, and there are {len(boxes)}; {ANEW}", options=("again",)
        )
    targets = [
        {
            "id": box["id"],
            "label": box["label"],
            "probability": box["score"],
            "place": frame.shares(box["box"]),
            "colour": "#" + bytes(colour_of(index)).hex(),
        }
        for index, box in enumerate(boxes)
    ]
    return targets, maps


def _jpeg(photo: np.ndarray, side: int) -> tuple[list[int], np.ndarray]:
    """Width and height of a photo that is made small, and its JPEG."""
    height, width = photo.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = [max(1, round(width * scale)), max(1, round(height * scale))]
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return size, cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]


def _cells(saliency: np.ndarray, most: int) -> np.ndarray:
    """A map [h, w], scaled to bytes, with few enough cells."""
    saliency = stretch(saliency)
    if max(saliency.shape) > most:
        saliency = cv2.resize(saliency, (most, most), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(saliency * 255).astype(np.uint8))


def _map(path: Path, *, rank: int) -> np.ndarray:
    """A map [h, w], or maps [D, h, w], as written. Raises ImageError for what is none."""
    try:
        data = io.BytesIO(read_regular(path, most=LARGEST))
        with ONE_AT_A_TIME:
            saliency = np.load(data, allow_pickle=False)
    except (InputError, ValueError, EOFError) as error:
        raise ImageError(f"the map {path} is none any more: {error}; {ANEW}", options=("again",)) from error
    if saliency.ndim != rank or saliency.dtype.kind != "f" or not saliency.size or not np.isfinite(saliency).all():
        raise ImageError(
            f"the map {path} is none any more: it holds {saliency.dtype} {list(saliency.shape)}; {ANEW}", options=("again",)
        )
    return np.asarray(saliency)


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
