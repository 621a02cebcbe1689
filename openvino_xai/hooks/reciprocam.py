"""Recipro-CAM: the score that a class keeps when one cell of the feature map is all there is.

Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022, equations 5-7.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import Site


def reciprocam(xp: Namespace, site: Site) -> Array:
    """Maps [B, K, H, W], on the scale of the scores: cell (h, w) holds y_n[k] with n = h * W + w."""
    kept = site.scores(site.mask_cells())
    return xp.reshape(xp.permute_dims(kept, (0, 2, 1)), (site.batch, site.classes, *site.grid))
