"""What a method of rows is given: the layers of a detector, level by level, with the rows that are explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from openvino_xai.graph.vocabulary import Array


class RowSite(Protocol):
    """A set of L layers of a detector, the finest first, with D rows of each image that are explained there."""

    def products(self, weigh: Callable[[Any, Array], Array]) -> list[Array]:
        """L of [B, D, H, W]: for each cell of a layer the sum over channels of feature times `weigh(xp, gradient)`.

        The gradient is that of the row's log-odds.
        """

    def enlarged(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest layer, of a layer's maps [B, D, h, w]: bilinear between the centres of cells."""

    def repeated(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest layer, of a layer's maps [B, D, h, w]: each cell as often as it is larger."""
