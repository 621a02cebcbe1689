"""Images that hooks are verified on: drawings and noise, side by side in a batch.

Noise looks alike everywhere: a network that averages it answers each cell alike, and of maps that are flat a wrong one is not
seen. So every second image is a drawing, with a shade, discs and stripes. It has a grain, so that no two pixels are equal:
where a pool takes one of several maxima, a gradient is no slope.

Gradients are held to slopes on noise alone. Where neighbours are alike, many cells meet the corner of a ReLU in one step, and
the score moves otherwise than any gradient says: of a tiny network 8 of 12 drawings were no place to try a right one, and 2 of
12 images of noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.dialects.random_inputs import BATCH, random_inputs
from openvino_xai.graph.model import Value
from openvino_xai.locate.positions import Place

SHAPES = 8  # in a drawing: discs, every other one with stripes
RADII = (0.08, 0.3)  # of a disc, as shares of the longest side
WAVES = (2.0, 10.0)  # periods of stripes on the longest side
GRAIN = 0.1  # standard deviation; that of noise is 1, and a colour is drawn from that, too
MIDDLE, CONTRAST = 128, 48  # of bytes, for 0 and 1


@dataclass(frozen=True)
class SampleImages:
    """Batches of random inputs of a model, whose `image` holds drawings and noise in turn; `place` has its axes.

    They hold noise alone where gradients are tried: `slopes`.
    """

    model: Deployed
    image: Value
    place: Place
    slopes: bool = False

    @property
    def content(self) -> str:
        """What the images hold, in words."""
        return "drawings and noise" if self._has_drawings else "noise"

    @property
    def _has_drawings(self) -> bool:
        dtype = self.image.dtype
        return not self.slopes and dtype is not None and (dtype.kind == "f" or dtype.itemsize == 1)

    def batch(self, count: int = BATCH, *, seed: int = 0) -> dict[str, np.ndarray]:
        """Inputs in their own shapes and types, by name; an open batch has so many images.

        Of an even seed the first image is a drawing, of an odd one noise.
        """
        inputs = random_inputs(self.model, count, seed=seed)
        noise = inputs[self.image.name]
        if not self._has_drawings:
            return inputs  # of what is no pixels two numbers are tried
        images, rng = np.moveaxis(noise, self.place.batch, 0).copy(), np.random.default_rng((seed, 1))
        cells = [axis - (axis > self.place.batch) for axis in self.place.cells]
        for index in range(seed % 2, len(images), 2):
            images[index] = _as_pixels(drawing(images.shape[1:], cells, rng), noise.dtype)
        return {**inputs, self.image.name: np.ascontiguousarray(np.moveaxis(images, 0, self.place.batch))}


def drawing(shape: Sequence[int], cells: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """An image of a shape, f64, of mean 0 and a contrast of about 1: a shade, discs and stripes over the axes `cells`."""
    sizes, colours = [shape[axis] for axis in cells], [axis for axis in range(len(shape)) if axis not in cells]
    places = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1) / max(sizes)  # [*cells, D]
    ends = np.array(sizes) / max(sizes)

    def colour() -> np.ndarray:
        return np.asarray(rng.normal(size=[1] * len(sizes) + [shape[axis] for axis in colours]))

    def wave(direction: np.ndarray) -> np.ndarray:
        return np.asarray((places @ direction).reshape(*sizes, *[1] * len(colours)))

    picture = (wave(rng.normal(size=len(sizes))) - 0.5) * colour()
    for index in range(SHAPES):
        inside = ((places - rng.random(len(sizes)) * ends) ** 2).sum(axis=-1) < rng.uniform(*RADII) ** 2
        direction = rng.normal(size=len(sizes))
        direction *= 2 * np.pi * rng.uniform(*WAVES) / np.linalg.norm(direction)
        paint = colour() * (np.sign(np.sin(wave(direction))) if index % 2 else 1.0)
        picture = np.where(inside.reshape(*sizes, *[1] * len(colours)), paint, picture)
    laid = np.empty(shape)
    laid.transpose(*cells, *colours)[:] = picture  # a view
    laid += rng.normal(0, GRAIN, shape)
    return np.asarray(laid - laid.mean())


def _as_pixels(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A drawing in the type of an input: as it is, or as bytes around their middle."""
    if dtype.kind == "f":
        return picture.astype(dtype)
    if dtype.kind == "b":
        return picture > 0
    middle, least = (0, -128) if dtype.kind == "i" else (MIDDLE, 0)
    return np.asarray(np.clip(np.rint(middle + CONTRAST * picture), least, least + 255), dtype)
