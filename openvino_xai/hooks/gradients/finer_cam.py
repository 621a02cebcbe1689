"""Finer-CAM: what speaks for a class and not for those that look like it.

Zhang et al., "Finer-CAM: Spotting the difference reveals finer details for visual explanation", 2025: Grad-CAM of the score
y_c - gamma y_d, d a similar class, on the mean over several. As in its authors' code the similar classes are the three
whose scores are nearest to y_c. The mean is taken ahead of the ReLU, so that one backward pass is enough.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import magnitude, weighed
from openvino_xai.hooks.site import Site

GAMMA = 0.6  # the paper's
NEAREST = 3


def finer_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels. With a single class it is Grad-CAM."""
    class_seeds = site.explained_classes()  # [B, K, J]
    seeds = contrasts(xp, site.class_scores(), class_seeds)
    return weighed(xp, site, xp.mean(site.gradients_of(seeds), axis=2))


def contrasts(xp: Namespace, scores: Array, class_seeds: Array) -> Array:
    """[B, K, J]: 1 at each explained class, and -gamma / 3 at the three whose `scores` [B, J] are nearest to its own."""
    batch, classes, total = class_seeds.shape
    count = min(NEAREST, total - 1)
    if not count:
        return class_seeds
    y = xp.reshape(scores, (batch, 1, total))
    ahead = xp.subtract(y, xp.sum(xp.multiply(class_seeds, y), axis=2, keepdims=True))
    distance = magnitude(xp, ahead)
    farther = xp.add(xp.max(distance, axis=2, keepdims=True), 1.0)
    nearness = xp.multiply(xp.where(xp.equal(class_seeds, 1.0), farther, distance), -1.0)  # the class is not its own neighbour
    places = xp.reshape(xp.top_k(nearness, count, axis=2), (batch, classes, count, 1))
    nothing = xp.multiply(xp.reshape(class_seeds, (batch, classes, 1, total)), 0.0)
    shares = xp.where(xp.equal(places, np.arange(total)), GAMMA / count, nothing)  # [B, K, 3, J]
    return xp.subtract(class_seeds, xp.sum(shares, axis=2))
