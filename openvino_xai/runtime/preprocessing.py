"""From a photo to a model's input, and where in the photo that input lies.

The names and their meaning are those of OpenVINO's tools and of its Model API, which reads them from `model_info`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.render.overlay import Box

Resize: TypeAlias = Literal["standard", "fit_to_window", "fit_to_window_letterbox", "crop"]
Layout: TypeAlias = Literal["NCHW", "NHWC"]

TRUE, FALSE = ("yes", "true", "1"), ("no", "false", "0", "")


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes an input: resized, its channels ordered, `(x - mean) / scale`, laid out.

    As in OpenVINO's tools a photo is BGR unless `reverse_input_channels`, which feeds RGB; means and scales are in the
    order that the model sees. `resize_type`: `standard` stretches, `crop` cuts the centre out, `fit_to_window` pads at the
    right and below, `fit_to_window_letterbox` pads around.
    """

    size: tuple[int, int]  # height, width
    layout: Layout = "NCHW"
    dtype: str = "float32"
    channels: int = 3
    mean_values: tuple[float, ...] = (0.0,)
    scale_values: tuple[float, ...] = (1.0,)
    reverse_input_channels: bool = False
    resize_type: Resize = "standard"

    def updated(self, values: Mapping[str, str]) -> Preprocessing:
        """With text values, from `model_info` or the command line, in place of these. Raises InputError."""
        changed = self
        if values.get("mean_values"):
            changed = replace(changed, mean_values=_numbers("mean_values", values["mean_values"], (1, self.channels)))
        if values.get("scale_values"):
            changed = replace(changed, scale_values=_numbers("scale_values", values["scale_values"], (1, self.channels)))
        if "reverse_input_channels" in values:
            told = values["reverse_input_channels"].lower()
            if told not in (*TRUE, *FALSE):
                raise InputError(f"reverse_input_channels is '{told}'; yes or no is expected")
            changed = replace(changed, reverse_input_channels=told in TRUE)
        if values.get("resize_type"):
            told = _one_of("resize_type", values["resize_type"], get_args(Resize))
            changed = replace(changed, resize_type=cast(Resize, told))
        if values.get("layout"):
            told = re.sub(r"[^A-Z]", "", values["layout"].rpartition(":")[2].upper())
            changed = replace(changed, layout=cast(Layout, _one_of("layout", told, get_args(Layout))))
        if values.get("input_size"):
            height, width = (int(item) for item in _numbers("input_size", values["input_size"].replace("x", ","), (2,)))
            changed = replace(changed, size=(height, width))
        return changed

    def box(self, photo: tuple[int, int]) -> Box:
        """(x0, y0, x1, y1) in the photo's pixels: what the input shows; beyond the photo where it is padded."""
        (height, width), (photo_height, photo_width) = self.size, photo
        if self.resize_type == "standard":
            return 0.0, 0.0, float(photo_width), float(photo_height)
        ratios = photo_width / width, photo_height / height
        pixel = min(ratios) if self.resize_type == "crop" else max(ratios)  # photo pixels for one of the input's
        shown_width, shown_height = width * pixel, height * pixel
        x0 = y0 = 0.0
        if self.resize_type != "fit_to_window":
            x0, y0 = (photo_width - shown_width) / 2, (photo_height - shown_height) / 2
        return x0, y0, x0 + shown_width, y0 + shown_height

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The input for a photo [H, W, 3], RGB bytes: [1, C, H, W] or [1, H, W, C]."""
        height, width = self.size
        x0, y0, x1, y1 = self.box(photo.shape[:2])
        left, top = round(max(x0, 0)), round(max(y0, 0))
        right, bottom = round(min(x1, photo.shape[1])), round(min(y1, photo.shape[0]))
        shown = photo[top:bottom, left:right]
        scale = width / (x1 - x0), height / (y1 - y0)
        inside = max(round(shown.shape[1] * scale[0]), 1), max(round(shown.shape[0] * scale[1]), 1)
        smaller = inside[0] < shown.shape[1]
        resized = cv2.resize(shown, inside, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        canvas = np.zeros((height, width, 3), np.uint8)
        at = round((left - x0) * scale[0]), round((top - y0) * scale[1])
        resized = resized[: height - at[1], : width - at[0]]
        canvas[at[1] : at[1] + resized.shape[0], at[0] : at[0] + resized.shape[1]] = resized
        ordered = canvas if self.reverse_input_channels else canvas[..., ::-1]
        if self.channels == 1:
            ordered = cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY)[..., None]
        scaled = (ordered - np.array(self.mean_values, np.float32)) / np.array(self.scale_values, np.float32)
        laid = scaled.transpose(2, 0, 1) if self.layout == "NCHW" else scaled
        return np.ascontiguousarray(laid[None]).astype(self.dtype)


def _numbers(name: str, told: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(item) for item in re.split(r"[\s,]+", told.strip("[]() \t")))
    except ValueError:
        numbers = ()
    if len(numbers) not in counts or (name == "scale_values" and 0 in numbers):
        expected = " or ".join(map(str, counts))
        raise InputError(f"{name} is '{told}'; {expected} numbers with commas between are expected, and no scale of 0")
    return numbers


def _one_of(name: str, told: str, known: tuple[str, ...]) -> str:
    if told not in known:
        raise InputError(f"{name} is '{told}'; one of {', '.join(known)} is expected")
    return told
