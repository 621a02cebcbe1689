"""Occlusion: what the class loses where a patch of the image is covered.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2. A patch is covered with 0 as the
model sees it, which is the mean colour where a mean is subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings, in_chunks


def occlusion(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the mean loss over the patches that cover a pixel."""
    height, width = image.shape[2:]
    patch = settings.patch or max(1, -(-min(height, width) // 7))
    stride = settings.stride or max(1, patch // 2)
    corners = [(top, left) for top in starts(height, patch, stride) for left in starts(width, patch, stride)]
    baseline = model.scores(image)[0, classes]
    total, covered = np.zeros((len(classes), height, width)), np.zeros((height, width))
    for chunk in in_chunks(len(corners), model.batch, settings.progress):
        some = np.repeat(image, chunk.stop - chunk.start, axis=0)
        for variant, (top, left) in zip(some, corners[chunk], strict=True):
            variant[:, top : top + patch, left : left + patch] = 0
        lost = baseline - model.scores(some)[:, classes]
        for loss, (top, left) in zip(lost, corners[chunk], strict=True):
            total[:, top : top + patch, left : left + patch] += loss[:, None, None]
            covered[top : top + patch, left : left + patch] += 1
    return np.asarray(total / covered, np.float32)


def starts(size: int, patch: int, stride: int) -> list[int]:
    """Where patches begin, so that all of an axis is covered and none reaches beyond it."""
    last = max(size - patch, 0)
    return [*range(0, last, stride), last]
