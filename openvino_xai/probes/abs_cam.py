"""Abs-CAM: a channel weighs what the class has where the image is masked with it, and channels without a gradient are left out.

Zeng et al., "Abs-CAM: A gradient optimization interpretable approach for explanation of convolutional neural networks", 2022,
algorithm 1 and equation 5. W_k is the mean of the absolute gradient of the logit over channel k. W_k A_k is enlarged to
the image and min-max scaled to a mask M_k. The map is the sum over k of the class's softmax score of M_k X, times M_k. Min-max
takes a positive W_k out again: it matters only where it is 0. A constant channel counts 0.

Enlarging is linear and leaves constants alone, so the sum is taken on the cells: enlarged, the map is the paper's. Between the
centres of cells no mask is below 0, and the paper's ReLU changes nothing there.

Where `Settings` say how many `channels`, each class asks about those of its largest W_k alone, which the paper does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, enlarged, in_chunks


def abs_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells: the masks' weighted sum.

    Of tokens, those that are no cells take no part.
    """
    channels = model.features(image)[0]
    slopes = np.stack([np.abs(model.layer_gradients(image, k)).mean(axis=(1, 2)) for k in classes], axis=1)  # [C, K]
    varies = channels.max(axis=(1, 2)) > channels.min(axis=(1, 2))
    if settings.channels is not None:
        slopes = _largest(slopes, settings.channels)
    questions = np.flatnonzero(varies & (slopes > 0).any(axis=1))
    maps = np.zeros((len(classes), *channels.shape[1:]))
    for chunk in in_chunks(len(questions), model.batch, settings.progress):
        some = channels[questions[chunk]]
        large = enlarged(some, (image.shape[2], image.shape[3]))
        low = large.min(axis=(1, 2), keepdims=True)
        spread = large.max(axis=(1, 2), keepdims=True) - low
        spread[spread == 0] = np.inf
        weights = model.scores(image * ((large - low) / spread)[:, None])[:, classes] * (slopes[questions[chunk]] > 0)
        maps += np.einsum("ck,chw->khw", weights, (some - low) / spread)
    return maps.astype(np.float32)


def _largest(weights: np.ndarray, most: int) -> np.ndarray:
    """Weights [C, K], with 0 where a class has `most` larger ones; of equals the first are the larger."""
    order = np.argsort(-weights, axis=0, kind="stable")[:most]
    largest = np.zeros_like(weights)
    np.put_along_axis(largest, order, np.take_along_axis(weights, order, axis=0), axis=0)
    return largest
