"""What metrics are given: a network, and one photo that it has explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, TypeAlias, get_args

import cv2
import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.examples import Example
from openvino_xai.probes.classifier import blurred, enlarged
from openvino_xai.render.overlay import Box, Spread, stretch

Covered: TypeAlias = Literal["zero", "black", "blur"]
Scaled: TypeAlias = Literal["minmax", "max"]
Read: TypeAlias = Literal["probability", "logit"]
Compared: TypeAlias = Literal["cells", "pixels"]
KERNEL, SIGMA = 11, 5.0


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
    with what is below 0 cut off. `read` is the score that drop, increase, insertion and deletion look at: the `probability`,
    or the `logit`, with which they are no fractions. `compared` is where coherency compares two maps: on their `cells`, or on
    the image's `pixels`, to which Poppi et al. enlarge them. `step` is how many pixels insertion and deletion change at a time
    (Petsiuk et al., 2018, take 224 of 224 x 224), None a 28th of the image; `seed` is of the noise that sensitivity is measured
    with.
    """

    covered: Covered = "zero"
    scaled: Scaled = "minmax"
    read: Read = "probability"
    step: int | None = None
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
        if self.step is not None and self.step < 1:
            raise InputError(f"a step is {self.step} pixels; 1 or more are expected")


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
        """[H, W] in [0, 1]: the map, scaled on its cells and enlarged to the image."""
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

    @cached_property
    def masked(self) -> np.ndarray:
        """[1, C, H, W]: the image where the mask is 1, what covers it where it is 0, mixed between."""
        return np.asarray(self.image * self.mask + self.cover * (1 - self.mask), np.float32)

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
