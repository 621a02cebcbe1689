"""Integrated gradients: gradients on the straight way from a baseline to the image, times how far each element moves.

Sundararajan et al., "Axiomatic attribution for deep networks", 2017, equations 1 and 3: for a baseline x' element i is
attributed `(x_i - x'_i)` times the mean of `df/dx_i` over the way. Attributions add up to `f(x) - f(x')` (completeness), up to
what the number of steps leaves.

Where this is narrower than common practice, or goes its own way:
- The mean takes the gradient in the middle of each step, where the paper's equation 3 takes it at its end: the error falls with
  the square of the number of steps where f is smooth.
- A map is the absolute sum of a pixel's attributions.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import cells_by_class, magnitude
from openvino_xai.hooks.site import PixelSite


def integrated_gradients(xp: Namespace, site: PixelSite) -> Array:
    """[B, K, N, C]: what each of the C elements of N pixels adds to each score."""
    mean = xp.mean(site.gradients_at(site.images_on_the_way()), axis=1)  # [B, S, K, N, C] over S
    return xp.multiply(xp.subtract(cells_by_class(xp, site), site.baseline), mean)


def sum_of_pixel(xp: Namespace, values: Array) -> Array:
    """Saliency [B, N, K], 0 or more: the absolute sum of a pixel's values [B, K, N, C]."""
    total = xp.sum(values, axis=3)
    return xp.permute_dims(magnitude(xp, total), (0, 2, 1))
