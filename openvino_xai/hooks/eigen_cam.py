"""Eigen-CAM: the cells along the direction in which a layer's channels say most, whatever the class.

Muhammad and Yeasin, "Eigen-CAM: Class activation map using principal components", 2020, equation 4: with A = U S V^T the
singular value decomposition of the features [N, C], which are not centred, the map is A v, v the first column of V. It is found
by the power method, v <- A^T A v, from the mean of the cells, which also settles the sign that a decomposition leaves open.
Each pass takes the share of the second direction down by (s2 / s1)^2.
"""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Axis, Namespace
from openvino_xai.hooks.channels import magnitude, quotient
from openvino_xai.hooks.site import Site

PASSES = 12


def eigen_cam(xp: Namespace, site: Site) -> Array:
    """Saliency [B, N, 1]: how far each cell goes along the first direction; 0 where the layer answers nothing."""
    cells = site.cells()
    a = quotient(xp, cells, _largest(xp, cells, (1, 2)))  # of large numbers, or of small ones, f32 has no products
    turned = xp.permute_dims(a, (0, 2, 1))
    direction = _unit(xp, xp.mean(turned, axis=2, keepdims=True))  # [B, C, 1]
    for _ in range(PASSES):
        direction = _unit(xp, xp.matmul(turned, xp.matmul(a, direction)))
    return xp.matmul(cells, direction)


def _unit(xp: Namespace, x: Array) -> Array:
    """[B, C, 1]: at length 1; 0 stays 0."""
    scaled = quotient(xp, x, _largest(xp, x, 1))
    return quotient(xp, scaled, xp.sqrt(xp.sum(xp.multiply(scaled, scaled), axis=1, keepdims=True)))


def _largest(xp: Namespace, x: Array, axis: Axis) -> Array:
    """The largest absolute value along some axes, which stay."""
    return xp.max(magnitude(xp, x), axis=axis, keepdims=True)
