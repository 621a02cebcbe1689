"""Input gradient: the derivative of a score by the image itself, for each element that the input holds.

Simonyan et al., "Deep inside convolutional networks: Visualising image classification models and saliency maps", 2014, section
3. A model that holds it answers in one inference how the score moves with every element: `f(x + d) = f(x) + sum(g d)` to first
order, which is what sensitivity analyses and adversarial checks ask.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import magnitude
from openvino_xai.hooks.site import PixelSite


def input_gradient(xp: Namespace, site: PixelSite) -> Array:
    """[B, K, N, C]: the derivative of each score by each of the C elements of N pixels."""
    return site.gradients()


def largest_of_pixel(xp: Namespace, values: Array) -> Array:
    """Saliency [B, N, K], 0 or more: the largest absolute value of a pixel, of values [B, K, N, C] (equation 5)."""
    largest = xp.max(magnitude(xp, values), axis=3)
    return xp.permute_dims(largest, (0, 2, 1))
