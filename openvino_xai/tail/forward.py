"""The tail as a function of masked features.

For features F and masks M_n the end of copy n is tail(M_n * F). Two plans compute it:

* The direct plan is the definition. It multiplies the features by each mask, and repeats the tail over B * N rows.
* The lazy plan carries masked cells, (v, rest), down the tail. Most tails need no new node for them up to the reduction over
  cells. Where no rule knows how to go on, it computes all rows: v where the mask keeps a cell, rest elsewhere. Masked tokens
  of which only some reach the scores have a way of their own, in `class_token`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, concrete, product, text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.layers import layer_name
from openvino_xai.tail.batching import repeat_over_rows
from openvino_xai.tail.class_slicing import (
    can_differ,
    class_axes,
    class_axis_of,
    is_linear_layer,
    linear_layer_by_image,
    sliced_operands,
)
from openvino_xai.tail.class_token.attention import ClassTokenAttention
from openvino_xai.tail.masked import FlattenedCells, Masked, MaskedCells, Rows, Start, WeightedTokens, tapped
from openvino_xai.tail.spatial_masks import CellRules
from openvino_xai.tail.target import Columns
from openvino_xai.tail.walk import between, forward


@dataclass(frozen=True, eq=False)
class End:
    """The end of a tail for every mask of every image, as `rows`; of the selected classes alone if it `is_slice`.

    `splices` are operands of the model's own nodes, as (node, index), and the values that these are to read. The model's nodes
    then compute a part of the tail.
    """

    rows: Rows
    is_slice: bool
    splices: Mapping[tuple[Node, int], Value]


class Tail:
    """The part of a model from a cut to `end`, for `batch` images.

    `grid` is (H, W) of the masks, each of which keeps a block of cells. The plan is `lazy` or direct. A tail that is `apart`
    leaves what the model's own nodes read as it is.
    """

    def __init__(
        self, graph: Graph, trace: Trace, end: Value, *, batch: Size, grid: tuple[Size, Size], lazy: bool, apart: bool = True
    ) -> None:
        self._graph, self._trace, self._end = graph, trace, end
        self._apart = apart
        self._batch, self._grid = batch, grid
        self._rules = CellRules(graph, trace, batch, grid) if lazy else None
        self._rows: dict[MaskedCells, Rows] = {}
        self._columns: Columns | None = None
        self._chosen: dict[Value, int] = {}
        self._nodes: list[Node] = []

    def run(self, start: Mapping[Value, Start], columns: Columns | None = None) -> End:
        """The end for every mask of every image; of `columns` alone, if these can be computed without the others.

        `start` has the values of the cut, and how each is masked. Raises PlanError, which names the operation in the way.
        """
        begun, splices = self._begun(start)
        self._nodes = between(self._graph, begun, self._end)
        self._choose(columns, begun)
        values = forward(self._nodes, begun, self._step)
        return End(self._as_rows(values[self._end]), self._end in self._chosen, splices)

    def _begun(self, start: Mapping[Value, Start]) -> tuple[dict[Value, Masked], Mapping[tuple[Node, int], Value]]:
        """The values that the walk begins with, and splices.

        They are the masked values; or, in a lazy plan, the tokens that are selected for the scores, as rows.
        """
        weighted = {value: item for value, item in start.items() if isinstance(item, WeightedTokens)}
        if weighted and self._rules:
            nodes = between(self._graph, weighted, self._end)
            queries = ClassTokenAttention(self._graph, self._trace, weighted, nodes, self._end, apart=self._apart)
            if (rows := queries.rows()) is not None:
                return dict(rows), queries.splices
        values: dict[Value, Masked] = {}
        for value, item in start.items():
            if isinstance(item, WeightedTokens):
                values[value] = self._weighted(item)
            else:
                values[value] = item if self._rules or isinstance(item, Rows) else self._multiplied_out(item)
        return values, {}

    def _choose(self, columns: Columns | None, start: Collection[Value]) -> None:
        """Find the values that can be computed for the selected classes alone."""
        self._columns, self._chosen = columns, {}
        # ahead of a change of layout, the end may have its classes on another axis
        if columns is None or shape_of(self._end)[1] != columns.total:
            return
        class_axis = class_axes(self._nodes, self._end, start, columns.total)
        if not columns.of_each_image or self._can_differ(class_axis):
            self._chosen = class_axis

    def _can_differ(self, class_axis: Mapping[Value, int]) -> bool:
        return can_differ(self._nodes, class_axis)

    def _step(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked]:
        lazy = self._rules.step(node, operands) if self._rules else None
        # the model computes masked cells of all classes anyway: these are sliced where a rule ends them
        if node.outputs[0] in self._chosen and not (lazy and isinstance(lazy[0], MaskedCells)):
            return self._step_of_classes(node, operands)
        if lazy is not None:
            return lazy
        rows = {index: self._as_rows(value) for index, value in operands.items()}
        return list(repeat_over_rows(self._graph, self._trace, node, rows))

    def _step_of_classes(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked]:
        """The output of `node` for the selected classes."""
        columns, sizes = self._columns, (self._batch, product(self._grid))
        assert columns is not None
        cut = {i: self._of_classes(value, node, i, columns) for i, value in operands.items()}
        lazy = self._rules.step(node, cut, self._shape) if self._rules else None
        if lazy is not None and not isinstance(lazy[0], MaskedCells):
            return lazy
        if (linear := self._linear_layer(node, cut, columns)) is not None:
            return [linear]
        rows = {index: self._as_rows(value) for index, value in cut.items()}
        first = next(iter(rows.values()))
        # weights cannot be sliced once for all rows if images explain different classes
        if columns.of_each_image and is_linear_layer(node):
            return [Rows(linear_layer_by_image(self._trace, node, first, columns, sizes))]
        replaced = sliced_operands(self._trace, node, self._chosen, columns, rows, sizes)
        return list(repeat_over_rows(self._graph, self._trace, node, rows, shape=self._shape, replaced=replaced))

    def _linear_layer(self, node: Node, operands: Mapping[int, Masked], columns: Columns) -> Rows | None:
        """The output of a linear layer for the selected classes, for masks that can be a factor of its product."""
        return None

    def _of_classes(self, value: Masked, node: Node, index: int, columns: Columns) -> Masked:
        """The operand of a node whose output is for the selected classes: of these alone, if it has them all."""
        axis = class_axis_of(node, index, self._chosen[node.outputs[0]])
        if axis is None:
            return value
        if isinstance(value, Rows) and node.operand(index) not in self._chosen:
            return replace(value, value=self._trace.take(value.value, columns.ids, axis=axis))
        if not isinstance(value, MaskedCells):
            return value
        rest = value.rest
        if rest is not None and shape_of(rest)[axis] != 1:
            rest = self._trace.take(rest, columns.ids, axis=axis)
        return MaskedCells(self._trace.take(tapped(self._trace, value.value), columns.ids, axis=axis), rest, value.place)

    def _shape(self, value: Value) -> Shape:
        """The shape of a value of the tail, for the selected classes where it can be computed for them alone."""
        shape, axis = shape_of(value), self._chosen.get(value)
        if axis is None or self._columns is None:
            return shape
        return (*shape[:axis], self._columns.count, *shape[axis + 1 :])

    def _as_rows(self, value: Masked) -> Rows:
        """All items of the value, computed once however many nodes read it."""
        if isinstance(value, Rows):
            return value
        if isinstance(value, FlattenedCells):
            rows = self._as_rows(value.features)  # masked as they were: a flat axis does not tell the cells apart
            return Rows(self._trace.reshape(rows.value, (rows.count, *shape_of(value.value)[1:])))
        if value not in self._rows:
            self._rows[value] = self._selected_by_mask(value)
        return self._rows[value]

    def _multiplied_out(self, features: MaskedCells) -> Rows:
        """[B * N, ...]: the definition, features times masks of [1, N, 1, H, W]."""
        xp, shape = self._trace, shape_of(features.value)
        masks = xp.astype(self._masks(features), features.value.dtype)
        return self._merged(xp.multiply(xp.reshape(features.value, (shape[0], 1, *shape[1:])), masks), shape)

    def _weighted(self, item: WeightedTokens) -> Rows:
        """[B * N, ...]: the definition, tokens times their weights."""
        xp, shape, tokens = self._trace, shape_of(item.value), item.place.cells[0]
        sizes = [shape[tokens] if axis == tokens else 1 for axis in range(len(shape))]
        weights = item.weights.astype(item.value.dtype).reshape(1, -1, *sizes[1:])
        return self._merged(xp.multiply(xp.reshape(item.value, (shape[0], 1, *shape[1:])), weights), shape)

    def _selected_by_mask(self, features: MaskedCells) -> Rows:
        """[B * N, ...]: rest + M_n * (v - rest), by selection: a product would round, and make NaN of an infinite v."""
        xp, shape = self._trace, shape_of(features.value)
        rest: Value | np.ndarray = np.zeros((), features.value.dtype)
        if features.rest is not None:
            rest = xp.reshape(features.rest, (1, 1, *shape_of(features.rest)[1:]))
        value = xp.reshape(tapped(xp, features.value), (shape[0], 1, *shape[1:]))
        return self._merged(xp.where(self._masks(features), value, rest), shape)

    def _merged(self, value: Value, shape: Shape) -> Rows:
        return Rows(self._trace.reshape(value, (shape[0] * product(self._grid), *shape[1:])))

    def _masks(self, features: MaskedCells) -> Value:
        """[1, N, 1, H, W], in the order of the value's axes: True where mask n keeps a cell.

        Raises PlanError if the batch is not on axis 0, if the number of cells is open, or if masks do not divide the cells.
        """
        shape, place = shape_of(features.value), features.place
        grid = [shape[axis] for axis in place.cells] if len(place.cells) == 2 else place.grid
        named = f"'{layer_name(features.value)}' {text(shape)}"
        if place.batch != 0:
            raise PlanError(f"layer {named} has its batch on axis {place.batch}; axis 0 is expected")
        if any(isinstance(size, Dim) for size in (*grid, *self._grid)):
            raise PlanError(
                f"layer {named} has to be masked cell by cell, and the number of its cells depends on the input: "
                "give the model a fixed height and width, or choose a layer from which only a pool leads to the scores"
            )
        (height, width), (grid_height, grid_width) = (
            concrete(sizes, f"the cells of layer {named}") for sizes in (grid, self._grid)
        )
        if height % grid_height or width % grid_width:
            raise PlanError(
                f"layer {named} has {height} x {width} cells where there are {grid_height} x {grid_width} masks: the "
                "shapes that the model tells contradict each other"
            )
        blocks = np.arange(grid_height)[:, None] * grid_width + np.arange(grid_width)
        index = blocks.repeat(height // grid_height, axis=0).repeat(width // grid_width, axis=1)
        if place.cells != tuple(sorted(place.cells)):  # the value has its width ahead of its height
            index = index.T
        # compared in the graph: the file has an index for each cell, and not N masks of all cells
        here = index.reshape(1, *(shape[axis] if axis in place.cells else 1 for axis in range(len(shape))))
        return self._trace.equal(np.arange(grid_height * grid_width).reshape(1, -1, *[1] * (len(shape) - 1)), here)


def replayed(graph: Graph, trace: Trace, start: Mapping[Value, Rows], end: Value) -> dict[Value, Rows]:
    """The values between the start and the end as rows, for the rows that stand in place of the start. Raises PlanError."""
    return forward(between(graph, start, end), start, lambda node, operands: repeat_over_rows(graph, trace, node, operands))
