"""Zoom-CAM: what each cell of several layers adds to the class's score, the largest of all layers.

Shi et al., "Zoom-CAM: Generating fine-grained pixel annotations from image labels", 2020: an element of a layer is weighed by
the derivative of the score by that element, which the paper writes out through convolutions and ReLUs; the sum over channels
is rectified. Maps of layers are brought to one range and one size, and the largest is taken at each place.

Where this is narrower than the paper, or goes its own way:
- The paper joins all layers between two of its own choice. Here they are those that a caller names, each of which has to
  separate the image from the scores.
- A map is brought to its range by dividing it by its largest value. 0 stays 0, so that nothing is drawn where no layer has it.
- Maps are enlarged to the cells of the finest layer, and not to the image.
"""

from __future__ import annotations

from functools import reduce

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import OfLayer, weighed_each
from openvino_xai.hooks.gradients.hires_cam import hires_cam
from openvino_xai.hooks.scale import over_largest
from openvino_xai.hooks.site import LayersSite, Site


def zoom_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K] in [0, 1]: of one layer, the ReLU of the sum over channels of A g, over its largest value."""
    return over_largest(xp, hires_cam(xp, site), axis=1)


def zoom_cam_of_layers(xp: Namespace, site: LayersSite) -> Array:
    """Saliency [B, N, K] in [0, 1]: at each cell the largest of the layers' maps."""
    layers = zip(site.cells_of_layers(), site.gradients_of_layers(), strict=True)
    maps = [over_largest(xp, weighed_each(xp, OfLayer(cells), gradients), axis=1) for cells, gradients in layers]
    return reduce(xp.maximum, site.on_one_grid(maps))
