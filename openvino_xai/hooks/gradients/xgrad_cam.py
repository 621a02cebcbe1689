"""XGrad-CAM: the gradient, averaged over the cells by how much of the channel is there.

Fu et al., "Axiom-based Grad-CAM: Towards accurate visualization and explanation of CNNs", 2020, equation 8:
w_c = sum over cells of (A_c / sum of A_c) g_c. Other implementations add 1e-7 to the sum, which matters where it is nearly 0.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import contributions, quotient, weighed
from openvino_xai.hooks.site import Site


def xgrad_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels. A channel whose sum is 0 has no weight."""
    sums = xp.sum(site.cells(), axis=1, keepdims=True)
    return weighed(xp, site, quotient(xp, contributions(xp, site), sums))
