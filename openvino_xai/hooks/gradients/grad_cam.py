"""Grad-CAM: channels, weighed by the mean of the class's gradient over their cells.

Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization", 2017, equations 1 and 2.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import weighed
from openvino_xai.hooks.site import Site


def grad_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels."""
    return weighed(xp, site, xp.mean(site.gradients(), axis=2))
