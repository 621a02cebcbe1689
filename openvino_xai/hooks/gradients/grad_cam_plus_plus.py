"""Grad-CAM++: a channel counts by its positive gradients, each weighed by how much of the score its cell accounts for.

Chattopadhyay et al., "Grad-CAM++: Generalized gradient-based visual explanations for deep convolutional networks", 2018,
equations 5, 10, 11 and 19: the score is exp(y), whose derivatives are powers of the gradient g of y, times exp(y), which
scaling takes out: alpha = g^2 / (2 g^2 + sum over cells of A, times g^3), and w = sum over cells of alpha max(g, 0).

Other implementations add 1e-6 to the denominator, which is of the size of g^2 behind a mean over many cells, and so make
maps depend on the scale of the logits. Here a denominator of 0 makes alpha 0, and nothing is added. Before it is scaled, a map
is that of the paper over the number of cells: the mean stands for the sum.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import cells_by_class, quotient, rectified, weighed
from openvino_xai.hooks.site import Site


def grad_cam_plus_plus(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the weighed sum of channels."""
    g = site.gradients()
    total = xp.sum(cells_by_class(xp, site), axis=2, keepdims=True)
    # g^2 is in both parts of the quotient, and so small that it can vanish: it is taken out
    alpha = quotient(xp, rectified(xp, g), xp.add(xp.multiply(total, g), 2.0))
    return weighed(xp, site, xp.mean(alpha, axis=2))
