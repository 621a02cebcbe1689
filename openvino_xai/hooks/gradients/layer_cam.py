"""Layer-CAM: each element of the features, weighed by its own positive gradient; of one layer, or of several together.

Jiang et al., "LayerCAM: Exploring hierarchical class activation maps for localization", 2021, equations 4 - 6. Of several
layers equation 9: a map M becomes tanh(gamma M / max M), with gamma 2, and the largest of the layers' maps is
taken at each place.

Where this goes its own way: the paper scales so the maps of shallow layers, whose values are small. Here the maps of all
layers are scaled, so that none is on a scale of its own. They are enlarged to the cells of the finest layer,
and not to the image.
"""

from __future__ import annotations

from functools import reduce

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import OfLayer, rectified, weighed_each
from openvino_xai.hooks.scale import over_largest
from openvino_xai.hooks.site import LayersSite, Site

GAMMA = 2.0


def layer_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, K], 0 or more: the ReLU of the sum over channels of A max(g, 0)."""
    return weighed_each(xp, site, rectified(xp, site.gradients()))


def layer_cam_of_layers(xp: Namespace, site: LayersSite) -> Array:
    """Saliency [B, N, K] in [0, 1): at each cell the largest of tanh(2 M / max M) of each layer's map M; 0 where M is 0."""
    maps = []
    for cells, gradients in zip(site.cells_of_layers(), site.gradients_of_layers(), strict=True):
        of_layer = weighed_each(xp, OfLayer(cells), rectified(xp, gradients))
        maps.append(xp.tanh(xp.multiply(over_largest(xp, of_layer, axis=1), GAMMA)))
    return reduce(xp.maximum, site.on_one_grid(maps))
