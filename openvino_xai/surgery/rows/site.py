"""The site that a method of rows is traced with: what it asks is planned, and computed when the model runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array
from openvino_xai.locate.detector import RowLocation
from openvino_xai.surgery.rows.levels import Levels
from openvino_xai.tail.forward import computed_again
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.reverse_mode import PatchAdjoint, Picked, RowStream, between_all


class PlannedRowSite(Levels):
    """The `RowSite` that a hook is traced with."""

    def __init__(self, trace: Trace, location: RowLocation, picked: Picked, *, isolated: bool) -> None:
        grids = [concrete(shape_of(value)[2:], f"layer '{value.name}'") for value in location.cut]
        super().__init__(trace, [(height, width) for height, width in grids])
        self._trace, self._location, self._picked, self._isolated = trace, location, picked, isolated

    @cached_property
    def _streams(self) -> list[tuple[RowStream, dict[Value, PatchAdjoint]]]:
        """For each level of heads, the way back from it, and the gradients of the layers."""
        location, heads = self._location, [head.value for head in self._location.rows.heads]
        nodes = between_all(location.graph, set(location.cut), heads)
        again = computed_again(self._trace, location.cut, nodes) if self._isolated else {}
        streams = [
            RowStream(location.graph, self._trace, location.table, level, self._picked, location.cut, location.placed, again)
            for level in location.table.levels
        ]
        return [(stream, stream.gradients()) for stream in streams]

    def products(self, weigh: Callable[[Any, Array], Array]) -> list[Value]:
        """L of [B, D, H, W]: for each cell of a layer the sum over channels of feature times `weigh(xp, gradient)`."""
        return [self._product(value, weigh) for value in self._location.cut]

    def _product(self, value: Value, weigh: Callable[[Any, Array], Array]) -> Value:
        """[B, D, H, W] of one layer: windows of all levels, each laid where it belongs."""
        xp, (height, width) = self._trace, shape_of(value)[2:]
        total: Value | None = None
        for stream, gradients in self._streams:
            if value not in gradients:
                continue
            gradient, patch = gradients[value].value, gradients[value].patch
            assert patch is not None
            features = stream.cells.gathered(tapped(xp, value), patch)
            product = xp.sum(xp.multiply(features, weigh(xp, gradient)), axis=1, keepdims=True)
            laid = stream.cells.moved(product, patch, patch.filled())
            total = laid if total is None else xp.add(total, laid)
        if total is None:
            return xp.broadcast_to(np.zeros((1, 1, 1, 1), np.float32), (self._picked.batch, self._picked.each, height, width))
        return xp.astype(xp.reshape(total, (self._picked.batch, self._picked.each, height, width)), np.float32)

    def gradients(self) -> list[Value]:
        """L of [B, D, C, H, W]: the derivatives of the rows' log-odds by the layers, in full."""
        xp, gradients = self._trace, []
        for value in self._location.cut:
            parts = []
            for stream, by_value in self._streams:
                if value in by_value and (patch := by_value[value].patch) is not None:
                    parts.append(stream.cells.moved(by_value[value].value, patch, patch.filled()))
            shape = (self._picked.batch, self._picked.each, *shape_of(value)[1:])
            total = parts[0] if parts else xp.broadcast_to(np.zeros((1,) * 5, np.float32), shape)
            for part in parts[1:]:
                total = xp.add(total, part)
            gradients.append(xp.reshape(total, shape))
        return gradients
