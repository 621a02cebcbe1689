"""From a photo to a model's input, and where in the photo that input lies.

The names and their meaning are those of OpenVINO's tools and of its Model API, which reads them from `model_info`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

import cv2
import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.render.overlay import Box
from openvino_xai.runtime.images import as_type

Resize: TypeAlias = Literal["standard", "fit_to_window", "fit_to_window_letterbox", "crop"]
Layout: TypeAlias = Literal["NCHW", "NHWC"]

SMALLEST, LARGEST = 1e-6, 1e6  # scales, and means: what is beyond is a slip, and would be no number in the model's type
LONGEST = 8192  # side of an input, in pixels
TRUE, FALSE = ("yes", "true", "1"), ("no", "false", "0", "")
NAMES = ("mean_values", "scale_values", "reverse_input_channels", "resize_type", "pad_value", "layout", "input_size")
MODEL_INFO = "the model's model_info"  # a source of values
RESIZED: dict[Resize, str] = {
    "standard": "stretched",
    "crop": "its centre cropped",
    "fit_to_window": "padded at the right and below",
    "fit_to_window_letterbox": "padded around",
}


class Placed(NamedTuple):
    """Along one side, `length` pixels of the photo from `start` on, which fill `filled` of the input's `size` from `at` on."""

    start: int
    length: int
    at: int
    filled: int
    size: int

    @property
    def shown(self) -> slice:
        """Of the photo."""
        return slice(self.start, self.start + self.length)

    @property
    def inside(self) -> slice:
        """Of the input."""
        return slice(self.at, self.at + self.filled)

    @property
    def edges(self) -> tuple[float, float]:
        """Where the input begins and ends, in the photo's pixels."""
        begin, end = self.on_photo(np.array([0, self.size]))
        return float(begin), float(end)

    def on_photo(self, places: np.ndarray) -> np.ndarray:
        """Places along the input, in its pixels, in the photo's pixels; f64."""
        return np.asarray(self.start + (places - self.at) * self.length / self.filled, np.float64)


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes an input: resized, its channels ordered, `(x - mean) / scale`, laid out.

    As in OpenVINO's tools a photo is BGR unless `reverse_input_channels`, which feeds RGB; means and scales are in the
    order that the model sees. `resize_type`: `standard` stretches, `crop` cuts the centre out, `fit_to_window` pads at the
    right and below, `fit_to_window_letterbox` pads around, both with pixels of `pad_value`. `sources` tell who says so, by the
    names of `model_info`; what has no source there is as it is because nobody says anything.
    """

    size: tuple[int, int]  # height, width
    layout: Layout = "NCHW"
    dtype: str = "float32"
    channels: int = 3
    mean_values: tuple[float, ...] = (0.0,)
    scale_values: tuple[float, ...] = (1.0,)
    reverse_input_channels: bool = False
    resize_type: Resize = "standard"
    pad_value: int = 0
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def summary(self) -> str:
        """What is fed, in a few words: `RGB, -1..1, its centre cropped to 224x224`."""
        colours = "RGB" if self.reverse_input_channels else "BGR"
        order = {1: "grey", 3: colours}.get(self.channels, f"{self.channels} channels")
        height, width = self.size
        return f"{order}, {self._range()}, {RESIZED[self.resize_type]} to {height}x{width}"

    def _range(self) -> str:
        """The least and the greatest value that is fed, and the numbers behind it where channels differ."""
        low, high = self.range
        shown = f"{low:.4g}..{high:.4g}"
        if len(set(self.mean_values)) == len(set(self.scale_values)) == 1:
            return shown
        means, scales = (", ".join(f"{number:g}" for number in numbers) for numbers in (self.mean_values, self.scale_values))
        return f"{shown} (less {means}, over {scales})"

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value that pixels of 0..255 become."""
        means, scales = np.array(self.mean_values), np.array(self.scale_values)
        ends = np.stack([(np.zeros(1) - means) / scales, (np.full(1, 255) - means) / scales])
        return float(ends.min()), float(ends.max())

    @property
    def unsaid(self) -> tuple[str, ...]:
        """Which of the `values`, the `order of channels` and the `resize` nobody tells.

        A model whose `model_info` has one of the first two means the rest to be as OpenVINO's Model API has it by default.
        """
        named = {name for name, source in self.sources.items() if source == MODEL_INFO}
        if named & {"mean_values", "scale_values", "reverse_input_channels"}:
            return ()
        parts = {"values": {"mean_values", "scale_values"}}
        if self.channels != 1:
            parts["order of channels"] = {"reverse_input_channels"}
        parts["resize"] = {"resize_type"}
        return tuple(part for part, names in parts.items() if not names & self.sources.keys())

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: by the names of `model_info`, with a summary, and the source of each that something tells."""
        values = {name: getattr(self, "size" if name == "input_size" else name) for name in NAMES}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"fed": self.summary, **plain, "sources": dict(self.sources)}

    def to_info(self) -> dict[str, str]:
        """As `model_info` holds it, so that OpenVINO's Model API feeds the same: a number for each channel."""
        numbers = {}
        for name, values in (("mean_values", self.mean_values), ("scale_values", self.scale_values)):
            of_channels = values * self.channels if len(values) == 1 else values
            numbers[name] = " ".join(f"{number:.9g}" for number in of_channels)
        return {
            **numbers,
            "reverse_input_channels": "True" if self.reverse_input_channels else "False",
            "resize_type": self.resize_type,
            "pad_value": str(self.pad_value),
        }

    def updated(self, values: Mapping[str, object], *, source: str = "the options") -> Preprocessing:
        """With values, as text or what Python prints as such, in place of these; names that are not known are passed over.

        `source` is where they come from: `model_info`, or the command line. Raises InputError for a value that makes no sense.
        """
        texts = {name: str(value).strip() for name, value in values.items() if value is not None}
        changed = self
        counts = (1, self.channels)
        if texts.get("mean_values"):
            means = _numbers("mean_values", texts["mean_values"], source, counts=counts, least=0)
            changed = replace(changed, mean_values=means)
        if texts.get("scale_values"):
            scales = _numbers("scale_values", texts["scale_values"], source, counts=counts, least=SMALLEST)
            changed = replace(changed, scale_values=scales)
        if "reverse_input_channels" in texts:
            reverse = is_true("reverse_input_channels", texts["reverse_input_channels"], source)
            changed = replace(changed, reverse_input_channels=reverse)
        if texts.get("resize_type"):
            kind = _one_of("resize_type", texts["resize_type"], source, get_args(Resize))
            changed = replace(changed, resize_type=cast(Resize, kind))
        if texts.get("pad_value"):
            changed = replace(changed, pad_value=_level(texts["pad_value"], source))
        if texts.get("layout"):
            letters = re.sub(r"[^A-Z]", "", texts["layout"].rpartition(":")[2].upper())
            changed = replace(changed, layout=cast(Layout, _one_of("layout", letters, source, get_args(Layout))))
        if texts.get("input_size"):
            changed = replace(changed, size=_sides(texts["input_size"], source))
        said = {name: source for name in NAMES if texts.get(name)}
        return replace(changed, sources={**self.sources, **said}) if said else changed

    def box(self, photo: tuple[int, int]) -> Box:
        """(x0, y0, x1, y1) in the photo's pixels: what the input shows; beyond the photo where it is padded.

        `photo` is (height, width). The input shows exactly this: crops and paddings are whole pixels, and what rounding does to
        the ratio of the sides is in the box.
        """
        rows, columns = self._placements(photo)
        (y0, y1), (x0, x1) = rows.edges, columns.edges
        return x0, y0, x1, y1

    def boxes(self, boxes: np.ndarray, photo: tuple[int, int]) -> np.ndarray:
        """[D, 4], f64: boxes x0 y0 x1 y1 of the input's pixels, in those of a photo (height, width), cut off at its edges."""
        rows, columns = self._placements(photo)
        height, width = photo
        x, y = columns.on_photo(boxes[:, 0::2]).clip(0, width), rows.on_photo(boxes[:, 1::2]).clip(0, height)
        return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)

    def pixels(self, photo: np.ndarray) -> np.ndarray:
        """[h, w, 3], RGB bytes: a photo [H, W, 3] at the input's size, ahead of all arithmetic."""
        rows, columns = self._placements((photo.shape[0], photo.shape[1]))
        canvas = np.full((*self.size, 3), self.pad_value, np.uint8)
        canvas[rows.inside, columns.inside] = _resized(photo[rows.shown, columns.shown], (rows.filled, columns.filled))
        return canvas

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The input for a photo [H, W, 3], RGB bytes: [1, C, H, W] or [1, H, W, C]; integers are rounded to what there is.

        Raises InputError for an input that has neither one channel nor three.
        """
        if self.channels not in (1, 3):
            raise InputError(
                f"the model's input has {self.channels} channels; a photo fills 3, or 1 with its grey values: from Python, a "
                "network is called with arrays of any number"
            )
        canvas = self.pixels(photo)
        ordered = canvas if self.reverse_input_channels else canvas[..., ::-1]
        if self.channels == 1:
            ordered = cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY)[..., None]
        axes = ((2, 0, 1), (-1, 1, 1)) if self.layout == "NCHW" else ((0, 1, 2), (-1,))
        laid = np.ascontiguousarray(ordered.transpose(axes[0]))  # arithmetic along planes takes a third of the time
        means, scales = (np.array(values, np.float32).reshape(axes[1]) for values in (self.mean_values, self.scale_values))
        return as_type(((laid - means) / scales)[None], np.dtype(self.dtype))

    def _placements(self, photo: tuple[int, int]) -> tuple[Placed, Placed]:
        """Where rows and columns of a photo (height, width) go. Sides and offsets are rounded as OpenVINO's Model API does."""
        (height, width), (tall, wide) = self.size, photo
        shown, filled = (tall, wide), (height, width)
        if self.resize_type == "crop":
            shown = min(tall, max(1, wide * height // width)), min(wide, max(1, tall * width // height))
        elif self.resize_type != "standard":
            filled = min(height, max(1, round(tall * width / wide))), min(width, max(1, round(wide * height / tall)))
        around = self.resize_type != "fit_to_window"
        rows, columns = (
            Placed((length - part) // 2, part, (size - pixels) // 2 if around else 0, pixels, size)
            for length, part, pixels, size in zip(photo, shown, filled, self.size, strict=True)
        )
        return rows, columns


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels [H, W, 3] at another size (height, width): averaged along a side that shrinks, linear along one that grows.

    One after the other, because OpenCV averages only where both sides shrink.
    """
    shrunk = min(size[0], pixels.shape[0]), min(size[1], pixels.shape[1])
    if shrunk != pixels.shape[:2]:
        pixels = cv2.resize(pixels, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != size:
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(pixels)


def is_true(name: str, value: object, source: str) -> bool:
    """Whether a text means yes. Raises InputError for what is neither yes nor no."""
    return _one_of(name, str(value).strip().lower(), source, (*TRUE, *FALSE)) in TRUE


def _numbers(name: str, text: str, source: str, *, counts: tuple[int, ...], least: float) -> tuple[float, ...]:
    try:
        numbers = tuple(float(item) for item in re.split(r"[\s,]+", text.strip("[](), \t")))
    except ValueError:
        numbers = ()
    if len(numbers) not in counts or not all(least <= abs(number) <= LARGEST for number in numbers):  # NaN is neither
        expected = " or ".join(map(str, dict.fromkeys(counts)))
        bounds = f"of at most {LARGEST:g}" if not least else f"from {least:g} to {LARGEST:g} without the sign: no scale of 0"
        raise InputError(f"{name} is '{text}' in {source}; {expected} numbers with commas between are expected, {bounds}")
    return numbers


def _sides(text: str, source: str) -> tuple[int, int]:
    match = re.fullmatch(r"[\[(]?\s*(\d{1,9})\s*[x,\s]\s*(\d{1,9})\s*[\])]?", text, re.ASCII)
    height, width = (int(side) for side in match.groups()) if match else (0, 0)
    if not (1 <= height <= LONGEST and 1 <= width <= LONGEST):
        raise InputError(f"input_size is '{text}' in {source}; HxW is expected, two whole numbers from 1 to {LONGEST}")
    return height, width


def _level(text: str, source: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) > 255:
        raise InputError(f"pad_value is '{text}' in {source}; a whole number from 0 to 255 is expected")
    return int(text)


def _one_of(name: str, text: str, source: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise InputError(f"{name} is '{text}' in {source}; one of {', '.join(filter(None, words))} is expected")
    return text
