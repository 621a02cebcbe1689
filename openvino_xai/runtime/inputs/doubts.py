"""What makes one doubt that a model is fed what it expects: no model fails on wrong pixels, it only answers wrongly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from openvino_xai.errors import PreprocessingWarning
from openvino_xai.runtime.inputs.presets import PRESETS
from openvino_xai.runtime.preprocessing import Preprocessing

HELP = ("preprocess", "mean_values", "scale_values", "reverse_input_channels", "resize_type")
MANY = 10  # images: of more than these, nearly all of one class are worth a word
NEARLY_ALL = 0.9
FEW = 3  # images: of fewer, nothing is said of how sure the model is
LEVELS = 64  # whole numbers that pixels become: fewer leave little of a photo
SURE = 1 - 1e-6  # a probability that f32 hardly tells from 1


def doubts_of(preprocessing: Preprocessing) -> list[PreprocessingWarning]:
    """What is doubtful about what is fed, before anything is: what nobody says, and numbers of another scale or type."""
    return [*_unsaid(preprocessing), *_other_scale(preprocessing), *_other_type(preprocessing)]


def _unsaid(preprocessing: Preprocessing) -> list[PreprocessingWarning]:
    if not (parts := preprocessing.unsaid):
        return []
    all_missing = len(parts) > 2 or (preprocessing.channels == 1 and len(parts) > 1)
    missing = "its preprocessing" if all_missing else " or ".join(f"the {part}" for part in parts)
    text = (
        f"the model does not tell {missing}: fed is {preprocessing.summary}. Where it was trained on other pixels, scores and "
        f"maps are wrong: say a preset ({', '.join(PRESETS)}), or its parts; raw is what is fed where nobody says anything"
    )
    return [PreprocessingWarning(text, options=HELP)]


def _other_scale(preprocessing: Preprocessing) -> list[PreprocessingWarning]:
    """Numbers for pixels of 0..1, as PyTorch's users know them: here they are of 0..255."""
    doubts = []
    means, scales = preprocessing.mean_values, preprocessing.scale_values
    if any(means) and max(map(abs, means)) <= 1:
        doubts.append(_of_unit_pixels("mean_values", means))
    if max(map(abs, scales)) < 1:
        doubts.append(_of_unit_pixels("scale_values", scales))
    return doubts


def _other_type(preprocessing: Preprocessing) -> list[PreprocessingWarning]:
    """Numbers for floats, where the input takes whole numbers: what is fed is rounded, and cut off at their bounds."""
    dtype, (low, high) = np.dtype(preprocessing.dtype), preprocessing.range
    if dtype.kind not in "iu":
        return []
    bounds = np.iinfo(dtype)
    if low >= bounds.min - 0.5 and high <= bounds.max + 0.5 and high - low >= LEVELS:
        return []
    text = (
        f"the input takes {dtype}, and fed are {low:.4g}..{high:.4g}, rounded to whole numbers from {bounds.min} to "
        f"{bounds.max}: is the preprocessing inside the model already?"
    )
    return [PreprocessingWarning(text, options=HELP)]


def _of_unit_pixels(name: str, numbers: tuple[float, ...]) -> PreprocessingWarning:
    shown, larger = (", ".join(f"{item:.6g}" for item in items) for items in (numbers, [255 * item for item in numbers]))
    return PreprocessingWarning(
        f"{name} {shown} are for pixels of 0..1, and here pixels are 0..255: {larger} would be the same of these",
        options=(name,),
    )


@dataclass
class Tally:
    """What a model made of many images: wrong pixels often make one class of them all, or scores of exactly 1."""

    classes: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    sure: int = 0

    def count(self, predicted: object, probability: float, *, label: object = None) -> None:
        """An image by its predicted class, the probability of that, and the class that it shows where that is known."""
        self.classes[str(predicted)] += 1
        if label is not None:
            self.labels[str(label)] += 1
        self.sure += probability >= SURE

    def doubts(self) -> list[PreprocessingWarning]:
        """What is doubtful about these answers."""
        images, doubts = self.classes.total(), []
        label, count = next(iter(self.classes.most_common(1)), ("", 0))
        alike = self.labels[label] >= NEARLY_ALL * self.labels.total() if self.labels else False
        if images > MANY and count >= NEARLY_ALL * images and not alike:
            doubts.append(f"{count} of {images} images are taken for '{label}'")
        if images >= FEW and self.sure * 2 > images:
            doubts.append(f"the score of {self.sure} of {images} images is 1 to six digits")
        if not doubts:
            return []
        text = f"{', and '.join(doubts)}. Where the images are not like that, the model is fed other pixels than it expects"
        return [PreprocessingWarning(text, options=HELP)]
