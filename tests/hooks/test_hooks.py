"""Hooks run on arrays: against loops straight from the paper, and with every word of their vocabulary broken in turn."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from openvino_xai.graph.vocabulary import WORDS, numpy_namespace
from openvino_xai.hooks import METHODS, SCALES

BATCH, CHANNELS, HEIGHT, WIDTH, CLASSES = 2, 4, 3, 5, 6
RNG = np.random.default_rng(5)
FEATURES = RNG.normal(0, 1, (BATCH, CHANNELS, HEIGHT, WIDTH))
FEATURES[1] = 0  # the second image has constant maps
WEIGHTS = RNG.normal(0, 1, (CLASSES, CHANNELS))


def tail(features: np.ndarray) -> np.ndarray:
    y = np.tanh(features).mean(axis=(2, 3)) @ WEIGHTS.T
    return np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)


@dataclass
class ArraySite:
    """A site on arrays: masked features are multiplied out."""

    features: np.ndarray
    batch: int = BATCH
    grid: tuple[int, int] = (HEIGHT, WIDTH)
    classes: int = CLASSES

    def mask_cells(self) -> np.ndarray:
        masks = np.eye(HEIGHT * WIDTH).reshape(1, -1, 1, HEIGHT, WIDTH)
        return self.features[:, None] * masks

    def scores(self, masked: np.ndarray) -> np.ndarray:
        rows = tail(masked.reshape(-1, *self.features.shape[1:]))
        return rows.reshape(BATCH, HEIGHT * WIDTH, CLASSES)


def slow_maps(features: np.ndarray) -> np.ndarray:
    maps = np.zeros((BATCH, CLASSES, HEIGHT, WIDTH))
    for image in range(BATCH):
        for h in range(HEIGHT):
            for w in range(WIDTH):
                kept = np.zeros((1, CHANNELS, HEIGHT, WIDTH))
                kept[0, :, h, w] = features[image, :, h, w]
                maps[image, :, h, w] = tail(kept)[0]
    return maps


def slow_unit(maps: np.ndarray) -> np.ndarray:
    scaled = np.zeros_like(maps)
    for image in range(BATCH):
        for k in range(CLASSES):
            low, high = maps[image, k].min(), maps[image, k].max()
            if high > low:
                scaled[image, k] = (maps[image, k] - low) / (high - low)
    return scaled


def run(xp: Any, scale: str) -> np.ndarray:
    saliency = np.asarray(SCALES[scale](xp, METHODS["reciprocam"](xp, ArraySite(FEATURES))))
    return saliency.transpose(0, 2, 1).reshape(BATCH, CLASSES, HEIGHT, WIDTH) if saliency.ndim == 3 else saliency


EXPECTED = {
    "none": slow_maps(FEATURES),
    "unit": slow_unit(slow_maps(FEATURES)),
    "u8": np.rint(slow_unit(slow_maps(FEATURES)) * 255),
}


@pytest.mark.parametrize("scale", EXPECTED)
def test_recipro_cam(scale: str) -> None:
    np.testing.assert_allclose(run(numpy_namespace(), scale), EXPECTED[scale], atol=1e-12)


def words_used() -> set[str]:
    used: set[str] = set()

    def spy(word: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            used.add(word)
            return getattr(numpy_namespace(), word)(*args, **kwargs)

        return call

    run(SimpleNamespace(**{word: spy(word) for word in WORDS}), "u8")
    return used


@pytest.mark.parametrize("word", sorted(words_used()))
def test_the_oracle_fails_when_one_word_is_broken(word: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        result = getattr(numpy_namespace(), word)(*args, **kwargs)
        return ~result if result.dtype == bool else np.flip(result, axis=1) if result.size > 12 else result * 0.5

    xp = SimpleNamespace(**{**vars(numpy_namespace()), word: broken})
    with np.errstate(all="ignore"):
        result = run(xp, "u8")
    assert result.shape != EXPECTED["u8"].shape or not np.array_equal(result, EXPECTED["u8"], equal_nan=True)
