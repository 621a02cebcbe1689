"""Layer-CAM: each element of the features, weighed by its own positive gradient.

Jiang et al., "LayerCAM: Exploring hierarchical class activation maps for localization", 2021, equations 4 - 6.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import rectified, weighed_each
from openvino_xai.hooks.site import Site


def layer_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the sum over channels of A max(g, 0)."""
    return weighed_each(xp, site, rectified(xp, site.gradients()))
