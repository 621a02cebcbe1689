"""The site that a method of rows is traced with: what it asks is planned, and computed when the model runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Dim, concrete
from openvino_xai.graph.trace import Trace, as_value, shape_of
from openvino_xai.graph.vocabulary import Array
from openvino_xai.locate.detector import RowLocation
from openvino_xai.locate.rows.table import Level
from openvino_xai.operations.cost import operations
from openvino_xai.plan.rows.levels import Levels
from openvino_xai.tail.forward import computed_again
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.level_rows import Picked
from openvino_xai.tail.rows.masked import MaskedRows, MaskGrid
from openvino_xai.tail.rows.reverse_mode import PatchAdjoint, RowStream
from openvino_xai.tail.walk import between

Followed: TypeAlias = tuple[RowStream, dict[Value, PatchAdjoint]]
LITTLE = 0.05  # of the model's operations: what all rows at a level may take


@dataclass(frozen=True)
class Masks:
    """Masks that keep a cell, or `drop` one: of a `grid` of image cells; None for those of each level's own layer.

    They are asked about in `chunks`, one after the other.
    """

    grid: MaskGrid | None
    drop: bool
    chunks: int = 1


class PlannedRowSite(Levels):
    """The `RowSite` that a hook is traced with."""

    def __init__(
        self, trace: Trace, location: RowLocation, picked: Picked, *, isolated: bool, masks: Masks | None = None
    ) -> None:
        grids = [concrete(shape_of(value)[2:], f"layer '{value.name}'") for value in location.cut]
        super().__init__(trace, [(height, width) for height, width in grids])
        self._trace, self._location, self._picked, self._isolated = trace, location, picked, isolated
        self._masks = masks

    @cached_property
    def _streams(self) -> list[Followed]:
        """For each level of heads, the way back from it, and the gradients of the layers."""
        location, forward = self._location, {}
        if self._isolated:
            nodes = between(location.graph, location.cut, *(head.value for head in location.rows.heads))
            forward = computed_again(self._trace, location.cut, nodes)
        return [self._followed(level, forward) for level in location.table.levels]

    def _followed(self, level: Level, forward: Mapping[Value, Value]) -> Followed:
        """The same of one level, where values of a `forward` pass are computed again.

        It is run for all rows where that takes next to nothing: in sizes that are known before they run, runtimes fuse what
        they cannot else.
        """
        location, trace, start = self._location, self._trace, len(self._trace.nodes)
        for apart in (True,) if self._masks is not None else (False, True):
            picked = replace(self._picked, apart=apart)
            stream = RowStream(location.graph, trace, location.table, level, picked, location.cut, location.placed, forward)
            gradients = stream.gradients()
            if apart or operations(trace.nodes[start:]) <= LITTLE * self._plain:
                break
            del trace.nodes[start:]
        return stream, gradients

    @cached_property
    def _plain(self) -> int:
        """The operations of the model."""
        return operations(self._location.graph.nodes)

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
            laid = self._among_all(stream, stream.cells.moved(product, patch, patch.filled()))
            total = laid if total is None else xp.add(total, laid)
        if total is None:
            return xp.broadcast_to(np.zeros((1, 1, 1, 1), np.float32), (self._picked.batch, self._picked.each, height, width))
        return xp.astype(xp.reshape(total, (self._picked.batch, self._picked.each, height, width)), np.float32)

    def masked(self) -> Value:
        """[B, D, H, W]: the log-odds that a row keeps, or loses, cell by cell of the image."""
        assert self._masks is not None
        grid = self._masks.grid
        by_level = [
            self._of_own_cells(stream) if grid is None else self._of_image_cells(stream, grid) for stream, _ in self._streams
        ]
        return reduce(self._trace.add, by_level)

    def _of_image_cells(self, stream: RowStream, grid: MaskGrid) -> Value:
        """[B, D, rows, columns]: of masks of image cells, at all layers at once."""
        assert self._masks is not None
        parts = []
        for part in grid.parts(self._masks.chunks):
            rows = MaskedRows(stream, stream.windows, part.count)
            weights = partial(part.weights, stream.cells)
            parts.append(rows.log_odds(weights, drop=self._is_drop))
        z = self._trace.concat(parts, axis=1) if len(parts) > 1 else parts[0]
        if self._is_drop:
            z = self._trace.subtract(self._unmasked(stream), z)
        return self._trace.reshape(self._among_all(stream, z), (self._picked.batch, self._picked.each, grid.rows, grid.columns))

    def _of_own_cells(self, stream: RowStream) -> Value:
        """[B, D, H, W] of the finest layer: of masks of the cells that a row sees of its own level's layer, one by one.

        Any other cell's mask leaves nothing of what the row sees when it keeps, and all when it drops.
        """
        xp, (batch, each) = self._trace, (self._picked.batch, self._picked.each)
        (value,) = [value for value in stream.cut if value in stream.windows]
        patch = stream.windows[value].patch or stream.full(value)
        tall, wide = patch.sides
        count = tall * wide
        copies = count if self._is_drop else count + 1  # one mask more, which keeps nothing
        of_each = as_value(np.eye(copies, count, dtype=np.float32).reshape(1, copies, 1, tall, wide), [])
        z = MaskedRows(stream, stream.windows, copies).log_odds(lambda _: of_each, drop=self._is_drop)
        if self._is_drop:
            base = self._unmasked(stream)
            change = xp.subtract(base, z)
        else:
            base = xp.take(z, np.array([count]), axis=1)
            change = xp.subtract(xp.take(z, np.arange(count), axis=1), base)
        in_window = stream.cells.within(xp.reshape(change, (stream.cells.count, 1, tall, wide)), patch)
        laid = stream.cells.moved(in_window, patch, patch.filled())
        if not self._is_drop:
            laid = xp.add(laid, xp.reshape(base, (stream.cells.count, 1, 1, 1)))
        laid = self._among_all(stream, laid)
        maps: Value = self.repeated(xp.reshape(laid, (batch, each, *shape_of(laid)[2:])))
        return maps

    def _among_all(self, stream: RowStream, values: Value) -> Value:
        """[B * D, ...] of what a level's rows have."""
        return stream.rows.among_all(self._trace, values, self._picked)

    @property
    def graph(self) -> Graph:
        """The model."""
        return self._location.graph

    @property
    def origins(self) -> dict[str, tuple[Value, int]]:
        """For each number of rows that only a run knows, an axis of a value that has it."""
        levels = [stream.rows for stream, _ in self._streams]
        return {row.count.names[0]: (row.origin, 1) for row in levels if isinstance(row.count, Dim) and row.origin is not None}

    @property
    def counted(self) -> dict[str, tuple[int, int]]:
        """For each of these numbers of an image, what it is where rows are of all levels alike, and at most."""
        each, levels = self._picked.each, len(self._streams)
        return dict.fromkeys(self.origins, (-(-each // levels), each))

    def _unmasked(self, stream: RowStream) -> Value:
        """[R, 1]: the log-odds of the rows as they are."""
        heads = {head.value: stream.at_cell(head.value) for head in stream.heads}
        return stream.log_odds(heads, 1)

    @property
    def _is_drop(self) -> bool:
        return self._masks is not None and self._masks.drop

    def gradients(self) -> list[Value]:
        """L of [B, D, C, H, W]: the derivatives of the rows' log-odds by the layers, in full."""
        xp, gradients = self._trace, []
        for value in self._location.cut:
            parts = []
            for stream, by_value in self._streams:
                if value in by_value and (patch := by_value[value].patch) is not None:
                    laid = stream.cells.moved(by_value[value].value, patch, patch.filled())
                    parts.append(self._among_all(stream, laid))
            shape = (self._picked.batch, self._picked.each, *shape_of(value)[1:])
            total = parts[0] if parts else xp.broadcast_to(np.zeros((1,) * 5, np.float32), shape)
            for part in parts[1:]:
                total = xp.add(total, part)
            gradients.append(xp.reshape(total, shape))
        return gradients
