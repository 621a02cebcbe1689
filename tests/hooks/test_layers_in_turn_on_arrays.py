"""Methods of several layers, run on arrays: against loops, and with every word of their vocabulary broken in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from slow_layers import slow_enlarged, slow_joined
from vocabulary_words import broken_by, words_used

from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks import METHODS

BATCH, CLASSES, GRIDS, CHANNELS = 2, 3, ((4, 6), (2, 3), (2, 3)), (5, 8, 4)
RNG = np.random.default_rng(3)
FEATURES = [RNG.normal(0, 1, (BATCH, h * w, c)) for (h, w), c in zip(GRIDS, CHANNELS, strict=True)]
SLOPES = [RNG.normal(0, 1, (BATCH, CLASSES, h * w, c)) for (h, w), c in zip(GRIDS, CHANNELS, strict=True)]
SLOPES[2] = SLOPES[2][:, :, :1]  # as behind a mean: all cells have the same
SLOPES[1][0, 1] = 0  # a class that does not depend on a layer
METHODS_OF_LAYERS = [name for name, traits in METHODS.items() if traits.of_layers is not None]


class ArrayLayers:
    """Three layers as arrays."""

    def cells_of_layers(self) -> list[np.ndarray]:
        return FEATURES

    def gradients_of_layers(self) -> list[np.ndarray]:
        return SLOPES

    def on_one_grid(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        laid = []
        for of_layer, grid in zip(maps, GRIDS, strict=True):
            planes = of_layer.transpose(0, 2, 1).reshape(-1, *grid)
            large = np.stack([slow_enlarged(plane, *GRIDS[0]) for plane in planes])
            laid.append(large.reshape(BATCH, CLASSES, -1).transpose(0, 2, 1))
        return laid


def expected(method: str) -> np.ndarray:
    maps = np.zeros((BATCH, CLASSES, *GRIDS[0]))
    for image, k in np.ndindex(BATCH, CLASSES):
        of_layers = []
        for features, slopes, grid in zip(FEATURES, SLOPES, GRIDS, strict=True):
            g = np.broadcast_to(slopes[image, k], features[image].shape)
            weights = np.maximum(g, 0) if method == "layer_cam" else g
            of_layers.append(np.maximum((features[image] * weights).sum(axis=1), 0).reshape(grid))
        maps[image, k] = slow_joined(of_layers, *GRIDS[0], method)
    return maps.reshape(BATCH, CLASSES, -1).transpose(0, 2, 1)


def run(xp: Any, method: str) -> np.ndarray:
    hook: Any = METHODS[method].of_layers
    return np.asarray(hook(xp, ArrayLayers()))


def words_of(method: str) -> list[str]:
    return words_used(lambda xp: run(xp, method))


@pytest.mark.parametrize("method", METHODS_OF_LAYERS)
def test_a_map_of_layers_is_what_its_paper_says(method: str) -> None:
    np.testing.assert_allclose(run(numpy_namespace(), method), expected(method), atol=1e-12)


@pytest.mark.parametrize(("method", "word"), [(name, word) for name in METHODS_OF_LAYERS for word in words_of(name)])
def test_the_oracle_fails_when_one_word_is_broken(method: str, word: str) -> None:
    try:
        result = run(broken_by(word), method)
    except (IndexError, TypeError, ValueError):  # broken so that it does not run at all
        return
    assert result.shape != expected(method).shape or not np.allclose(result, expected(method), atol=1e-9)
