"""Score-CAM: a channel weighs what the class keeps where the image is masked with it.

Wang et al., "Score-CAM: Score-weighted visual explanations for convolutional neural networks", 2020, equations 7 - 9, as its
authors' code has them: each channel is enlarged to the image and min-max scaled, its weight is the class's softmax score of the
masked image, weights are not put through a softmax, and a constant channel has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, enlarged, in_chunks, unit


def score_cam(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the layer's own cells: the channels' weighted sum, not below 0.

    Of tokens, those that are no cells take no part: they are in no mask of the image, and in no map.
    """
    channels = model.features(image)[0]
    weights = np.zeros((len(channels), len(classes)))
    for chunk in in_chunks(len(channels), model.batch, settings.progress):
        masks = unit(enlarged(channels[chunk], (image.shape[2], image.shape[3])))
        varies = masks.max(axis=(1, 2)) > 0
        weights[chunk] = model.scores(image * masks[:, None])[:, classes] * varies[:, None]
    return np.asarray(np.maximum(np.einsum("ck,chw->khw", weights, channels), 0), np.float32)
