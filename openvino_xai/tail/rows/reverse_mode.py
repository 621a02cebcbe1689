"""Reverse mode from rows: the derivatives of a few rows' log-odds by the values of a set of layers, window by window.

Row r = (a, c) of an image has the log-odds z of class c at anchor a. One element of a head is all that z reads for a sigmoid;
its own anchor's logits for a softmax: d z / d x_k = 1 for k = c, and -softmax_k over the others. So an adjoint starts as a
window of one cell of a head, and grows by what convolutions read. For each level of heads there is a stream of its own, since
where windows lie is a table over the cells of one head; rows of other levels are 0 in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value, understood
from openvino_xai.graph.sizes import Shape, Size, concrete
from openvino_xai.graph.trace import Trace, as_value, shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.rows.table import HeadTable, Level, RowTable
from openvino_xai.locate.subaxis import FIRST, Span
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.cost import operations
from openvino_xai.operations.resizing import weights_along
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.reverse_mode import DIFFERENTIATED, span_of_images
from openvino_xai.tail.rows.convolutions import has_one_stride, turned_around
from openvino_xai.tail.rows.level_rows import LevelRows, Picked
from openvino_xai.tail.rows.slopes import Slopes
from openvino_xai.tail.rows.windows import Cells, Patch, Window, reach_of, weighed
from openvino_xai.tail.steps import NodeStep
from openvino_xai.tail.walk import between, forward, refused, reverse

FAR = -1e30
ALMOST_NOTHING = 0.002  # of the model's operations: what a convolution may take that is computed again in windows


@dataclass(frozen=True, eq=False)
class PatchAdjoint:
    """The derivative of each of R rows by a value: by the cells in `patch`, or by all of it, where `patch` is None."""

    value: Value
    patch: Patch | None


class RowStream:
    """The way back from the heads of one level to a `cut`, for the rows that are picked."""

    def __init__(
        self,
        graph: Graph,
        xp: Trace,
        table: RowTable,
        level: Level,
        picked: Picked,
        cut: Sequence[Value],
        placed: Mapping[Value, Place],
        forward_values: Mapping[Value, Value],
    ) -> None:
        self.graph, self.xp, self.placed, self.picked, self.forward_values = graph, xp, placed, picked, forward_values
        self._table, self._level, self.cut = table, level, tuple(cut)
        self.rows = LevelRows.of(xp, table, table.levels.index(level), picked)
        here = xp.greater(self.rows.here, np.float32(0))
        row, column = (
            xp.where(here, xp.take(as_value(places.astype(np.int32), []), self.rows.anchor, axis=0), np.int32(0))
            for places in (table.row, table.column)
        )
        self.cells = Cells(xp, row, column, self.rows.image, self.rows.count)
        self.nodes = between(graph, set(cut), *(head.value for head in level.heads))
        self.spans = forward(self.nodes, dict.fromkeys(self.cut, FIRST), span_of_images)
        self._slopes = Slopes(self)
        self._read: dict[tuple[Value, Any], Value] = {}
        self.windows: Mapping[Value, PatchAdjoint] = {}  # of all values that were met on the way back

    @property
    def batch(self) -> Size:
        """B."""
        return self.picked.batch

    @property
    def heads(self) -> tuple[HeadTable, ...]:
        """The heads of the level."""
        return self._level.heads

    # ---- adjoints ----

    def gradients(self) -> dict[Value, PatchAdjoint]:
        """For each value of the cut that the level's rows depend on, the derivative [R, C, h, w] of each by its window.

        Raises PlanError, which names the operation that has no derivative here.
        """
        seeds: dict[Value, PatchAdjoint] = {}
        for head in self._level.heads:  # one convolution may make both classes and their objectness
            seed = PatchAdjoint(self._seed(head), self._single)
            seeds[head.value] = self._added(seeds[head.value], seed) if head.value in seeds else seed
        adjoints = reverse(self.nodes, seeds, self._back, self._added)
        self.windows = {**adjoints, **self._slopes.of_factors(adjoints)}
        gradients = {value: adjoints[value] for value in self.cut if value in adjoints}
        if not gradients:
            raise PlanError(f"the rows of '{self._level.heads[0].value.name}' do not depend on the layers")
        return {value: self._laid(value, adjoint) for value, adjoint in gradients.items()}

    def _laid(self, value: Value, adjoint: PatchAdjoint) -> PatchAdjoint:
        """The adjoint of a value of the cut, with a patch in any case, in its full size."""
        patch = adjoint.patch or self.full(value)
        full = self.xp.broadcast_to(adjoint.value, (self.cells.count, shape_of(value)[1], *patch.sides))
        return PatchAdjoint(full, patch)

    def _back(self, node: Node, outputs: Mapping[int, PatchAdjoint]) -> Iterator[tuple[int, PatchAdjoint]]:
        """What a node gives its operands of the adjoints of its outputs. Raises PlanError."""
        operation = operation_of(node)
        if operation.stepwise:
            return
        adjoint = self._of_parts(node, outputs) if operation.splits else next(iter(outputs.values()))
        inside = [
            index
            for index, value in node.operands
            if value in self.spans and index not in operation.controls and index not in operation.selectors
        ]
        patch = adjoint.patch
        if node.kind == "conv" and inside == [0] and (read := self._of_convolution(node, adjoint)) is not None:
            yield 0, read
        elif node.kind == "resize":
            with understood(node):
                yield 0, self._of_resize(node, PatchAdjoint(adjoint.value, patch or self.full(node.outputs[0])))
        elif (slope := self._slopes.within(node, patch)) is not None:
            yield node.inputs.index(slope.of), PatchAdjoint(self.xp.multiply(adjoint.value, slope.value), patch)
        elif (rule := operation.adjoint) is None:
            raise refused(node, DIFFERENTIATED, "no rule knows the operation")
        else:
            by_cell = patch if patch is not None and self.by_cell(node) else None
            if patch is not None and by_cell is None:
                adjoint = PatchAdjoint(self.cells.moved(adjoint.value, patch, self.full(node.outputs[0])), None)
            step = NodeStep(self, node, read=partial(self.read, patch=by_cell), shape=partial(self.shape_at, patch=by_cell))
            for index in inside:
                with understood(node):
                    share = rule(step, index, adjoint.value)
                yield index, PatchAdjoint(share, self._patch_of(node.operand(index), by_cell))

    def _patch_of(self, value: Value, patch: Patch | None) -> Patch | None:
        """The patch of an operand of a node that treats cells alike."""
        if patch is None or self.grid(value) is None:
            return None
        return patch if self.grid(value) == (patch.rows.size, patch.columns.size) else None

    def _added(self, old: PatchAdjoint, new: PatchAdjoint) -> PatchAdjoint:
        """The sum of the adjoints that two readers of a value give it."""
        a, b = old.patch, new.patch
        if a is None or b is None:
            x, y = (p.value if p.patch is None else self.cells.moved(p.value, p.patch, p.patch.filled()) for p in (old, new))
            return PatchAdjoint(self.xp.add(x, y), None)
        both = a.joined(b)
        return PatchAdjoint(self.xp.add(self.cells.moved(old.value, a, both), self.cells.moved(new.value, b, both)), both)

    def _of_parts(self, node: Node, outputs: Mapping[int, PatchAdjoint]) -> PatchAdjoint:
        """The adjoints of all parts of a split, side by side; 0 for a part that nothing reads."""
        patches = [adjoint.patch for adjoint in outputs.values()]
        patch = patches[0] if self.by_cell(node) else None
        for other in patches[1:]:
            patch = patch.joined(other) if patch is not None and other is not None else None
        parts = []
        for index, value in enumerate(node.outputs):
            shape = self.shape(value, patch)
            if index not in outputs:
                zero = np.zeros((1,) * len(shape), node.operand(0).dtype)
                parts.append(self.xp.broadcast_to(zero, shape))
                continue
            part, before = outputs[index].value, outputs[index].patch
            if before is not None:
                part = self.cells.moved(part, before, patch or before.filled())
            parts.append(self.xp.broadcast_to(part, shape))
        return PatchAdjoint(self.xp.concat(parts, axis=node.attributes["axis"]), patch)

    # ---- operations that read neighbours ----

    def _of_convolution(self, node: Node, adjoint: PatchAdjoint) -> PatchAdjoint | None:
        """The adjoint of what a convolution reads: the window grows by the kernel, and is 0 outside the value.

        None where its rule is as good.
        """
        xp, patch, pointwise = self.xp, adjoint.patch, is_1x1(node)
        windowed = patch is not None and not patch.is_whole and not pointwise
        if not has_one_stride(node) and not windowed:
            return None
        with understood(node):
            sizes, full = shape_of(adjoint.value), self.shape(node.outputs[0], patch)
            g = xp.broadcast_to(adjoint.value, (sizes[0], full[1], *(sizes[2:] if pointwise else full[2:])))
            if has_one_stride(node):
                raw = turned_around(xp, node, g, beyond=windowed)
            else:
                more = {name: node.attributes[name] for name in ("strides", "dilations", "groups")}
                raw = xp.conv_transpose(g, node.operand(1), pads=[0] * 4, output_padding=[0, 0], **more)
            return self._placed(node, raw, patch) if windowed and patch is not None else PatchAdjoint(raw, patch)

    def _placed(self, node: Node, raw: Value, patch: Patch) -> PatchAdjoint:
        """What a convolution adds to all that it reads for a patch, and where that lies."""
        a, (height, width) = node.attributes, self._sizes(node.operand(0))
        starts = [window.start * a["strides"][i] - a["pads"][i] for i, window in enumerate((patch.rows, patch.columns))]
        tall, wide = concrete(shape_of(raw)[2:], f"the window of {node}")
        after = Patch(Window.around(height, starts[0], tall), Window.around(width, starts[1], wide))
        return PatchAdjoint(self.cells.placed(raw, (starts[0], starts[1]), after), after)

    def _of_resize(self, node: Node, adjoint: PatchAdjoint) -> PatchAdjoint:
        """The adjoint of what is resized: the weights of each item of the window, by the window that they reach."""
        patch = adjoint.patch
        assert patch is not None
        after, tables = [], []
        for axis, window in enumerate((patch.rows, patch.columns), start=2):
            weights = weights_along(node, axis)
            if weights is None:
                raise refused(node, DIFFERENTIATED, "how it resizes is not known")
            before = reach_of(weights, window)
            tables.append(weighed(weights, window, before).astype(adjoint.value.dtype))
            after.append(before)
        full = self.xp.broadcast_to(adjoint.value, self.shape(node.outputs[0], patch))
        return PatchAdjoint(self.cells.times(tables[0].transpose(0, 2, 1), tables[1], full), Patch(*after))

    # ---- where things are ----

    @property
    def _single(self) -> Patch:
        return Patch(*(self._of_head(axis) for axis in (0, 1)))

    def _of_head(self, axis: int) -> Window:
        return Window.single(self._level.grid[axis])

    def full(self, value: Value) -> Patch:
        """All rows and columns of a value, for every row."""
        height, width = self._sizes(value)
        return Patch(Window.full(height, self._level.grid[0]), Window.full(width, self._level.grid[1]))

    def _sizes(self, value: Value) -> tuple[int, int]:
        height, width = concrete(shape_of(value)[2:], f"the cells of '{value.name}'")
        return height, width

    def grid(self, value: Value) -> tuple[Size, Size] | None:
        """(H, W) of a value [B, C, H, W]."""
        place = self.placed.get(value)
        return place.grid if place is not None and place.cells == (2, 3) and value.rank == 4 else None

    def by_cell(self, node: Node) -> bool:
        """Whether a node treats cells alike, so that a window of its operands is all that a window of it depends on."""
        grid, axes = self.grid(node.outputs[0]), axes_of(node)
        if grid is None or axes is None:
            return False
        for index, value in node.operands:
            if value not in self.spans or index in operation_of(node).controls:
                continue
            if self.grid(value) == grid:
                alike = all(any(s.operand == index and s.axis == axis and s.exact for s in axes[0][axis]) for axis in (2, 3))
            else:  # as in a gate of channels, one value for all cells
                alike = value.rank == 4 and shape_of(value)[2:] == (1, 1) and operation_of(node).pointwise
            if not alike:
                return False
        return True

    def shape(self, value: Value, patch: Patch | None) -> Shape:
        """The shape of a value for every row, in a window where there is one."""
        return self.shape_at(value, self.spans.get(value, FIRST), patch)

    def shape_at(self, value: Value, span: Span, patch: Patch | None) -> Shape:
        """The same of a value with its images at a span."""
        shape = span.resized(shape_of(value), self.cells.count)
        if patch is not None and self.grid(value) == (patch.rows.size, patch.columns.size):
            return (*shape[:2], *patch.sides)
        return shape

    def read(self, value: Value, span: Span | None, patch: Patch | None) -> Value:
        """A value of the forward pass, for every row, in a window where there is one."""
        if span is None or self.graph.is_constant(value):
            return self._constant_in(value, patch)
        key = (value, None if patch is None else id(patch))
        if key not in self._read and (operand := self._unary_operand(value, patch)) is not None:
            # cheaper than to gather it, and a runtime may go on fusing it
            x, node = self.read(operand, span, patch), value.producer
            assert node is not None
            (self._read[key],) = self.xp.repeat(node, [x], [shape_of(x)])
        if key not in self._read and patch is not None and (node := self._fused_convolution(value, patch)) is not None:
            self._read[key] = self._convolved_again(node, value, patch)
        if key not in self._read:
            source = self.forward_values.get(value) or tapped(self.xp, value)
            within = patch is not None and self.grid(value) == (patch.rows.size, patch.columns.size)
            self._read[key] = (
                self.cells.gathered(source, patch) if within and patch is not None else self._for_rows(source, span)
            )
        return self._read[key]

    def as_operand(self, value: Value, patch: Patch, cells: Cells) -> Value:
        """An operand that no mask reaches, in a window of copies: a constant as it is, else as the model computes it."""
        if self.graph.is_constant(value):
            shape = value.shape or ()
            alike = len(shape) < 2 or set(shape[-2:]) == {1}
            return value if alike else cells.gathered(value, patch)
        return cells.gathered(self.forward_values.get(value) or tapped(self.xp, value), patch)

    def _unary_operand(self, value: Value, patch: Patch | None) -> Value | None:
        """What a function of single elements made a value of, where a window of both is read, and nothing is computed again."""
        node = value.producer
        if node is None or patch is None or patch.is_whole or value in self.forward_values or self.grid(value) is None:
            return None
        operands = [operand for _, operand in node.operands]
        is_unary = operation_of(node).pointwise and len(operands) == 1 and operands[0] in self.spans
        return operands[0] if is_unary and self.grid(operands[0]) == self.grid(value) else None

    def _fused_convolution(self, value: Value, patch: Patch) -> Node | None:
        """The convolution that makes a value, with its addend, where a window of what that reads tells it with few operations.

        A runtime fuses it with the function behind it, and computes and stores both apart where anything else reads the value.
        """
        node = value.producer
        if node is not None and self._adds_constant(node):
            node = next(operand.producer for _, operand in node.operands if operand in self.spans)
        if node is None or node.kind != "conv" or patch.is_whole or value in self.forward_values:
            return None
        x, outputs = node.operand(0), node.outputs[0]
        if (
            self.grid(outputs) != (patch.rows.size, patch.columns.size)
            or self.grid(x) is None
            or len(node.attributes["kernel"]) != 2
        ):
            return None
        if any(not self.graph.is_constant(operand) for index, operand in node.operands if index):
            return None
        (tall, wide), all_cells = patch.sides, patch.rows.size * patch.columns.size
        cells = self.picked.each * tall * wide
        is_little = operations([node]) * cells <= ALMOST_NOTHING * self._operations * all_cells
        return node if cells < all_cells and is_little else None

    @cached_property
    def _operations(self) -> int:
        return operations(self.graph.nodes)

    def _adds_constant(self, node: Node) -> bool:
        """Whether a node adds what is the same for all cells to a value that nothing else reads."""
        varying = [operand for _, operand in node.operands if operand in self.spans]
        if node.kind != "add" or len(varying) != 1 or len(self.graph.consumers[varying[0]]) != 1:
            return False
        constants = [operand for _, operand in node.operands if operand is not varying[0]]
        return all(self.graph.is_constant(operand) and set((operand.shape or (0,))[-2:]) == {1} for operand in constants)

    def _convolved_again(self, node: Node, value: Value, patch: Patch) -> Value:
        """A window of a value that a convolution makes, with what is added to it."""
        x, channels = node.operand(0), shape_of(node.outputs[0])[1]
        source = self.forward_values.get(x) or tapped(self.xp, x)
        if is_1x1(node):
            window = self.cells.gathered(source, patch)
            (y,) = self.xp.repeat(node, [window, *node.inputs[1:]], [(shape_of(window)[0], channels, *patch.sides)])
        else:
            region = self.reading(node, patch)
            y = self.convolved(node, self.cells.within(self.cells.gathered(source, region), region))
        if value is node.outputs[0] or value.producer is None:
            return y
        inputs = [y if operand is node.outputs[0] else operand for operand in value.producer.inputs]
        return self.xp.repeat(value.producer, inputs, [shape_of(y)])[0]

    def reading(self, node: Node, patch: Patch) -> Patch:
        """The window that a convolution reads for a window of what it makes."""
        a = node.attributes
        starts = [window.start * a["strides"][i] - a["pads"][i] for i, window in enumerate((patch.rows, patch.columns))]
        lengths = [
            (window.length - 1) * a["strides"][i] + (a["kernel"][i] - 1) * a["dilations"][i] + 1
            for i, window in enumerate((patch.rows, patch.columns))
        ]
        sizes = self._sizes(node.operand(0))
        return Patch(*(Window(size, length, start) for size, length, start in zip(sizes, lengths, starts, strict=True)))

    def convolved(self, node: Node, x: Value) -> Value:
        """What a convolution makes of the window that it reads, 0 beyond the value."""
        a, xp = node.attributes, self.xp
        more = {"strides": a["strides"], "dilations": a["dilations"], "groups": a["groups"]}
        y = xp.conv(x, node.operand(1), pads=[0] * 4, **more)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            y = xp.add(y, xp.reshape(node.operand(2), (1, shape_of(y)[1], 1, 1)))
        return y

    def _constant_in(self, value: Value, patch: Patch | None) -> Value:
        """A constant as it is; in a window, what it holds there."""
        shape = value.shape or ()
        if patch is None or patch.is_whole or len(shape) < 2 or set(shape[-2:]) == {1}:
            return value
        if len(shape) != 4 or (shape[2], shape[3]) != (patch.rows.size, patch.columns.size):
            raise PlanError(f"constant '{value.name}' differs from cell to cell in a way that is not followed", node=value.name)
        return self.cells.gathered(value, patch)

    def _for_rows(self, value: Value, span: Span) -> Value:
        """[..., R, ...] of [..., B, ...]: each image, once for each of its rows."""
        shape, xp = shape_of(value), self.xp
        if span.length(shape) != self.batch:
            return value
        ahead, behind = shape[: span.axis], shape[span.axis + 1 :]
        apart = xp.reshape(value, (*ahead, span.outer, self.batch, span.inner, *behind))
        taken = xp.take(apart, self.rows.image, axis=span.axis + 1)
        return xp.reshape(taken, (*ahead, span.outer * self.cells.count * span.inner, *behind))

    # ---- seeds ----

    def _seed(self, head: HeadTable) -> Value:
        """[R, C, 1, 1]: the derivative of each row's log-odds by the head at its own cell; 0 for rows of other levels."""
        xp, count, channels = self.xp, self.cells.count, shape_of(head.value)[1]
        assert isinstance(channels, int)
        classes = head.channels.shape[1]
        if head.squash == "softmax" and classes > 1:
            weights = self._of_softmax(head, self._channels(head), classes)
        elif classes > 1:
            weights = xp.astype(xp.equal(xp.reshape(self.rows.label, (count, 1)), np.arange(classes)), np.float32)
        else:
            weights = xp.broadcast_to(np.ones((1, 1), np.float32), (count, 1))
        weights = xp.multiply(weights, xp.reshape(self.rows.here, (count, 1)))
        if head.channels.shape[0] == 1 and np.array_equal(head.channels[0], np.arange(channels)):
            seed = weights
        else:
            there = xp.equal(xp.reshape(self._channels(head), (count, classes, 1)), np.arange(channels).reshape(1, 1, -1))
            seed = xp.sum(xp.multiply(xp.reshape(weights, (count, classes, 1)), xp.astype(there, np.float32)), axis=1)
        return xp.astype(xp.reshape(seed, (count, channels, 1, 1)), head.value.dtype or np.float32)

    def at_cell(self, head: Value) -> Value:
        """[R, C, 1, 1]: what a head holds at each row's cell."""
        return self.cells.gathered(tapped(self.xp, head), self._single)

    def _channels(self, head: HeadTable) -> Value:
        """[R, C], i64: the channel of a head that each class of a row is."""
        if len(head.channels) == 1:
            return self.xp.broadcast_to(head.channels, (self.cells.count, head.channels.shape[1]))
        slot = self.xp.take(as_value(head.slot.astype(np.int32), []), self.rows.anchor, axis=0)
        return self.xp.take(as_value(head.channels, []), slot, axis=0)

    def log_odds(self, heads: Mapping[Value, Value], copies: int) -> Value:
        """[R, copies]: the log-odds of each row, of its heads [R * copies, C, 1, 1] at its cell; 0 for rows of other levels."""
        xp, count, total = self.xp, self.cells.count, None
        for head in self._level.heads:
            channels = shape_of(head.value)[1]
            x = xp.reshape(xp.astype(heads[head.value], np.float32), (count, copies, channels))
            z = self._of_class(head, x) if self._is_softmax(head) else self._weighed(head, x)
            total = z if total is None else xp.add(total, z)
        assert total is not None
        return xp.multiply(total, xp.reshape(self.rows.here, (count, 1)))

    def _weighed(self, head: HeadTable, x: Value) -> Value:
        """[R, N]: of x [R, N, C], the channel that is a row's own score."""
        count, channels = self.cells.count, shape_of(head.value)[1]
        seed = self.xp.reshape(self.xp.astype(self._seed(head), np.float32), (count, channels, 1))
        return self.xp.reshape(self.xp.matmul(x, seed), shape_of(x)[:2])

    def _of_class(self, head: HeadTable, x: Value) -> Value:
        """[R, N]: of x [R, N, C], the logit of a row's class, less the logarithm of the sum of the others' exponentials."""
        xp, (count, copies, _) = self.xp, shape_of(x)
        classes = head.channels.shape[1]
        spread = xp.broadcast_to(xp.reshape(self._channels(head), (count, 1, classes)), (count, copies, classes))
        logits = xp.take_along_axis(x, spread, axis=2)
        of_label = xp.equal(xp.reshape(self.rows.label, (count, 1, 1)), np.arange(classes).reshape(1, 1, -1))
        others = xp.where(of_label, np.float32(FAR), logits)
        most = xp.max(others, axis=2, keepdims=True)
        rest = xp.log(xp.sum(xp.exp(xp.subtract(others, most)), axis=2))
        label = xp.sum(xp.where(of_label, logits, np.float32(0)), axis=2)
        return xp.subtract(label, xp.add(rest, xp.reshape(most, (count, copies))))

    @staticmethod
    def _is_softmax(head: HeadTable) -> bool:
        return head.squash == "softmax" and head.channels.shape[1] > 1

    def _of_softmax(self, head: HeadTable, of_row: Value, classes: int) -> Value:
        """[R, C]: 1 at the class itself, and minus the share of each other class among the others."""
        xp, count, channels = self.xp, self.cells.count, shape_of(head.value)[1]
        logits = xp.take_along_axis(xp.reshape(self.at_cell(head.value), (count, channels)), of_row, axis=1)
        of_label = xp.equal(xp.reshape(self.rows.label, (count, 1)), np.arange(classes))
        others = xp.softmax(xp.where(of_label, np.float32(FAR), xp.astype(logits, np.float32)), axis=1)
        return xp.subtract(xp.astype(of_label, np.float32), others)
