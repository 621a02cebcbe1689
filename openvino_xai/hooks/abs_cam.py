"""Abs-CAM: channels weighed by the mean of absolute gradients, and the map held to what the network says of what it uncovers.

Zeng et al., "Abs-CAM: A gradient optimization interpretable approach for explanation of convolutional neural networks", 2022,
equations 1 - 5 and algorithm 1. The first phase sums the channels, each weighed by the mean of |g|. The second enlarges and
min-max scales that map, multiplies the image by it, asks the network for the class's probability, and multiplies the first map
by that. The factor is one number for a map: it tells in raw maps, and min-max scaled both phases draw the same picture.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import weighed
from openvino_xai.hooks.scale import unit
from openvino_xai.hooks.site import Site


def abs_cam_init(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the first phase alone."""
    g = site.gradients()
    return weighed(xp, site, xp.mean(xp.maximum(g, xp.multiply(g, -1.0)), axis=2))


def abs_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: both phases."""
    first = abs_cam_init(xp, site)
    scores = site.image_scores(xp.permute_dims(unit(xp, first), (0, 2, 1)))  # [B, K]
    return xp.multiply(first, xp.reshape(scores, (scores.shape[0], 1, scores.shape[1])))
