"""Recipro-CAM for boxes: the log-odds that a row keeps when one cell of the image is all there is, or loses without it.

Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, equations 5 - 7,
with the log-odds of one box in place of a class's probability, which is next to nothing where little of a large object is left.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.rows.site import RowSite


def reciprocam(xp: Namespace, site: RowSite) -> Array:
    """[B, D, H, W] on the scale of log-odds, of masks over all layers at once."""
    return site.masked()
