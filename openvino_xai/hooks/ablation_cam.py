"""Ablation-CAM: a channel weighs what the class loses without it.

Desai and Ramaswamy, "Ablation-CAM: Visual explanations for deep convolutional network via gradient-free localization", 2020,
equations 3 - 5, with channels set to zero. The slope is over the size of the score, so that a class with a negative score keeps
the sign of what its channels do for it. Of tokens, those that are no cells stay as they are while a channel of the others is
set to zero.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import magnitude, weighed
from openvino_xai.hooks.site import Channels, ChannelSite

SMALLEST = 1e-12


def ablation_cam(xp: Namespace, site: ChannelSite) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels."""
    cells = site.cells()
    batch, channels = cells.shape[0], cells.shape[2]
    masks = np.concatenate([np.ones((1, channels), bool), ~np.eye(channels, dtype=bool)])
    scores = site.scores(Channels(xp.broadcast_to(masks[None], (batch, channels + 1, channels))))  # [B, 1 + C, K]
    baseline = xp.take(scores, np.array([0]), axis=1)
    lost = xp.subtract(baseline, xp.take(scores, np.arange(channels) + 1, axis=1))
    size = xp.maximum(magnitude(xp, baseline), SMALLEST)
    return weighed(xp, site, xp.permute_dims(xp.divide(lost, size), (0, 2, 1)))
