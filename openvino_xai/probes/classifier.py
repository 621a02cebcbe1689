"""What a probe is given: a model that can be asked, as often as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from openvino_xai.arguments import is_whole
from openvino_xai.choices import quoted
from openvino_xai.errors import InputError


class Scorer(Protocol):
    """What gives scores to images [N, C, H, W], as a model expects them: of classes, or of whatever else is explained."""

    @property
    def batch(self) -> int:
        """The number of images, or features, to run at once."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        """[N, K] in [0, 1], f64: probabilities of classes of images; of contrasts, differences of two, in [-1, 1]."""


class Classifier(Scorer, Protocol):
    """A deployed model: images in, probabilities of classes out, and one layer, or the tokens of all blocks, in between."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """[N, C, h, w]: what the layer holds for images."""

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """[N, K], f64: the logits where the layer holds `features` [N, C, h, w]; the rest is as for `image` [1, C, H, W]."""

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        """[N, C, H, W], f32: the derivative of class k's logit with respect to images."""

    def layer_gradients(self, image: np.ndarray, k: int) -> np.ndarray:
        """[C, h, w], f32: the derivative of class k's logit for `image` [1, C, H, W] with respect to the layer's cells."""

    def activations(self, image: np.ndarray) -> np.ndarray:
        """[D, h, w], f32: the channels behind all blocks of a transformer at the cells of `image` [1, C, H, W]."""

    def token_scores(self, image: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """[N, K], f64: as `scores`, of `image` [1, C, H, W] where those cells alone enter that `masks` [N, h, w] keep."""


SEGMENTS = 1000  # at most: what is fitted to them grows with their square
EVALUATIONS = 100_000  # at most: memory is set aside for each before a search begins


def _no_progress(done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Settings:
    """The settings of probes, each of which reads its own.

    `seed` of what is random; `masks`, how many of them (RISE, D-RISE, LIME, KernelSHAP, TIS); `segments`, about how many
    superpixels the image is cut into (LIME, KernelSHAP); `evaluations`, how many masks of each width and target (AISE);
    `groups` of channels (Group-CAM); `patch` and `stride` in pixels (occlusion; None is a seventh of the image, moved by half);
    `steps` of integrated gradients and of Opti-CAM; noisy `copies` (SmoothGrad); `orders` of channels (SHAP-CAM); how many
    `channels` are asked about for each class (Abs-CAM; None is all).
    `progress` hears how many questions are asked, and of how many.
    """

    seed: int = 0
    masks: int = 4000
    segments: int = 50
    evaluations: int = 50
    groups: int = 32
    patch: int | None = None
    stride: int | None = None
    steps: int = 50
    copies: int = 25
    orders: int = 10
    channels: int | None = None
    progress: Callable[[int, int], None] = _no_progress

    def __post_init__(self) -> None:
        for name in ("masks", "segments", "evaluations", "groups", "patch", "stride", "steps", "copies", "orders", "channels"):
            number = getattr(self, name)
            if number is None and name in ("patch", "stride", "channels"):
                continue
            if not is_whole(number):
                raise InputError(f"{name} is {quoted(number)}; a whole number is expected", options=(name,))
            if number < 1:
                raise InputError(f"{name} is {number}; 1 or more is expected", options=(name,))
        if not is_whole(self.seed) or self.seed < 0:
            raise InputError(f"seed is {quoted(self.seed)}; a whole number, 0 or more, is expected", options=("seed",))
        if not callable(self.progress):
            raise InputError(f"progress is {quoted(self.progress)}; a function of two numbers is expected")
        if self.evaluations > EVALUATIONS:
            raise InputError(f"evaluations is {self.evaluations}; {EVALUATIONS} or fewer are expected")
        if self.segments > SEGMENTS:
            raise InputError(f"segments is {self.segments}; {SEGMENTS} or fewer are expected", options=("segments",))
        if self.stride is not None and (self.patch is None or self.stride > self.patch):
            raise InputError(f"a stride of {self.stride} pixels leaves some uncovered: a patch at least as large is expected")


def in_chunks(count: int, size: int, progress: Callable[[int, int], None] = _no_progress) -> Iterator[slice]:
    """Slices of at most `size` over `count` questions; `progress` hears of each when it is answered."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
        progress(min(start + size, count), count)


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps [N, h, w] at another size [N, H, W], f32, bilinear between the centres of cells."""
    height, width = size
    flat = [cv2.resize(plane.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for plane in maps]
    return np.stack(flat) if flat else np.zeros((0, height, width), np.float32)


def enlargement(cells: int, pixels: int) -> np.ndarray:
    """[pixels, cells], f64: how `enlarged` mixes the cells of an axis."""
    return np.asarray(cv2.resize(np.eye(cells), (cells, pixels), interpolation=cv2.INTER_LINEAR).reshape(pixels, cells))


def unit(maps: np.ndarray) -> np.ndarray:
    """Maps [N, h, w], each min-max scaled to [0, 1], f32; a constant map is 0."""
    low = maps.min(axis=(1, 2), keepdims=True)
    spread = maps.max(axis=(1, 2), keepdims=True) - low
    return np.asarray((maps - low) / np.where(spread > 0, spread, 1), np.float32)


def blurred(images: np.ndarray, kernel: int, sigma: float, border: int) -> np.ndarray:
    """Images [N, C, H, W] under a Gaussian of `kernel` x `kernel` pixels; `border` is OpenCV's."""
    planes = images.reshape(-1, *images.shape[2:])
    soft = [cv2.GaussianBlur(plane, (kernel, kernel), sigma, borderType=border) for plane in planes]
    return np.stack(soft).reshape(images.shape)
