"""Recipro-CAM: the score that a class keeps when one cell of the feature map is all there is.

Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, equations 5-7.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import Cells, Site


def reciprocam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K] on the scale of the scores: y_n[k], where mask n keeps one cell."""
    return site.scores(Cells())
