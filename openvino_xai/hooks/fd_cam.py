"""FD-CAM: gradients say which channels tell classes apart, and switching groups of channels says how much the score needs them.

Li et al., "FD-CAM: Improving faithfulness and discriminability of visual explanation for CNNs", 2022, equations 4 - 11. A
channel's group are those that are most like it: the top 5 % by cosine similarity of the flattened maps. Its score is how much
the class loses without the group (switch off) and has with the group alone (switch on), averaged. With the scores s and the
mean gradients alpha min-max scaled over the channels, its weight is alpha exp(s) - 0.5.

The score of the whole features, from which that without the group is taken away, is the same for all channels: scaling takes it
out, and so it is not computed.
"""

from __future__ import annotations

from math import floor

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import quotient, weighed
from openvino_xai.hooks.scale import unit
from openvino_xai.hooks.selection import largest
from openvino_xai.hooks.site import Channels, Site

THETA = 0.95  # the quantile of similarities above which a channel belongs to the group
BASE = 0.5


def fd_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels."""
    group = groups(xp, site.cells())
    channels = group.shape[2]
    others = xp.equal(group, np.zeros((), bool))
    scores = site.scores(Channels(xp.concat([group, others], axis=1)))  # [B, 2 C, K]
    on, off = (xp.take(scores, np.arange(channels) + start, axis=1) for start in (0, channels))
    switched = unit(xp, xp.multiply(xp.subtract(on, off), 0.5))  # [B, C, K]
    alpha = unit(xp, xp.permute_dims(xp.mean(site.gradients(), axis=2), (0, 2, 1)))
    weights = xp.subtract(xp.multiply(alpha, xp.exp(switched)), BASE)
    return weighed(xp, site, xp.permute_dims(weights, (0, 2, 1)))


def groups(xp: Namespace, cells: Array) -> Array:
    """[B, C, C], boolean: which channels are above the quantile of similarities to channel c, for cells [B, N, C]."""
    turned = xp.permute_dims(cells, (0, 2, 1))
    length = xp.sqrt(xp.sum(xp.multiply(turned, turned), axis=2, keepdims=True))
    direction = quotient(xp, turned, length)
    alike = xp.matmul(direction, xp.permute_dims(direction, (0, 2, 1)))
    channels = cells.shape[2]
    above = channels - 1 - floor(THETA * (channels - 1))
    return xp.greater(alike, largest(xp, alike, above + 1))
