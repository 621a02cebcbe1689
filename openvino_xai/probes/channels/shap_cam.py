"""SHAP-CAM: channels, weighed by their Shapley values.

Jung and Oh, "Towards better explanations of class activation mapping", 2021: the sum of channels whose coefficients
are the SHAP values of a game in which channels are set to zero, and the logit is won. A value is the mean of what the channel
adds, over orders in which channels may come. Orders are random, and each is followed by its reverse (Mitchell, Cooper, Frank
and Holmes, "Sampling permutations for Shapley value estimation", 2022), with which the values are exact where no more than two
channels act together.

Shap-CAM of Zheng et al., 2022, is another method: there cells have a value. Of tokens, those that are no cells stay as they
are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, in_chunks


def shap_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells, not below 0: the channels' sum, weighed by their values."""
    features = model.features(image)[0]
    values = channel_values(model, image, classes, settings, features)
    return np.asarray(np.maximum(np.einsum("ck,chw->khw", values, features), 0), np.float32)


def channel_values(
    model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings, features: np.ndarray
) -> np.ndarray:
    """[C, K], f64: what each channel of features [C, h, w] adds to a logit, the mean over `settings.orders` orders.

    They add up to the logit of the image, less that of features of zeros.
    """
    count = len(features)
    values, last = np.zeros((count + 1, len(classes))), np.zeros((1, len(classes)))  # the last row is of what is not there
    arrivals = channels_that_come(count, settings.seed)
    for chunk in in_chunks(settings.orders * (count + 1), model.batch, settings.progress):
        channels, masks = zip(*islice(arrivals, chunk.stop - chunk.start), strict=True)
        masked = np.where(np.stack(masks)[:, :, None, None], features, np.float32(0))
        logits = np.concatenate([last, model.logits_from(masked, image)[:, classes]])
        np.add.at(values, list(channels), np.diff(logits, axis=0))
        last = logits[-1:]
    return np.asarray(values[:-1] / settings.orders)


def channels_that_come(count: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """A channel that comes, and which are there then [C], without end: order by order, each from nothing (-1) on."""
    for order in random_orders(count, seed):
        mask = np.zeros(count, bool)
        yield -1, mask.copy()
        for channel in order.tolist():
            mask[channel] = True
            yield channel, mask.copy()


def random_orders(count: int, seed: int) -> Iterator[np.ndarray]:
    """Orders [C] of channels, without end: a random one, and its reverse."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        yield order
        yield order[::-1]
