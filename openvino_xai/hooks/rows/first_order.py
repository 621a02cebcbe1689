"""Methods that weigh the features of a detector's layers by the gradient of a row's log-odds."""

from __future__ import annotations

from functools import reduce

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.channels import rectified
from openvino_xai.hooks.rows.site import RowSite
from openvino_xai.hooks.scale import over_largest


def layer_cam(xp: Namespace, site: RowSite) -> Array:
    """[B, D, H, W] in [0, 1]: at each cell the largest of the layers' maps, each over its own maximum.

    A layer's map is the ReLU of the sum over channels of A max(g, 0) (Jiang et al., "LayerCAM", 2021, equations 4 - 6). Maps of
    several layers, scaled and then joined by their maximum, are Ultralytics' definition of a detector's map.
    """
    scaled = []
    for product in site.products(rectified):
        maps = site.enlarged(rectified(xp, product))
        scaled.append(over_largest(xp, maps, axis=(2, 3)))
    return reduce(xp.maximum, scaled)


def hires_cam(xp: Namespace, site: RowSite) -> Array:
    """[B, D, H, W], 0 or more: the ReLU of what the cells of all layers add to the row's log-odds, to first order.

    The sum over channels of A g (Draelos and Carin, "HiResCAM", 2020, equation 3), which for the rows of a detector is ODAM
    (Zhao and Chan, "ODAM: Gradient-based instance-specific visual explanations for object detection", 2023, equation 5).
    """
    return rectified(xp, reduce(xp.add, [site.repeated(product) for product in site.products(lambda xp, g: g)]))
