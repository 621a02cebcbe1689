"""Ablation-CAM: a channel weighs what the class loses without it.

Desai and Ramaswamy, "Ablation-CAM: Visual explanations for deep convolutional network via gradient-free localization", 2020,
equations 3 - 5, with channels set to zero. The slope is over the size of the score, so that a class with a negative score keeps
the sign of what its channels do for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, in_chunks

SMALLEST = 1e-12


def ablation_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells: the channels' weighted sum, not below 0.

    Of tokens, those that are no cells stay as they are while a channel of the others is set to zero.
    """
    channels = model.features(image)[0]
    baseline, without = losses(model, image, channels, classes, settings)
    weights = (baseline - without) / np.maximum(np.abs(baseline), SMALLEST)
    return np.asarray(np.maximum(np.einsum("ck,chw->khw", weights, channels), 0), np.float32)


def losses(
    model: Classifier, image: np.ndarray, channels: np.ndarray, classes: Sequence[int], settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """The classes' logits [K] with all channels [C, h, w], and [C, K] with each in turn set to zero."""
    baseline = model.logits_from(channels[None], image)[0, classes]
    without = np.zeros((len(channels), len(classes)))
    for chunk in in_chunks(len(channels), model.batch, settings.progress):
        count = chunk.stop - chunk.start
        ablated = np.repeat(channels[None], count, axis=0)
        ablated[np.arange(count), np.arange(chunk.start, chunk.stop)] = 0
        without[chunk] = model.logits_from(ablated, image)[:, classes]
    return baseline, without
