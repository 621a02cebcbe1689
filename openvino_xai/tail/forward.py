"""The tail as a function of masked features.

For features F and masks M_n the end of copy n is tail(M_n * F). Two plans compute it:

* The direct plan is the definition. It multiplies the features by each mask, and repeats the tail over B * N rows.
* The lazy plan carries masked cells, (v, rest), down the tail. Most tails need no new node for them up to the reduction over
  cells. A convolution makes windows of them, in `windowed`. Where no rule knows how to go on, it computes all rows: v where
  the mask keeps a cell, rest elsewhere. Masked tokens of which only some reach the scores have a way of their own, in
  `class_token`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.batching import repeat_over_rows
from openvino_xai.tail.cell_tokens import CellTokenRules
from openvino_xai.tail.class_slicing import (
    can_differ,
    class_axes,
    class_axis_of,
    is_linear_layer,
    linear_layer_by_image,
    sliced_operands,
)
from openvino_xai.tail.class_token.attention import ClassTokenAttention
from openvino_xai.tail.masked import (
    CellTokens,
    FlattenedCells,
    Masked,
    MaskedCells,
    MaskedWindows,
    Rows,
    Start,
    Unmasked,
    tapped,
)
from openvino_xai.tail.masks import BlockMask, WeightMask
from openvino_xai.tail.spatial_masks import CellRules
from openvino_xai.tail.target import Columns
from openvino_xai.tail.walk import between, forward
from openvino_xai.tail.windowed.rules import WindowRules, WindowUse


@dataclass(frozen=True, eq=False)
class End:
    """The end of a tail for every mask of every image, as `rows`; of the selected classes alone if it `is_slice`.

    `splices` are operands of the model's own nodes, as (node, index), and the values that these are to read. The model's nodes
    then compute a part of the tail. `moves` is what was moved for windows and rows, in multiplications.
    """

    rows: Rows
    is_slice: bool
    splices: Mapping[tuple[Node, int], Value]
    moves: int = 0


class Tail:
    """The part of a model from a cut to `end`, for copies of its images under masks, of which `rules` know.

    The plan is `lazy` or direct. A tail that is `apart` leaves what the model's own nodes read as it is. `windows` says how
    long a lazy plan keeps to windows.
    """

    def __init__(
        self,
        graph: Graph,
        trace: Trace,
        end: Value,
        rules: CellRules,
        *,
        lazy: bool,
        apart: bool = True,
        windows: WindowUse = "least",
    ) -> None:
        self._graph, self._trace, self._end = graph, trace, end
        self._rules, self._lazy, self._apart = rules, lazy, apart
        self._rows: dict[Masked, Rows] = {}
        mask = rules.mask
        self._tokens = CellTokenRules(graph, trace, rules.batch, mask) if lazy and isinstance(mask, BlockMask) else None
        self._windows = WindowRules(graph, trace, mask, windows) if lazy and isinstance(mask, BlockMask) else None
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
        rows = self._as_rows(values[self._end])
        return End(rows, self._end in self._chosen, splices, 0 if self._windows is None else self._windows.moves)

    @property
    def alternatives(self) -> tuple[WindowUse, ...]:
        """Other uses of windows that may take less, once it has run."""
        return () if self._windows is None else self._windows.alternatives

    def _begun(self, start: Mapping[Value, Start]) -> tuple[dict[Value, Masked], Mapping[tuple[Node, int], Value]]:
        """The values that the walk begins with, and splices.

        They are the masked values; or, in a lazy plan, the tokens that are selected for the scores, as rows.
        """
        masked = {value: item for value, item in start.items() if isinstance(item, MaskedCells)}
        mask, lazy = self._rules.mask, self._lazy
        if lazy and isinstance(mask, WeightMask) and all(len(item.place.cells) == 1 for item in masked.values()):
            nodes = between(self._graph, masked, self._end)
            queries = ClassTokenAttention(self._graph, self._trace, masked, mask.weights, nodes, self._end, apart=self._apart)
            if (rows := queries.rows()) is not None:
                return dict(rows), queries.splices
        if lazy and not isinstance(mask, WeightMask):
            return dict(start), {}
        # real weights outlive affine maps alone, and most tails rectify: these copies are multiplied out at once
        return {**start, **{value: self._multiplied_out(item) for value, item in masked.items()}}, {}

    def _choose(self, columns: Columns | None, start: Collection[Value]) -> None:
        """Find the values that can be computed for the selected classes alone."""
        self._columns, self._chosen = columns, {}
        # ahead of a change of layout, the end may have its classes on another axis
        if columns is None or shape_of(self._end)[1] != columns.total:
            return
        by_channel = self._rules.by_channel
        if by_channel and all(operation_of(node).weights is None for node in self._nodes):
            return  # no layer makes classes of channels: the channels are the classes, and all of them are needed
        class_axis = class_axes(self._nodes, self._end, start, columns.total)
        if not columns.of_each_image or can_differ(self._nodes, class_axis, by_channel=by_channel):
            self._chosen = class_axis

    def _step(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked]:
        if node.outputs[0] not in self._chosen and (same := self._same_for_all(node, operands)) is not None:
            return same
        items = operands
        operands = {i: self._as_rows(value) if isinstance(value, Unmasked) else value for i, value in operands.items()}
        lazy = self._rules.step(node, operands) if self._lazy else None
        if lazy is None and self._tokens is not None and node.outputs[0] not in self._chosen:
            lazy = self._tokens.step(node, items)
        if lazy is None and self._windows is not None and node.outputs[0] not in self._chosen:
            lazy = self._windows.step(node, items)
        # the model computes masked cells of all classes anyway: these are sliced where a rule ends them
        if node.outputs[0] in self._chosen and not (lazy and isinstance(lazy[0], MaskedCells)):
            return self._step_of_classes(node, operands)
        if lazy is not None:
            return lazy
        rows = {index: self._as_rows(value) for index, value in operands.items()}
        return list(repeat_over_rows(self._graph, self._trace, node, rows))

    def _same_for_all(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked] | None:
        """The outputs of a node that reads nothing which a mask changes; None for another, and where it mixes a batch."""
        spans = {follow(node, i, value.span) if isinstance(value, Unmasked) else None for i, value in operands.items()}
        span = spans.pop() if len(spans) == 1 else None
        return None if span is None else [Unmasked(output, span) for output in node.outputs]

    def _step_of_classes(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked]:
        """The output of `node` for the selected classes."""
        columns, sizes = self._columns, (self._rules.batch, self._rules.mask.count)
        assert columns is not None
        cut = {i: self._of_classes(value, node, i, columns) for i, value in operands.items()}
        flat = any(isinstance(value, FlattenedCells) for value in cut.values())  # whose layer gives all classes
        lazy = self._rules.step(node, cut, self._shape) if self._lazy and not flat else None
        if lazy is not None and not isinstance(lazy[0], MaskedCells):
            return lazy
        if (linear := self._rules.of_classes(node, cut, columns)) is not None:
            return [linear]
        rows = {index: self._as_rows(value) for index, value in cut.items()}
        first = next(iter(rows.values()))
        # weights cannot be sliced once for all rows if images explain different classes
        if columns.of_each_image and is_linear_layer(node):
            return [Rows(linear_layer_by_image(self._trace, node, first, columns, sizes))]
        replaced = sliced_operands(self._trace, node, self._chosen, columns, rows, sizes)
        return list(repeat_over_rows(self._graph, self._trace, node, rows, shape=self._shape, replaced=replaced))

    def _of_classes(self, value: Masked, node: Node, index: int, columns: Columns) -> Masked:
        """The operand of a node whose output is for the selected classes: of these alone, if it has them all."""
        axis = class_axis_of(node, index, self._chosen[node.outputs[0]])
        if axis is None:
            return value
        value = self._as_rows(value) if isinstance(value, (CellTokens, MaskedWindows)) else value
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
        if isinstance(value, Unmasked):
            if value not in self._rows:
                self._rows[value] = self._of_each_copy(value)
            return self._rows[value]
        if isinstance(value, CellTokens):
            assert self._tokens is not None
            if value not in self._rows:
                self._rows[value] = self._tokens.rows(value)
            return self._rows[value]
        if isinstance(value, MaskedWindows):
            assert self._windows is not None
            return self._windows.rows(value)
        if isinstance(value, FlattenedCells):
            rows = self._as_rows(value.features)  # masked as they were: a flat axis does not tell the cells apart
            return Rows(self._trace.reshape(rows.value, (rows.count, *shape_of(value.value)[1:])))
        if value not in self._rows:
            if self._windows is not None:
                self._windows.selects(value)
            self._rows[value] = self._selected_by_mask(value)
        return self._rows[value]

    def _multiplied_out(self, features: MaskedCells) -> Rows:
        """[B * N, ...]: the definition, features times masks."""
        xp, span = self._trace, Span(features.place.batch)
        masks = xp.astype(self._rules.mask.beside(xp, features), features.value.dtype)
        value = self._with_copies(features.value, span)
        return self._merged(xp.multiply(value, masks), shape_of(features.value), span)

    def _selected_by_mask(self, features: MaskedCells) -> Rows:
        """[B * N, ...]: rest + M_n * (v - rest), by selection: a product would round, and make NaN of an infinite v."""
        xp, span = self._trace, Span(features.place.batch)
        rest: Value | np.ndarray = np.zeros((), features.value.dtype)
        if features.rest is not None:
            rest = self._with_copies(features.rest, span)
        value = self._with_copies(tapped(xp, features.value), span)
        return self._merged(xp.where(self._rules.mask.beside(xp, features), value, rest), shape_of(features.value), span)

    def _of_each_copy(self, value: Unmasked) -> Rows:
        """[B * N, ...]: the same for every copy of an image."""
        shape, span = shape_of(value.value), value.span
        by_image = self._with_copies(tapped(self._trace, value.value), span)
        sizes = (*shape_of(by_image)[: span.axis + 1], self._rules.mask.count, *shape_of(by_image)[span.axis + 2 :])
        return self._merged(self._trace.broadcast_to(by_image, sizes), shape, span)

    def _with_copies(self, value: Value, span: Span) -> Value:
        """A value with an axis of copies behind that of its images."""
        shape, axis = shape_of(value), span.axis
        inner = () if span.inner == 1 else (span.inner,)
        outer = shape[axis] if not inner else span.outer * span.length(shape)
        return self._trace.reshape(value, (*shape[:axis], outer, 1, *inner, *shape[axis + 1 :]))

    def _merged(self, value: Value, shape: Shape, span: Span) -> Rows:
        """Rows of a value whose copies have an axis of their own."""
        return Rows(self._trace.reshape(value, span.resized(shape, span.length(shape) * self._rules.mask.count)), span)


def replayed(graph: Graph, trace: Trace, start: Mapping[Value, Rows], end: Value) -> dict[Value, Rows]:
    """The values between the start and the end as rows, for the rows that stand in place of the start. Raises PlanError."""
    return forward(between(graph, start, end), start, lambda node, operands: repeat_over_rows(graph, trace, node, operands))


def computed_again(trace: Trace, cut: Sequence[Value], nodes: Sequence[Node]) -> dict[Value, Value]:
    """The values of nodes, computed once more from the cut on, by copies that no runtime merges with the nodes.

    Which items are the largest is as the model itself ranks them: of two that are nearly equal, a copy may take the other.
    """

    def copied(node: Node, operands: Mapping[int, Value]) -> Sequence[Value]:
        inputs = [operands.get(index, value) for index, value in enumerate(node.inputs)]
        copies = trace.repeat(node, inputs, [shape_of(value) for value in node.outputs])
        return [*copies[:-1], tapped(trace, node.outputs[-1])] if operation_of(node).ranks else copies

    hidden: dict[Value, Value] = {}
    for value in cut:
        assert value.dtype is not None
        # changes nothing, but hides that copies read the same: runtimes merge nodes that do
        hidden[value] = trace.maximum(tapped(trace, value), np.array(np.finfo(value.dtype).min, value.dtype))
    return forward(nodes, hidden, copied)
