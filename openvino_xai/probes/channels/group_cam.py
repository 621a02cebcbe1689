"""Group-CAM: groups of channels weigh what the class gains where they uncover a blurred image.

Zhang, Rao and Yang, "Group-CAM: Group score-weighted visual explanations for deep convolutional networks", 2021, equations
2 - 8: channels are weighed, summed in `groups` of neighbours, cut off at 0 and below their 70th percentile, enlarged, min-max
scaled, and mix the image with one under a Gaussian of 51 pixels, sigma 50.

A channel's weight is the mean of the logit's derivative over its cells. Of tokens, those that are no cells take no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, blurred, enlarged, in_chunks, unit

PERCENTILE = 70
KERNEL, SIGMA = 51, 50.0


def group_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the groups' masks, weighed, not below 0."""
    channels = model.features(image)[0].astype(np.float64)
    soft = blurred(image, KERNEL, SIGMA, cv2.BORDER_REFLECT_101)
    base = model.scores(soft)[0]
    maps = []
    for k in classes:
        weights = model.layer_gradients(image, k).mean(axis=(1, 2), dtype=np.float64)
        masks = group_masks(weights[:, None, None] * channels, settings.groups, (image.shape[2], image.shape[3]))
        total = np.zeros(image.shape[2:])
        for chunk in in_chunks(len(masks), model.batch, settings.progress):
            some = masks[chunk][:, None]
            gained = model.scores(image * some + soft * (1 - some))[:, k] - base[k]
            total += np.einsum("n,nhw->hw", gained, masks[chunk])
        maps.append(np.maximum(total, 0).astype(np.float32))
    return np.stack(maps)


def group_masks(weighed: np.ndarray, groups: int, size: tuple[int, int]) -> np.ndarray:
    """The masks [G, H, W] in [0, 1] of weighed channels [C, h, w]; groups that say nothing are left out."""
    each = -(-len(weighed) // groups)
    sums = np.stack([weighed[start : start + each].sum(axis=0) for start in range(0, len(weighed), each)])
    positive = np.maximum(sums, 0)
    positive[positive <= np.percentile(positive, PERCENTILE, axis=(1, 2), keepdims=True)] = 0
    masks = unit(enlarged(positive, size))
    return np.asarray(masks[masks.max(axis=(1, 2)) > 0])
