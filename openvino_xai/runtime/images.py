"""Images in one layout, whatever a model's own: [N, C, H, W], f32, batches of any length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from openvino_xai.graph.model import Value

AT_ONCE = 16  # images in a run, where the batch is open


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in another type, contiguous; for integers they are rounded, and clipped to the range of the type."""
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        values = np.clip(np.rint(values), bounds.min, bounds.max)
    return np.ascontiguousarray(values, dtype)


class ImageInput:
    """The input of a model that takes the image; `channels_first` tells its layout."""

    def __init__(self, value: Value, *, channels_first: bool) -> None:
        self.name = value.name
        self._value, self._channels_first = value, channels_first

    @property
    def batch(self) -> int | None:
        """The number of images in a run, None where it is open."""
        size = (self._value.shape or (None,))[0]
        return size if isinstance(size, int) else None

    @property
    def channels(self) -> int | None:
        """C, None where it is open."""
        size = (self._value.shape or (None,) * 4)[1 if self._channels_first else 3]
        return size if isinstance(size, int) else None

    @property
    def at_once(self) -> int:
        """The number of images to run at once."""
        return self.batch or AT_ONCE

    def laid_out(self, images: np.ndarray) -> np.ndarray:
        """Images [N, C, H, W] in the model's own layout and type; integers are rounded to what there is."""
        laid = images if self._channels_first else images.transpose(0, 2, 3, 1)
        return as_type(laid, self._value.dtype or np.dtype(np.float32))

    def planes(self, batch: np.ndarray) -> np.ndarray:
        """A batch in the model's own layout as images [N, C, H, W], f32."""
        return (batch if self._channels_first else batch.transpose(0, 3, 1, 2)).astype(np.float32)

    def runs(self, batch: np.ndarray, most: int = AT_ONCE) -> Iterator[tuple[np.ndarray, int]]:
        """A batch of any length, cut into batches that the model takes, each with the number of its images that count.

        Where the model has a fixed batch, the last one is filled up with copies. Where it takes any number, they are of
        `most` images.
        """
        size = self.batch or most
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            count = len(part)
            if self.batch is not None and count < self.batch:
                part = np.concatenate([part, np.repeat(part[-1:], self.batch - count, axis=0)])
            yield part, count
