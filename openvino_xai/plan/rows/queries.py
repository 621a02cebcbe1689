"""The site of rows that are queries: what a method asks is planned for whole layers, or answered by arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, numpy_namespace
from openvino_xai.locate.detector import RowLocation
from openvino_xai.locate.layers import CutValue
from openvino_xai.operations.cost import operations
from openvino_xai.plan.rows.levels import Levels
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.level_rows import Picked
from openvino_xai.tail.rows.queries import of_cells, query_gradients, repeated
from openvino_xai.tail.walk import between


class PlannedQuerySite(Levels):
    """The `RowSite` that a hook of queries is traced with."""

    origins: Mapping[str, tuple[Value, int]] = MappingProxyType({})  # all sizes are known ahead
    counted: Mapping[str, tuple[int, int]] = MappingProxyType({})

    def __init__(self, trace: Trace, location: RowLocation, picked: Picked, *, isolated: bool) -> None:
        super().__init__(trace, [grid_of(part) for part in location.layer.cut])
        self._trace, self._location, self._picked, self._isolated = trace, location, picked, isolated
        self.graph = location.graph

    @cached_property
    def _by_row(self) -> list[Value]:
        """For each layer [B * D, ...]: the derivatives of the rows' log-odds."""
        location = self._location
        return query_gradients(location.graph, self._trace, location.rows, self._picked, location.cut, apart=self._isolated)

    def products(self, weigh: Callable[[Any, Array], Array]) -> list[Value]:
        """L of [B, D, H, W]: for each cell of a layer the sum over channels of feature times `weigh(xp, gradient)`."""
        xp, maps = self._trace, []
        for part, gradient in zip(self._location.layer.cut, self._by_row, strict=True):
            features = repeated(xp, tapped(xp, part.value), self._picked)
            product = xp.multiply(features, weigh(xp, gradient))
            by_row = of_cells(xp, product, part.place.cells, grid_of(part), part.place.prefix)
            maps.append(xp.astype(xp.reshape(by_row, (self._picked.batch, self._picked.each, *grid_of(part))), np.float32))
        return maps

    def masked(self) -> Value:
        """Raise PlanError with the cost: a query sees all cells, so that each mask runs all that lies behind the layers."""
        location = self._location
        behind = between(location.graph, set(location.cut), *(head.value for head in location.rows.heads))
        masks = grid_of(location.layer.cut[-1])
        times = 1 + masks[0] * masks[1] * operations(behind) / max(operations(location.graph.nodes), 1)
        raise PlanError(
            f"the rows of '{location.rows.name}' are queries, which see all cells: each of {masks[0]} x {masks[1]} masks would "
            f"run again what lies behind the layers, {times:.0f} times the operations of the plain model. layer_cam and "
            "hires_cam explain these, and so do the probes d_rise and occlusion",
            node=location.rows.name,
            options=("method",),
        )

    def gradients(self) -> list[Value]:
        """L of [B, D, ...]: the derivatives of the rows' log-odds by the layers, in full."""
        batch, each = self._picked.batch, self._picked.each
        return [self._trace.reshape(value, (batch, each, *shape_of(value)[1:])) for value in self._by_row]


class ArrayQuerySite(Levels):
    """The `RowSite` of arrays: features [B, ...] and gradients [B, D, ...] of each layer of a cut."""

    def __init__(self, cut: Sequence[CutValue], features: Sequence[np.ndarray], slopes: Sequence[np.ndarray]) -> None:
        super().__init__(numpy_namespace(), [grid_of(part) for part in cut])
        self._cut, self._features, self._slopes = cut, features, slopes

    def products(self, weigh: Callable[[Any, np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """L of [B, D, H, W]."""
        maps = []
        for part, array, slope in zip(self._cut, self._features, self._slopes, strict=True):
            product = array[:, None].astype(np.float64) * weigh(self.xp, slope)
            flat = product.reshape(-1, *product.shape[2:])
            by_row = of_cells(self.xp, flat, part.place.cells, grid_of(part), part.place.prefix)
            maps.append(np.asarray(by_row).reshape(*slope.shape[:2], *grid_of(part)))
        return maps


def grid_of(part: CutValue) -> tuple[int, int]:
    """(H, W) of a layer. Raises PlanError where only a run tells them."""
    height, width = concrete(part.place.grid, f"the cells of layer '{part.value.name}'")
    return height, width
