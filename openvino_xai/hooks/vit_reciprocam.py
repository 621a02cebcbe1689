"""Recipro-CAM for vision transformers: the score that a class keeps when one neighbourhood of tokens is all there is.

Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, and its
variant for transformers: in the last attention block the residual and the normalised input are masked, tokens that are no
cells (class, distillation, registers) are kept, and each neighbour of a cell is weighed by a Gaussian kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import Cells, Site

GAUSSIAN = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def vit_reciprocam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K] on the scale of the scores: y_n[k], where mask n keeps one neighbourhood."""
    return site.scores(Cells(KERNELS[site.kernel](*site.token_grid)))


def gaussian(height: int, width: int) -> np.ndarray:
    """Weights [N, H * W] in [0, 1]: the kernel 1 2 1, 2 4 2, 1 2 1 over 16 around each cell, cut off at the border."""
    weights = np.zeros((height, width, height + 2, width + 2))
    for h in range(height):
        for w in range(width):
            weights[h, w, h : h + 3, w : w + 3] = GAUSSIAN
    return weights[:, :, 1:-1, 1:-1].reshape(height * width, height * width)


def cell(height: int, width: int) -> np.ndarray:
    """Weights [N, H * W]: 1 at the cell alone."""
    return np.eye(height * width)


KERNELS: dict[str, Callable[[int, int], np.ndarray]] = {"gaussian": gaussian, "cell": cell}
