"""What metrics are given: a network, and one photo that it has explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, TypeAlias, get_args

import cv2
import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.examples import Example
from openvino_xai.probes.classifier import blurred, enlarged
from openvino_xai.render.overlay import Box, Spread, stretch

Covered: TypeAlias = Literal["zero", "black", "blur"]
Scaled: TypeAlias = Literal["minmax", "max", "half"]
Read: TypeAlias = Literal["probability", "logit"]
Compared: TypeAlias = Literal["cells", "pixels"]
KERNEL, SIGMA = 11, 5.0
STEPS = 28  # where nobody says how many pixels a step has: 224 x 8 of 224 x 224


class Subject(Protocol):
    """The network whose explanations are measured. Images are [N, C, H, W], as it sees them."""

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """[N, K]: probabilities in [0, 1], or logits."""

    def maps(self, images: np.ndarray, classes: list[int], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities or logits [N, K], and the map [N, h, w] of one class for each image."""


@dataclass(frozen=True)
class Choices:
    """The choices on which the literature does not agree.

    `covered` is what a mask leaves where it is 0: `zero` as the network sees it, the mean colour where a mean is subtracted
    (Poppi et al., 2021); `black`; or the photo, `blur`red. `scaled` is how a map becomes a mask: `minmax`, or over its `max`
    with what is below 0 cut off; or the `half` of the pixels where it is largest are kept as they are, and the others not at
    all, which drop, increase and coherency read (Zeng et al., "Abs-CAM", 2022). `read` is the score that drop, increase,
    insertion and deletion look at: the `probability`, or the `logit`, with which they are no fractions. `compared` is where
    coherency compares two maps: on their `cells`, or on the image's `pixels`, to which Poppi et al. enlarge them. `step` is how
    many pixels insertion and deletion change at a time (Petsiuk et al., 2018, take 224 of 224 x 224), or their share of the
    image, in (0, 1) (Li et al., "FD-CAM", 2022, take 0.036); None is a 28th of the image. `seed` is of the noise that
    sensitivity is measured with.
    """

    covered: Covered = "zero"
    scaled: Scaled = "minmax"
    read: Read = "probability"
    step: int | float | None = None
    seed: int = 0
    compared: Compared = "cells"

    def __post_init__(self) -> None:
        for word, value, words in (
            ("covered", self.covered, get_args(Covered)),
            ("scaled", self.scaled, get_args(Scaled)),
            ("read", self.read, get_args(Read)),
            ("compared", self.compared, get_args(Compared)),
        ):
            if value not in words:
                raise InputError(f"{word} is '{value}'; one of {', '.join(words)} is expected")
        _check_step(self.step)

    def pixels_of_step(self, pixels: int) -> int:
        """How many of so many pixels change at a time: 1 or more."""
        if self.step is None:
            return -(-pixels // STEPS)
        return max(1, round(self.step * pixels)) if isinstance(self.step, float) else self.step


def _check_step(step: object) -> None:
    """Raise InputError for what is neither a number of pixels nor a share of them."""
    is_count = isinstance(step, int) and not isinstance(step, bool) and step >= 1
    if not (step is None or is_count or (isinstance(step, float) and 0 < step < 1)):
        raise InputError(
            f"a step is {quoted(step)}: a number of pixels, 1 or more, or their share of the image, in (0, 1), is expected",
            options=("step",),
        )


def cover(image: np.ndarray, black: np.ndarray, covered: Covered) -> np.ndarray:
    """[1, C, H, W]: what covers an image [1, C, H, W] where it is masked; `black` [1, C, 1, 1] is what is seen of black."""
    if covered == "blur":
        return blurred(image, KERNEL, SIGMA, cv2.BORDER_CONSTANT)
    return np.broadcast_to(black if covered == "black" else np.zeros_like(black), image.shape)


@dataclass(frozen=True, eq=False)
class Case:
    """One photo, explained for one class.

    `image` [1, C, H, W] as the network sees it, `black` [1, C, 1, 1] what it sees of black, `scores` [K], `target` the
    class that is explained, `saliency` its map [h, w], `size` (height, width) of the photo, `box` what is seen of it.
    `curves` are the scores [S] on the way of insertion and of deletion, once these are measured.
    """

    network: Subject
    choices: Choices
    example: Example
    image: np.ndarray
    black: np.ndarray
    scores: np.ndarray
    target: int
    saliency: np.ndarray
    size: tuple[int, int]
    box: Box
    curves: dict[str, np.ndarray] = field(default_factory=dict, init=False)  # a changed case has none

    def __post_init__(self) -> None:
        self.checked(self.scores, "scores")
        self.checked(self.saliency, "map")

    def checked(self, values: np.ndarray, what: str) -> np.ndarray:
        """What the network returns. Raises ImageError for NaN and infinite values, with which nothing can be measured."""
        if not np.isfinite(values).all():
            raise ImageError(
                f"cannot measure {self.example.path}: the network's {what} of it, masked or not, holds NaN or infinite values; "
                "run it with precision f32"
            )
        return values

    @property
    def score(self) -> float:
        """The score of the class that is explained."""
        return float(self.scores[self.target])

    @property
    def logits(self) -> bool:
        """Whether scores are logits."""
        return self.choices.read == "logit"

    @cached_property
    def mask(self) -> np.ndarray:
        """[H, W] in [0, 1]: the map, scaled on its cells (by min-max for `half`) and enlarged to the image."""
        if self.choices.scaled == "max":
            above = np.maximum(self.saliency, 0)
            scaled = above / (above.max() or 1)
        else:
            scaled = stretch(self.saliency)
        return np.asarray(enlarged(scaled[None], (self.image.shape[2], self.image.shape[3]))[0])

    @cached_property
    def order(self) -> np.ndarray:
        """[H * W]: the pixels by their places in a row, those of the largest mask first; of equals, the first."""
        return np.argsort(-self.mask.reshape(-1), kind="stable")

    @property
    def visible(self) -> np.ndarray:
        """[H, W] in [0, 1]: how much of each pixel the masked image shows: its mask, or the larger half of it, if any."""
        if self.choices.scaled != "half" or not self.mask.any():
            return self.mask
        half = np.zeros(self.mask.size, np.float32)
        half[self.order[: self.mask.size // 2]] = 1
        return half.reshape(self.mask.shape)

    @cached_property
    def masked(self) -> np.ndarray:
        """[1, C, H, W]: the image where it is visible, what covers it where it is not, mixed between."""
        visible = self.visible
        return np.asarray(self.image * visible + self.cover * (1 - visible), np.float32)

    @property
    def cover(self) -> np.ndarray:
        """[1, C, H, W]: what a mask leaves where it is 0."""
        return self.blurred if self.choices.covered == "blur" else cover(self.image, self.black, self.choices.covered)

    @cached_property
    def blurred(self) -> np.ndarray:
        """[1, C, H, W]: the image under a Gaussian of 11 x 11 pixels, sigma 5; beyond its edges is 0."""
        return cover(self.image, self.black, "blur")

    @cached_property
    def masked_result(self) -> tuple[float, np.ndarray]:
        """The score that the masked image leaves to the class, and the class's map of it [h, w]: one inference."""
        scores, maps = self.network.maps(self.masked, [self.target], logits=self.logits)
        return float(self.checked(scores, "scores")[0, self.target]), self.checked(maps, "map")[0]

    @cached_property
    def spread(self) -> Spread:
        """The map in [0, 1], laid over the photo's own pixels. Raises InputError for a map with NaN."""
        return Spread(stretch(self.saliency), self.size, self.box)
