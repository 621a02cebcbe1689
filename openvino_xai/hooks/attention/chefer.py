"""Generic attention explainability: attention that the class's score depends on, gathered over all blocks.

Chefer, Gur and Wolf, "Generic attention-model explainability for interpreting bi-modal and encoder-decoder transformers", 2021,
equations 5 and 6, for self-attention alone: `A_bar = mean over heads of max(0, dy / dA * A)`, and `R <- R + A_bar R` from the
first block to the last, R being the identity before. The map is the class token's row of R, at the patches. The score y is a
logit.

Only that row is computed: it starts at the class token of the last block, and goes back through one block after the other.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.attention.tokens import at_cells
from openvino_xai.hooks.channels import rectified
from openvino_xai.hooks.site import AttentionSite


def chefer(xp: Namespace, site: AttentionSite) -> Array:
    """Saliency [B, N, K], 0 or more: the class token's row of R."""
    row = None  # [B, K, 1, T]
    for attention, slopes in zip(reversed(site.attentions()), reversed(site.attention_gradients()), strict=True):
        batch, heads, tokens, _ = attention.shape
        by_class = xp.reshape(attention, (batch, 1, heads, tokens, tokens))
        relevance = xp.mean(rectified(xp, xp.multiply(slopes, by_class)), axis=2)  # [B, K, T, T]
        if row is None:
            start = np.zeros((1, 1, 1, tokens), np.float32)
            start[..., site.class_token] = 1
            row = xp.add(xp.take(relevance, np.array([site.class_token]), axis=2), start)
        else:
            row = xp.add(row, xp.matmul(row, relevance))
    return at_cells(xp, site, xp.mean(row, axis=2))
