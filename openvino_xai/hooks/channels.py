"""What methods share that weigh the channels of a layer, or each of their elements."""

from __future__ import annotations

from dataclasses import dataclass

from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.site import Features, Site


@dataclass(frozen=True, eq=False)
class OfLayer:
    """The `Features` of one of several layers."""

    channels: Array  # [B, N, C]

    def cells(self) -> Array:
        """[B, N, C]: the channels of each cell."""
        return self.channels


def rectified(xp: Namespace, x: Array) -> Array:
    """max(x, 0)"""
    return xp.maximum(x, 0.0)


def magnitude(xp: Namespace, x: Array) -> Array:
    """|x|"""
    return xp.maximum(x, xp.multiply(x, -1.0))


def cells_by_class(xp: Namespace, site: Features) -> Array:
    """[B, 1, N, C]: the layer's channels of each cell, beside gradients."""
    cells = site.cells()
    return xp.reshape(cells, (cells.shape[0], 1, *cells.shape[1:]))


def contributions(xp: Namespace, site: Site) -> Array:
    """[B, K, C]: the sum over the cells of A_c g_c."""
    return xp.sum(xp.multiply(cells_by_class(xp, site), site.gradients()), axis=2)


def weighed(xp: Namespace, site: Features, weights: Array) -> Array:
    """Saliency [B, N, K]: max(0, sum over c of w_c A_c) for weights [B, K, C] of the channels."""
    return rectified(xp, xp.matmul(site.cells(), xp.permute_dims(weights, (0, 2, 1))))


def weighed_each(xp: Namespace, site: Features, weights: Array) -> Array:
    """Saliency [B, N, K]: max(0, sum over c of w_nc A_nc) for weights [B, K, N, C], or [B, K, 1, C] for all cells."""
    if weights.shape[2] == 1:
        return weighed(xp, site, xp.mean(weights, axis=2))
    each = xp.sum(xp.multiply(cells_by_class(xp, site), weights), axis=3)
    return rectified(xp, xp.permute_dims(each, (0, 2, 1)))


def quotient(xp: Namespace, a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    nothing = xp.equal(b, 0.0)
    return xp.where(nothing, 0.0, xp.divide(a, xp.where(nothing, 1.0, b)))
