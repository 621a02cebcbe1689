"""Where a detector sees each class: its answer, drawn. These maps say where rows are sure of a class, and not why."""

from __future__ import annotations

from functools import reduce

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.rows.site import ClassSite

SIDE = 23  # cells of a map of class probabilities, rows and columns


def class_map(xp: Namespace, site: ClassSite) -> Array:
    """[B, C, H, W]: the largest log-odds of a class among the rows of a cell, of all levels."""
    return reduce(xp.maximum, [site.repeated(level) for level in site.log_odds()])


def class_probability(xp: Namespace, site: ClassSite) -> Array:
    """[B, C, 23, 23] in [0, 1]: the share of each class at a place, of its logits' mean over levels.

    The largest logit among the anchors of a cell, resized linearly, averaged over levels, and a softmax over classes: the map
    of detectors in OpenVINO XAI 1.1 (`DetClassProbabilityMap`).
    """
    levels = [site.resized(level, (SIDE, SIDE)) for level in site.logits()]
    return xp.softmax(xp.divide(reduce(xp.add, levels), float(len(levels))), axis=1)
