"""Gradients of the class's logit by the image: which pixels it moves with.

Four methods, of which each is a few lines; maps are in the image's pixels, not below 0: how much, whichever way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, in_chunks

LEVEL = 0.15  # of noise, as a share of the image's range: the middle of what SmoothGrad's authors recommend


def saliency(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32: the largest absolute gradient of a pixel's channels.

    Simonyan et al., "Deep inside convolutional networks", 2014, section 3.1.
    """
    return np.stack([np.abs(model.gradients(image, k)[0]).max(axis=0) for k in classes]).astype(np.float32)


def input_x_gradient(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32: the absolute sum over channels of pixel times gradient.

    Shrikumar et al., "Not just a black box: Learning important features through propagating activation differences", 2016.
    """
    return np.stack([np.abs((image * model.gradients(image, k))[0].sum(axis=0)) for k in classes]).astype(np.float32)


def integrated_gradients(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32: the absolute sum over channels of what a pixel adds on the way from an image of zeros.

    Sundararajan et al., "Axiomatic attribution for deep networks", 2017, equation 3, with the gradient in the middle of each of
    `settings.steps` steps. Zero is what the model sees of the mean colour where a mean is subtracted.
    """
    attributions = [attributed(model, image, k, settings).sum(axis=0) for k in classes]
    return np.asarray(np.abs(np.stack(attributions)), np.float32)


def attributed(model: Classifier, image: np.ndarray, k: int, settings: Settings) -> np.ndarray:
    """[C, H, W], f64: integrated gradients of class k; they add up to its logit, less that of an image of zeros."""
    shares = (np.arange(settings.steps, dtype=np.float32) + 0.5) / settings.steps
    total = np.zeros(image.shape[1:])
    for chunk in in_chunks(settings.steps, model.batch, settings.progress):
        total += model.gradients(image * shares[chunk].reshape(-1, 1, 1, 1), k).sum(axis=0, dtype=np.float64)
    return np.asarray(image[0] * total / settings.steps)


def smooth_grad(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32: the largest absolute value of a pixel's channels in the mean gradient of noisy copies.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, with `settings.copies` copies.
    """
    deviation = LEVEL * float(np.ptp(image))
    maps = []
    for k in classes:
        rng, total = np.random.default_rng(settings.seed), np.zeros(image.shape[1:])
        for chunk in in_chunks(settings.copies, model.batch, settings.progress):
            noise = rng.normal(0, deviation, (chunk.stop - chunk.start, *image.shape[1:])).astype(np.float32)
            total += model.gradients(image + noise, k).sum(axis=0, dtype=np.float64)
        maps.append(np.abs(total / settings.copies).max(axis=0))
    return np.stack(maps).astype(np.float32)
