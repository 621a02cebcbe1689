"""Tensors that are prepared already: they are fed as they are, and drawn as well as can be told what they show."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.render.overlay import Box
from openvino_xai.runtime.images import ImageInput
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.runtime.tasks.heads import Heads

FED = "a tensor, as it was given"
TOLERANCE = 2.0  # levels: what rounding, and resizing that overshoots, add


@dataclass(frozen=True)
class AsFed(Preprocessing):
    """What stands for preprocessing where an image is fed as it is, already `laid` as the model takes it."""

    laid: np.ndarray = field(default_factory=lambda: np.zeros((1, 3, 1, 1), np.float32), compare=False, repr=False)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The image with a batch of 1, in the model's own layout and type."""
        return self.laid

    def box(self, photo: tuple[int, int]) -> Box:
        """All of it is what the model saw."""
        height, width = photo
        return (0.0, 0.0, float(width), float(height))

    def boxes(self, boxes: np.ndarray, photo: tuple[int, int]) -> np.ndarray:
        """[D, 4]: boxes in pixels of the input are so in the picture, cut off at its edges."""
        height, width = photo
        return np.asarray(np.clip(boxes, 0, np.array([width, height, width, height])))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"fed": FED, "input_size": list(self.size)}


def is_batch(array: np.ndarray, images: ImageInput) -> bool:
    """Whether an array is a batch of prepared images [B, C, H, W], of as many channels as the model takes."""
    return array.ndim == 4 and images.channels in (None, array.shape[1]) and not is_stack(array)


def is_stack(array: np.ndarray) -> bool:
    """Whether an array is a stack of photos, [B, H, W, 3] bytes."""
    return array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] == 3 and array.shape[1] != 3


def as_fed(network: Network | Heads, batch: np.ndarray) -> list[tuple[Network | Heads, np.ndarray]]:
    """For each prepared image of a batch [B, C, H, W] the network that is fed it, and a picture of it, RGB bytes [H, W, 3].

    Raises ImageError for values that are no numbers.
    """
    if batch.dtype.kind not in "fiu":
        raise ImageError(f"a prepared tensor is {batch.dtype} {list(batch.shape)}: numbers are expected")
    values = batch.astype(np.float32)
    if not batch.size or not np.isfinite(values).all():
        raise ImageError(
            f"a prepared tensor of {batch.dtype} {list(batch.shape)} holds no numbers, or some that are not finite"
        )
    return [(_fed_so(network, tensor), picture_of(tensor, network.preprocessing)) for tensor in values]


def _fed_so(network: Network | Heads, tensor: np.ndarray) -> Network | Heads:
    """The same network, which shares all that is compiled, with an image [C, H, W] in place of its preprocessing."""
    if isinstance(network, Heads):
        return Heads({scores: _one_fed_so(head, tensor) for scores, head in network.items()})
    return _one_fed_so(network, tensor)


def _one_fed_so(network: Network, tensor: np.ndarray) -> Network:
    twin = copy(network)
    _, height, width = tensor.shape
    twin.preprocessing = AsFed(size=(height, width), laid=network.images.laid_out(tensor[None]))
    twin.notify = None
    return twin


def picture_of(tensor: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """RGB bytes [H, W, 3] of a prepared image [C, H, W]: as the model's own numbers and order of channels say.

    Where these are not known, or make no pixels of 0..255, values are stretched: the darkest is black, the brightest white.
    """
    numbers = preprocessing.mean_values, preprocessing.scale_values
    means, scales = (np.array(some, np.float32).reshape(-1, 1, 1) for some in numbers)
    pixels = tensor * scales + means
    if preprocessing.unsaid or pixels.min() < -TOLERANCE or pixels.max() > 255 + TOLERANCE:
        low, high = float(tensor.min()), float(tensor.max())
        pixels = (tensor - low) / (high - low or 1) * 255
    planes = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    if len(planes) == 1:
        planes = np.repeat(planes, 3, axis=0)
    in_order = planes[:3] if preprocessing.reverse_input_channels or preprocessing.unsaid else planes[2::-1]
    return np.ascontiguousarray(in_order.transpose(1, 2, 0))
