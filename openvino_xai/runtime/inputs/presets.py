"""Preprocessing that many models share, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from openvino_xai.choices import check_choice, quoted
from openvino_xai.errors import InputError
from openvino_xai.runtime.preprocessing import NAMES, Preprocessing, Resize, is_true
from openvino_xai.words import Preset as PresetWord

PresetName: TypeAlias = PresetWord
Colour = tuple[float, float, float]  # of red, green and blue
ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
PRESET = "preset"  # its name among the values that a caller gives


@dataclass(frozen=True)
class Preset:
    """`(x - mean) / scale` of pixels of 0..255, by colour and whatever the order of channels; the order; and the resize."""

    mean: Colour
    scale: Colour
    order: Literal["RGB", "BGR"]
    resize_type: Resize

    def values(self, *, reverse: bool | None = None, channels: int = 3) -> dict[str, str]:
        """By the names of `model_info`, for RGB (`reverse`), BGR, or the preset's own order: numbers belong to colours.

        Of a grey model, `channels` is 1, and the numbers are those of grey where all colours share them.
        """
        rgb = self.order == "RGB" if reverse is None else reverse
        mean, scale = (numbers if rgb else numbers[::-1] for numbers in (self.mean, self.scale))
        if channels == 1 and len(set(mean)) == len(set(scale)) == 1:
            mean, scale = mean[:1], scale[:1]  # type: ignore[assignment]
        return {
            "mean_values": " ".join(f"{number:g}" for number in mean),
            "scale_values": " ".join(f"{number:g}" for number in scale),
            "reverse_input_channels": "YES" if rgb else "NO",
            "resize_type": self.resize_type,
        }


PRESETS: dict[PresetName, Preset] = {
    "imagenet": Preset((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "RGB", "crop"),
    "inception": Preset((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "RGB", "crop"),
    "caffe": Preset((123.68, 116.779, 103.939), ONES, "BGR", "crop"),
    "unit": Preset(ZEROS, (255.0, 255.0, 255.0), "RGB", "standard"),
    "raw": Preset(ZEROS, ONES, "BGR", "standard"),
}


def preset_of(name: object) -> Preset:
    """A preset by its name. Raises InputError for one that is not known."""
    check_choice("the preset", name, get_args(PresetName), options=("preprocess",))
    return PRESETS[cast(PresetName, name)]


def updated_by(preprocessing: Preprocessing, values: Mapping[str, object] | str) -> Preprocessing:
    """Preprocessing as a caller has it: a preset, or values by name, of which those beside a `preset` change a part of it.

    Means and scales of a preset follow the order of channels that the values say. Raises InputError.
    """
    if not isinstance(values, (str, Mapping)):
        raise InputError(
            f"preprocessing is {quoted(values)}: a preset, or values by the names of model_info, are expected",
            options=("preprocess",),
        )
    entries: dict[str, object] = {PRESET: values} if isinstance(values, str) else dict(values)
    for name in entries:
        check_choice("preprocessing", name, (PRESET, *NAMES), options=("preprocess",))
    preset, order = entries.pop(PRESET, None), entries.get("reverse_input_channels")
    if preset is not None:
        reverse = None if order is None else is_true("reverse_input_channels", order, "the options")
        numbers = preset_of(preset).values(reverse=reverse, channels=preprocessing.channels)
        preprocessing = preprocessing.updated(numbers, source=f"the preset {preset}")
    return preprocessing.updated(entries)
