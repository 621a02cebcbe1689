"""Smooth Grad-CAM++: Grad-CAM++ with powers of the gradient that are averaged over noisy copies of the image.

Omeiza et al., "Smooth Grad-CAM++: An enhanced inference level visualization technique for deep convolutional neural network
models", 2019, equations 8 - 10: with D1, D2, D3 the means of g, g^2 and g^3 over the copies, alpha = D2 / (2 D2 + sum of A D3)
and w = sum over cells of alpha max(D1, 0). The features A are those of the image itself. Noise is Gaussian, its deviation a
share of the image's range, as in SmoothGrad (Smilkov et al., 2017).

Where this is narrower than common practice, or goes its own way:
- The number of copies and the level of noise are parameters in the paper, here constants of this file.
- The noise itself is a constant of the model, the same for all images and runs but for its level, so that a map can be
  repeated and verified. It is commonly drawn anew.
- g^2 and g^3 stand in for higher derivatives of an exponential of the score, as in Grad-CAM++; only g is computed.
- The mean D1 goes through the ReLU, not the gradient of each copy.
- w is a mean over cells, not a sum, which is the same map on another scale.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import cells_by_class, quotient, rectified, weighed
from openvino_xai.hooks.site import Site

COPIES = 5
LEVEL = 0.15  # of the image's range


def smooth_grad_cam_plus_plus(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more, over the number of cells: the ReLU of the weighed sum of channels."""
    g = site.gradients_at(site.noisy_images(COPIES, LEVEL))  # [B, S, K, N, C]
    squared = xp.multiply(g, g)
    first, second, third = (xp.mean(power, axis=1) for power in (g, squared, xp.multiply(squared, g)))
    total = xp.sum(cells_by_class(xp, site), axis=2, keepdims=True)
    alpha = quotient(xp, second, xp.add(xp.multiply(second, 2.0), xp.multiply(total, third)))
    return weighed(xp, site, xp.mean(xp.multiply(alpha, rectified(xp, first)), axis=2))
