"""HiResCAM: each element of the features, times its own gradient: what the cell adds to the class's score.

Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020,
equation 3. The sum is rectified, as for the others of the family: what speaks against the class is not drawn.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import weighed_each
from openvino_xai.hooks.site import Site


def hires_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the sum over channels of A g."""
    return weighed_each(xp, site, site.gradients())
