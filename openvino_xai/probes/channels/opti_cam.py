"""Opti-CAM: the weights of channels under which the image, masked with their sum, keeps most of the class's logit.

Zhang, Torres, Sicre, Avrithis and Ayache, "Opti-CAM: Optimizing saliency maps for interpretability", 2023. The mask
is S(u) = sum over k of softmax(u)_k max(0, A_k), enlarged to the image and min-max scaled, and u goes up the slope of
logit(mask * image) by Adam (Kingma and Ba, "Adam: A method for stochastic optimization", 2015, algorithm 1), from equal weights
on. `steps` of 0.1 are those of the authors' program; its stop where the logit falls again is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, enlargement, in_chunks

RATE = 0.1
DECAYS = 0.9, 0.999  # of Adam's means: of slopes, and of their squares
SMALLEST = 1e-8


def opti_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells, not below 0: the channels' sum S(u), after the last step.

    Of tokens, those that are no cells take no part: they are in no mask of the image, and in no map.
    """
    masked = MaskedImage(model, image)
    maps = []
    for k in classes:
        u, slope, square = np.zeros((3, len(masked.channels)))
        for step in in_chunks(settings.steps, 1, settings.progress):
            slopes = masked.slopes(u, k)
            slope = DECAYS[0] * slope + (1 - DECAYS[0]) * slopes
            square = DECAYS[1] * square + (1 - DECAYS[1]) * slopes**2
            mean, spread = slope / (1 - DECAYS[0] ** step.stop), square / (1 - DECAYS[1] ** step.stop)
            u = u + RATE * mean / (np.sqrt(spread) + SMALLEST)
        maps.append(masked.saliency(u))
    return np.stack(maps).astype(np.float32)


class MaskedImage:
    """An image [1, C, H, W] under a sum of a layer's channels, as a function of their weights."""

    def __init__(self, model: Classifier, image: np.ndarray) -> None:
        self._model, self._image = model, image
        self.channels = np.maximum(model.features(image)[0], 0).astype(np.float64)
        _, height, width = self.channels.shape
        self._down, self._across = enlargement(height, image.shape[2]), enlargement(width, image.shape[3])

    def saliency(self, u: np.ndarray) -> np.ndarray:
        """[h, w], f64: S(u)."""
        return np.asarray(np.tensordot(softmax(u), self.channels, axes=1))

    def slopes(self, u: np.ndarray, k: int) -> np.ndarray:
        """[C], f64: the derivative by u of class k's logit for the masked image; 0 where the mask is constant."""
        large = self._down @ self.saliency(u) @ self._across.T
        low, spread = large.min(), np.ptp(large)
        if spread == 0:
            return np.zeros_like(u)
        mask = (large - low) / spread
        by_image = self._model.gradients(self._image * mask.astype(np.float32), k)
        by_mask = (by_image[0] * self._image[0]).sum(axis=0, dtype=np.float64)
        by_large = by_mask / spread
        by_large.flat[mask.argmin()] -= (by_mask * (1 - mask)).sum() / spread
        by_large.flat[mask.argmax()] -= (by_mask * mask).sum() / spread
        by_weight = np.tensordot(self.channels, self._down.T @ by_large @ self._across, axes=2)
        weights = softmax(u)
        return np.asarray(weights * (by_weight - weights @ by_weight))


def softmax(u: np.ndarray) -> np.ndarray:
    """[C], f64: positive, and adding up to 1."""
    exponentials = np.exp(u - u.max())
    return np.asarray(exponentials / exponentials.sum())
