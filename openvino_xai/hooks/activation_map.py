"""Activation map: how strongly the layer answers each cell, whatever the class.

The mean over channels, as a hook for OpenVINO Training Extensions has it: it shows what the backbone sees, and says nothing of
the head. Every class has the same map.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import Site


def activation_map(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, 1]: the mean of each cell's channels."""
    return xp.mean(site.cells(), axis=2, keepdims=True)
