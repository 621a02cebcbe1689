"""A plain model as a site: what a hook asks is answered from arrays, by running the model in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks.site import Channels, ChannelSite
from openvino_xai.probes.classifier import Classifier, Settings, in_chunks


class ProbedSite:
    """The `ChannelSite` of one image [1, C, H, W], so that B is 1; scores are logits of `classes`."""

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


def hook_maps(
    hook: Callable[[Any, ChannelSite], Any], model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings
) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells: what the hook makes of a model that carries none."""
    site = ProbedSite(model, image, classes, settings)
    saliency = hook(numpy_namespace(), site)  # [1, N, K]
    return np.asarray(saliency[0].T.reshape(len(classes), *site.grid), np.float32)
