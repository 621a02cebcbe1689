"""An explanation as the page shows it: small maps of bytes, boxes as shares of the photo, and what the network was fed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.explanation import Explanation, Match
from openvino_xai.render.boxes import colour_of
from openvino_xai.render.overlay import colour, stretch
from openvino_xai.runtime.inputs.doubts import doubts_of
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.segmentation import SegmentationExplanation

CELLS = 112  # rows and columns of a map at most
REGION = 192  # rows and columns of a region at most
QUALITY = 92  # of a JPEG
LONGEST = 1600  # pixels of the longer side of a photo that the browser does not show itself
RGB, BGR = ("red", "green", "blue"), ("blue", "green", "red")


def colours(colormap: str) -> str:
    """The 256 colours of a map, three bytes each, in base64."""
    return _text(colour(np.arange(256) / 255, colormap))


def shown(explanation: Explanation | Match) -> dict[str, Any]:
    """An explanation as JSON: predictions, and targets with their maps; of boxes and regions, where they are."""
    if isinstance(explanation, Match):
        return _match(explanation)
    height, width = explanation.image.shape[:2]
    kind = "classes"
    targets = [
        {**_prediction(target), "map": _cells(saliency)}
        for target, saliency in zip(explanation.targets, explanation.maps, strict=True)
    ]
    if isinstance(explanation, DetectionExplanation):
        kind = "boxes"
        for index, (entry, target) in enumerate(zip(targets, explanation.targets, strict=True)):
            entry |= {"place": _shares(target.box, width, height), "colour": "#" + bytes(colour_of(index)).hex()}
    elif isinstance(explanation, SegmentationExplanation):
        kind = "regions"
        for entry, region in zip(targets, explanation.regions, strict=True):
            entry["region"] = _pixels(region)
    return {
        "kind": kind,
        "size": [width, height],
        "box": _shares(explanation.box, width, height),
        "predictions": [_prediction(prediction) for prediction in explanation.predictions],
        "answers": None if explanation.answers is None else list(explanation.answers),
        "targets": targets,
        "hook": _hook(explanation.record),
    }


def _match(match: Match) -> dict[str, Any]:
    """Two photos explained to each other, as JSON: the similarity as of one class, and the map over the other photo."""
    (height, width), (tall, wide) = (photo.shape[:2] for photo in match.images)
    name = "" if match.against is None else match.against.name
    entry = {"id": 0, "label": f"{match.measure} to {name}", "probability": match.similarity}
    return {
        "kind": "vector",
        "size": [width, height],
        "box": _shares(match.boxes[0], width, height),
        "predictions": [entry],
        "answers": None,
        "targets": [{**entry, "map": _cells(match.maps[0])}],
        "other": {"map": _cells(match.maps[1]), "box": _shares(match.boxes[1], wide, tall)},
        "hook": _hook(match.record),
    }


def _hook(record: Mapping[str, str]) -> dict[str, str]:
    return {name: record[name] for name in ("method", "layer", "score") if name in record}


def fed(preprocessing: Preprocessing, photo: np.ndarray) -> dict[str, Any]:
    """The network's own input: its pixels as a picture, what its channels hold, and in words.

    The picture has the colours of the photo, as it is ahead of all arithmetic; a channel is named by the colour that is in it.
    """
    pixels = preprocessing.pixels(photo)
    planes = cv2.split(pixels)[:: 1 if preprocessing.reverse_input_channels else -1]
    names: tuple[str, ...] = RGB if preprocessing.reverse_input_channels else BGR
    if preprocessing.channels == 1:
        planes, names = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY),), ("grey",)
        pixels = cv2.merge(planes * 3)
    means, scales = (np.resize(numbers, len(names)) for numbers in (preprocessing.mean_values, preprocessing.scale_values))
    levels = np.array([[plane.min(), cv2.mean(plane)[0], plane.max()] for plane in planes], np.float64).T
    values = (levels - means) / scales
    return {
        "words": preprocessing.summary,
        "picture": _text(_jpeg(pixels)),
        "size": list(preprocessing.size[::-1]),
        "channels": [
            {"name": name, "least": float(least), "mean": float(mean), "greatest": float(greatest)}
            for name, (least, mean, greatest) in zip(names, np.sort(values, axis=0).T, strict=True)
        ],
        "order": "grey" if preprocessing.channels == 1 else "RGB" if preprocessing.reverse_input_channels else "BGR",
        "resize_type": preprocessing.resize_type,
        "doubts": [str(doubt) for doubt in doubts_of(preprocessing)],
    }


def picture(photo: np.ndarray) -> bytes:
    """A photo as a JPEG that any browser shows, not larger than a screen."""
    height, width = photo.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _jpeg(cv2.resize(photo, size, interpolation=cv2.INTER_AREA)).tobytes()


def _jpeg(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _prediction(prediction: Any) -> dict[str, Any]:
    entry = {"id": prediction.id, "label": prediction.label, "probability": prediction.probability}
    return entry | {"row": prediction.index} if isinstance(prediction, Detection) else entry


def _shares(box: Sequence[float], width: int, height: int) -> list[float]:
    """Left, top, width and height of a box, as shares of a photo's sides."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def _cells(saliency: np.ndarray) -> dict[str, Any]:
    """A map [h, w], scaled to bytes, with few enough cells."""
    saliency = stretch(saliency)
    if max(saliency.shape) > CELLS:
        size = tuple(min(side, CELLS) for side in saliency.shape[::-1])
        saliency = cv2.resize(saliency, size, interpolation=cv2.INTER_AREA)
    return {"cells": list(saliency.shape), "values": _text(np.round(saliency * 255).astype(np.uint8))}


def _pixels(region: np.ndarray) -> dict[str, Any]:
    """A region [h, w] of bytes 0 and 1, with few enough of them."""
    size = [min(side, REGION) for side in region.shape[::-1]]
    few = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return {"cells": list(few.shape), "values": _text(few)}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
