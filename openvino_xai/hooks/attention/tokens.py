"""What methods share that look at all tokens: those that are cells."""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import AttentionSite


def at_cells(xp: Namespace, site: AttentionSite, by_token: Array) -> Array:
    """Saliency [B, N, K], of values [B, K, T] of all tokens."""
    return xp.permute_dims(xp.take(by_token, site.cell_tokens, axis=2), (0, 2, 1))
