"""A model as probes see it that explain contrasts: each is a class, whose score is that of one class less that of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier


class ContrastClassifier:
    """A `Classifier` of P contrasts, which are pairs of classes of a model."""

    def __init__(self, model: Classifier, pairs: Sequence[tuple[int, int]]) -> None:
        self._model, self._pairs = model, list(pairs)

    @property
    def batch(self) -> int:
        """The number of images, or features, to run at once."""
        return self._model.batch

    def scores(self, images: np.ndarray) -> np.ndarray:
        """[N, P] in [-1, 1], f64: differences of probabilities of images [N, C, H, W]."""
        return self._of(self._model.scores(images))

    def features(self, images: np.ndarray) -> np.ndarray:
        """[N, C, h, w]: what the layer holds for images."""
        return self._model.features(images)

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """[N, P], f64: differences of logits where the layer holds `features`."""
        return self._of(self._model.logits_from(features, image))

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        """[N, C, H, W], f32: the derivative of contrast k's difference of logits with respect to images."""
        first, second = (self._model.gradients(images, side) for side in self._pairs[k])
        return np.asarray(first - second)

    def layer_gradients(self, image: np.ndarray, k: int) -> np.ndarray:
        """[C, h, w], f32: the derivative of contrast k's difference of logits by the layer's cells."""
        first, second = (self._model.layer_gradients(image, side) for side in self._pairs[k])
        return np.asarray(first - second)

    def activations(self, image: np.ndarray) -> np.ndarray:
        """[D, h, w], f32: the channels behind all blocks."""
        return self._model.activations(image)

    def token_scores(self, image: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """[N, P] in [-1, 1], f64: differences of probabilities where some cells alone are kept."""
        return self._of(self._model.token_scores(image, masks))

    def _of(self, scores: np.ndarray) -> np.ndarray:
        first, second = np.array(self._pairs).T
        return np.asarray(scores[:, first] - scores[:, second])
