"""CAM: the class's own weights over the channels of each cell.

Zhou et al., "Learning deep features for discriminative localization", 2016, equation 2: sum over c of w_c f_c(x, y), where
the logit is a mean over the cells and linear layers. There the logit that one cell leaves is this sum over the number of cells,
plus what all cells share, so that scaled maps are equal. Tails that are not linear are refused.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.reciprocam import reciprocam
from openvino_xai.hooks.site import Site


def cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], on the scale of logits: what each cell adds to the class's logit, and a constant."""
    return reciprocam(xp, site)
