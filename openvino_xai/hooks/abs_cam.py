"""Abs-CAM: a channel weighs what the class has where the image is masked with it, and channels without a gradient are left out.

Zeng et al., "Abs-CAM: A gradient optimization interpretable approach for explanation of convolutional neural networks", 2022,
algorithm 1 and equation 5. W_k is the mean of the absolute gradient of the score over channel k. W_k A_k is enlarged to
the image and min-max scaled to a mask M_k. The map sums over k the class's softmax score of M_k X, times M_k. Min-max takes
a positive W_k out again: it matters only where it is 0. A constant channel counts 0. Each channel costs a run of the whole
network.

Enlarging is linear and leaves constants alone, so the sum is taken on the cells: enlarged, the map is the paper's. Between the
centres of cells no mask is below 0, and the paper's ReLU changes nothing there. `abs_cam_init` is the sum of W_k A_k.

Where a site says how many `channels`, each class asks about those of its largest W_k alone, which the paper does not.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import magnitude, quotient, weighed
from openvino_xai.hooks.site import ImageSite


def abs_cam_init(xp: Namespace, site: ImageSite) -> Array:
    """Saliency [B, N, K], 0 or more: the channels, each weighed by the mean of its absolute gradient."""
    return weighed(xp, site, _weights(xp, site))


def abs_cam(xp: Namespace, site: ImageSite) -> Array:
    """Saliency [B, N, K]: the channels' masks, each weighed by the class's probability of the image under it."""
    cells, weights = site.cells(), _weights(xp, site)
    if site.channels is None or site.channels >= cells.shape[2]:
        return _sum_of_masks(xp, site, cells, weights)
    (batch, count, _), classes, most = cells.shape, weights.shape[1], site.channels
    indices = site.largest_channels(weights)  # [B, K, n]
    of_each = xp.reshape(indices, (batch, 1, classes * most))
    channels = xp.take_along_axis(cells, xp.broadcast_to(of_each, (batch, count, classes * most)), axis=2)
    largest = xp.reshape(xp.take_along_axis(weights, indices, axis=2), (batch, 1, classes * most))
    # a class leaves out what the others picked, so that its map is the same whatever else is explained
    return _sum_of_masks(xp, site, channels, xp.multiply(largest, np.repeat(np.eye(classes, dtype=np.float32), most, axis=1)))


def _sum_of_masks(xp: Namespace, site: ImageSite, channels: Array, weights: Array) -> Array:
    """Saliency [B, N, K]: of `channels` [B, N, M], those of which the weight [B, K, M] is not 0."""
    low, high = site.enlarged_range(xp.permute_dims(channels, (0, 2, 1)))  # [B, 1, M]
    constant = xp.equal(xp.max(channels, axis=1, keepdims=True), xp.min(channels, axis=1, keepdims=True))
    spread = xp.where(constant, 0.0, xp.subtract(high, low))
    masks = quotient(xp, xp.subtract(channels, low), spread)  # [B, N, M]
    scores = site.image_scores(xp.permute_dims(masks, (0, 2, 1)))  # [B, M, K]
    without = xp.equal(weights, 0.0)  # [B, K, M]
    # weights lie as [B, K, M]: as [B, M, K], OpenVINO 2026.4.1 mixes up the product of one class with its batch
    counted = xp.where(without, 0.0, xp.permute_dims(scores, (0, 2, 1)))
    return xp.matmul(masks, xp.permute_dims(counted, (0, 2, 1)))


def _weights(xp: Namespace, site: ImageSite) -> Array:
    """[B, K, C]: the mean over the cells of the absolute gradient."""
    slopes = site.gradients()
    return xp.mean(magnitude(xp, slopes), axis=2)
