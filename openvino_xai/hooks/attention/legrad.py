"""LeGrad: how the class's score of the tokens behind each block moves with that block's attention.

Bousselham et al., "LeGrad: An explainability method for vision transformers via feature formation sensitivity", 2024. Let s_l
be the score that the model's head makes of the tokens behind block l. The block's relevance of a token is max(0, ds_l / dA_l),
averaged over heads and queries. The map is the sum over blocks, at the patches, min-max scaled. The score is a logit.

Where this is narrower than common practice, or goes its own way:
- The head is the model's own, with its last norm, and reads the class token. The authors' program for CLIP takes the mean of
  all tokens in its place.
- All blocks are summed. That program begins at a block which a caller chooses.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.attention.tokens import at_cells
from openvino_xai.hooks.channels import rectified
from openvino_xai.hooks.site import AttentionSite


def legrad(xp: Namespace, site: AttentionSite) -> Array:
    """Saliency [B, N, K], 0 or more: the sum over blocks."""
    first, *others = (xp.mean(rectified(xp, slopes), axis=(2, 3)) for slopes in site.block_gradients())  # [B, K, T]
    for relevance in others:
        first = xp.add(first, relevance)
    return at_cells(xp, site, first)
