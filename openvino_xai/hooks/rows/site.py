"""What a method of rows is given: the layers or the heads of a detector, level by level."""

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

    def masked(self) -> Array:
        """[B, D, H, W]: the log-odds that a row keeps where mask (h, w) leaves one cell of the image, or loses without it."""

    def enlarged(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest layer, of a layer's maps [B, D, h, w]: bilinear between the centres of cells."""

    def repeated(self, maps: Array) -> Array:
        """[B, D, H, W] of the finest layer, of a layer's maps [B, D, h, w]: each cell as often as it is larger."""


class ClassSite(Protocol):
    """The heads of a detector of C classes, level by level, the finest first."""

    def logits(self) -> list[Array]:
        """For each level [B, C, h, w]: the largest logit of a class among the rows of a cell."""

    def log_odds(self) -> list[Array]:
        """For each level [B, C, h, w]: the largest log-odds of a class, objectness included, among the rows of a cell."""

    def repeated(self, maps: Array) -> Array:
        """[B, C, H, W] of the finest level, of a level's maps [B, C, h, w]: each cell as often as it is larger."""

    def resized(self, maps: Array, grid: tuple[int, int]) -> Array:
        """[B, C, *grid], of a level's maps [B, C, h, w]: linear between the centres of cells."""
