"""The tail, repeated over rows: item r = b * N + n of a batch of B * N is copy n of image b."""

from __future__ import annotations

from dataclasses import dataclass

from openvino_xai.errors import PlanError
from openvino_xai.graph.axes import Axes, axes_of
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.symbolic import SHAPED, is_fixed
from openvino_xai.graph.vocabulary import Trace, shape_of


@dataclass(frozen=True)
class Rows:
    """A value with an item for every mask of every image along `axis`."""

    value: Value
    axis: int

    @property
    def count(self) -> Size:
        """B * N."""
        return shape_of(self.value)[self.axis]


class Tail:
    """The part of a model from `cut` to `end` as a function of rows; `skipped` passes its operand on as it is."""

    def __init__(self, graph: Graph, trace: Trace, cut: Value, end: Value, skipped: Node | None = None) -> None:
        self._graph = graph
        self._trace = trace
        self._cut = cut
        self._end = end
        self._skipped = skipped
        self._nodes = self._between()

    def _between(self) -> list[Node]:
        """The nodes that carry data from the cut to the end, in order; shapes carry sizes, not data."""
        after = {self._cut}
        for node in self._graph.nodes:
            if node.kind != "shape" and any(value in after for value in data_operands(node)):
                after.update(node.outputs)
        wanted, between = {self._end}, []
        for node in reversed(self._graph.nodes):
            if any(value in wanted and value in after for value in node.outputs) and self._cut not in node.outputs:
                between.append(node)
                wanted.update(data_operands(node))
        return between[::-1]

    def run(self, rows: Rows) -> Rows:
        """What the end is for rows at the cut. Raises PlanError, naming the operation that cannot be repeated."""
        known = {self._cut: rows}
        for node in self._nodes:
            operands = {index: known[value] for index, value in node.operands if value in known}
            if node is self._skipped:
                known[node.outputs[0]] = operands[0]
                continue
            known.update(zip(node.outputs, self._repeat(node, operands), strict=True))
        return known[self._end]

    def _repeat(self, node: Node, operands: dict[int, Rows]) -> list[Rows]:
        """The outputs of `node` for operands of which some are rows."""
        every = axes_of(node)
        if every is None:
            why = "the operation is not one that is known to treat rows alike" if not node.kind else "its shapes are not known"
            raise PlanError(f"{node} cannot be repeated over rows: {why}", node=node.name)
        count = next(iter(operands.values())).count
        targets = [_row_axis(node, operands, axes) for axes in every]
        shapes = []
        for value, axis in zip(node.outputs, targets, strict=True):
            shape = shape_of(value)
            shapes.append((*shape[:axis], count, *shape[axis + 1 :]))
        if node.kind in SHAPED:
            make = self._trace.reshape if node.kind == "reshape" else self._trace.broadcast_to
            return [Rows(make(operands[0].value, shapes[0]), targets[0])]
        inputs = [
            operands[index].value if index in operands else self._beside(node, index, value, every[0], targets[0], count)
            for index, value in enumerate(node.inputs)
        ]
        values = self._trace.repeat(node, inputs, shapes)
        return [Rows(value, axis) for value, axis in zip(values, targets, strict=True)]

    def _beside(self, node: Node, index: int, value: Value | None, axes: Axes, target: int, count: Size) -> Value | None:
        """An operand that does not depend on the cut, made fit to stand beside rows."""
        if value is None:
            return None
        along = [source.axis for source in axes[target] if source.operand == index]
        shape = shape_of(value)
        if along and shape[along[0]] != 1:
            raise PlanError(
                f"{node} cannot be repeated over rows: its operand '{value.name}' differs from image to image", node=node.name
            )
        if not is_fixed(self._graph, value):
            raise PlanError(
                f"{node} cannot be repeated over rows: its operand '{value.name}' depends on the input beside the layer",
                node=node.name,
            )
        if along and node.kind == "concat":
            return self._trace.broadcast_to(value, (*shape[: along[0]], count, *shape[along[0] + 1 :]))
        return value


def data_operands(node: Node) -> list[Value]:
    """The operands that carry data: all, but for operations that are told a shape, only the first."""
    return [value for index, value in node.operands if index == 0 or node.kind not in SHAPED]


def _row_axis(node: Node, operands: dict[int, Rows], axes: Axes) -> int:
    """The axis of an output that holds the rows. Raises PlanError where the node mixes them."""
    found = {
        target
        for index, rows in operands.items()
        for target, sources in enumerate(axes)
        if any(s.operand == index and s.axis == rows.axis and s.exact for s in sources)
    }
    lost = [
        index
        for index, rows in operands.items()
        if not any(s.operand == index and s.axis == rows.axis and s.exact for sources in axes for s in sources)
    ]
    if len(found) != 1 or lost:
        raise PlanError(f"{node} cannot be repeated over rows: it mixes the items of a batch", node=node.name)
    return found.pop()
