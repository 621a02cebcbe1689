"""Attention rollout: how much of each patch reaches the class token, where attention and the residual have equal parts.

Abnar and Zuidema, "Quantifying attention flow in transformers", 2020, section 3 and equation 1: `A_l = (W_att + I) / 2`, rows
normalised, heads averaged, and `rollout(l) = A_l rollout(l - 1)`. The map is the class token's row of the product over all
blocks, at the patches. It knows no class.

Only that row is computed: it starts at the class token of the last block, and goes back through one block after the other.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.attention.tokens import at_cells
from openvino_xai.hooks.site import AttentionSite


def attention_rollout(xp: Namespace, site: AttentionSite) -> Array:
    """Saliency [B, N, 1], 0 or more: the share of each patch in the class token; with all other tokens, shares add up to 1."""
    *before, last = (xp.mean(attention, axis=1) for attention in site.attentions())  # [B, T, T]
    residual = np.zeros((1, 1, last.shape[2]), np.float32)
    residual[0, 0, site.class_token] = 1
    row = xp.add(xp.take(last, np.array([site.class_token]), axis=1), residual)  # [B, 1, T]
    row = xp.divide(row, xp.sum(row, axis=2, keepdims=True))
    for attention in reversed(before):
        sums = xp.add(xp.sum(attention, axis=2), 1.0)  # of the rows of W + I
        share = xp.divide(row, xp.reshape(sums, (sums.shape[0], 1, sums.shape[1])))
        row = xp.add(xp.matmul(share, attention), share)
    return at_cells(xp, site, row)
