"""RISE: the mean of random masks, each weighed with the score that the class keeps under it.

Petsiuk, Das and Saenko, "RISE: Randomized input sampling for explanation of black-box models", 2018, equation 6 and section
3.3: grids of 7 x 7 that keep a cell with probability 1/2, enlarged to one cell more than the image, and shifted at random.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings, enlarged, in_chunks

GRID = 7
SHARE = 0.5  # of the cells that a mask keeps


def rise(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings, *, grid: int = GRID) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the expected score where a pixel is kept, by masks of `grid`^2 cells."""
    rng = np.random.default_rng(settings.seed)
    height, width = image.shape[2:]
    total = np.zeros((len(classes), height, width))
    for chunk in in_chunks(settings.masks, model.batch, settings.progress):
        masks = np.stack([random_mask(rng, (height, width), grid) for _ in range(chunk.stop - chunk.start)])
        scores = model.scores(image * masks[:, None])[:, classes]
        total += np.einsum("nk,nhw->khw", scores, masks)
    return np.asarray(total / (settings.masks * SHARE), np.float32)


def random_mask(rng: np.random.Generator, size: tuple[int, int], cells: int = GRID) -> np.ndarray:
    """One mask [H, W] in [0, 1], of `cells` x `cells`."""
    height, width = size
    tall, wide = -(-height // cells), -(-width // cells)  # of a cell, in pixels, rounded up
    grid = (rng.random((cells, cells)) < SHARE).astype(np.float32)
    large = enlarged(grid[None], ((cells + 1) * tall, (cells + 1) * wide))[0]
    down, right = rng.integers(0, tall), rng.integers(0, wide)
    return np.asarray(large[down : down + height, right : right + width])
