"""LIFT-CAM: channels, weighed by what they add to the class's logit, for tails that are linear.

Jung and Oh, "Towards better explanations of class activation mapping", 2021: the sum of channels whose coefficients
are their contributions by DeepLIFT (Shrikumar et al., "Learning important features through propagating activation
differences", 2017), from features of zeros. Where what follows the layer is linear (a mean over the cells and linear layers)
that is the sum over the cells of A_c g_c, and also the channel's SHAP value. DeepLIFT's rules for what is not linear are not
gradients, and such tails are refused: there the probe `shap_cam` draws the SHAP values, which LIFT-CAM is to come near.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import contributions, weighed
from openvino_xai.hooks.site import Site


def lift_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels."""
    return weighed(xp, site, contributions(xp, site))
