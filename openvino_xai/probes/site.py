"""A plain model as a site: what a hook asks is answered from arrays, by running the model in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks.site import Channels
from openvino_xai.probes.classifier import Classifier, Settings, enlarged, in_chunks


class ProbedSite:
    """The `ChannelSite` and `ImageSite` of one image [1, C, H, W], so that B is 1; scores are logits of `classes`."""

    def __init__(self, model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> None:
        self._model, self._image, self._classes, self._settings = model, image, classes, settings
        self._features = model.features(image)[0]

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w), the rows and columns of cells; N = h * w."""
        _, height, width = self._features.shape
        return height, width

    def cells(self) -> np.ndarray:
        """[1, N, C], f32: the channels of each cell."""
        return np.asarray(self._features.reshape(1, len(self._features), -1).transpose(0, 2, 1))

    def scores(self, mask: Channels, /) -> np.ndarray:
        """[1, M, K], f64: the logit of each class for the features with the channels alone that each mask keeps."""
        logits = np.empty((mask.masks.shape[1], len(self._classes)))
        for chunk in in_chunks(len(logits), self._model.batch, self._settings.progress):
            masked = np.where(mask.masks[0, chunk, :, None, None], self._features, np.float32(0))
            logits[chunk] = self._model.logits_from(masked, self._image)[:, self._classes]
        return logits[None]

    def gradients(self) -> np.ndarray:
        """[1, K, N, C], f32: the derivative of each class's logit by the cells."""
        by_class = [self._model.layer_gradients(self._image, k) for k in self._classes]  # K of [C, h, w]
        return np.stack([gradient.reshape(len(gradient), -1).T for gradient in by_class])[None]

    @property
    def channels(self) -> int | None:
        """n, how many channels a method asks about for each class; None for all."""
        return self._settings.channels

    def largest_channels(self, weights: np.ndarray) -> np.ndarray:
        """[1, K, n], i64: the indices of the largest of `weights` [1, K, C], the largest first; of equals the first."""
        return np.argsort(-weights, axis=2, kind="stable")[:, :, : self.channels]

    def image_scores(self, maps: np.ndarray) -> np.ndarray:
        """[1, M, K], f64: the probability of each class for the image times each of `maps` [1, M, N], enlarged.

        The model is asked once about maps that are the same: of all channels that are constant, or that several classes pick.
        """
        places: dict[bytes, int] = {}
        place_of_each = [places.setdefault(row.tobytes(), len(places)) for row in maps[0]]
        _, firsts = np.unique(place_of_each, return_index=True)
        scores = np.empty((len(firsts), len(self._classes)))
        for chunk in in_chunks(len(firsts), self._model.batch, self._settings.progress):
            masked = self._image * self._enlarged(maps[0, firsts[chunk]])[:, None]
            scores[chunk] = self._model.scores(masked)[:, self._classes]
        return scores[None, place_of_each]

    def enlarged_range(self, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two of [1, 1, M], f32: the least and the largest pixel of each of `maps` [1, M, N], enlarged to the image."""
        ends = np.empty((2, maps.shape[1]), np.float32)
        for chunk in in_chunks(maps.shape[1], self._model.batch):
            large = self._enlarged(maps[0, chunk])
            ends[:, chunk] = large.min(axis=(1, 2)), large.max(axis=(1, 2))
        return ends[0, None, None], ends[1, None, None]

    def _enlarged(self, maps: np.ndarray) -> np.ndarray:
        """[m, H, W], f32: of maps [m, N]."""
        return enlarged(maps.reshape(-1, *self.grid), (self._image.shape[2], self._image.shape[3]))


def hook_maps(
    hook: Callable[[Any, ProbedSite], Any], model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings
) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells: what the hook makes of a model that carries none."""
    site = ProbedSite(model, image, classes, settings)
    saliency = hook(numpy_namespace(), site)  # [1, N, K]
    return np.asarray(saliency[0].T.reshape(len(classes), *site.grid), np.float32)
