"""Windows: what operations of the tail make of masked cells once they mix neighbours.

A convolution or a pool spreads cell n over a window, and beyond it copy n is still the same for all masks: the rest, as the
tail makes it of nothing but rests. It may differ from cell to cell, as padding does, and is a constant. So

* an operation that treats every cell alike, as a 1x1 convolution does, gives (f(v), f(rest)), computed for the items of the
  windows alone;
* another convolution without its addend is linear: that of v - rest, 0 beyond the windows, is added to what it makes of the
  rest (`convolution`);
* means over windows are products with shares, and maxima read the rest where there is no item (`pools`);
* values of which masks reach different cells are laid out anew, as v - rest, 0 where there was nothing, plus the rest;
* a sum or a mean over all cells gives rows: the sum of the items, and that of the rest elsewhere.

Items of all windows are rows and columns, [B, C, P, P'], an image to every operation that looks at one cell. Nothing else has a
rule here, and the tail computes all rows for it. So it does where a convolution of all rows takes less. Rows are made of items
of few channels: what widens them is computed again for rows, where that takes less than to move what it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import prod
from typing import Literal, TypeAlias

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import FIRST
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.cost import operations
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.record import elements
from openvino_xai.operations.shapes import windows as windows_over
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.operations.windows import Windows
from openvino_xai.tail.algebra import MaskRules, repeat_node
from openvino_xai.tail.batching import repeat_over_rows
from openvino_xai.tail.masked import Masked, MaskedCells, MaskedWindows, Rows, tapped
from openvino_xai.tail.masks import BlockMask
from openvino_xai.tail.spatial_masks import reduction_of, rows_along
from openvino_xai.tail.windowed.convolution import Over, SideBySide, TapByTap
from openvino_xai.tail.windowed.pools import maxima, means, read_by
from openvino_xai.tail.windowed.reach import Pair, Reach, joined, placed, summed

CELLS = (2, 3)  # the axes of rows and columns
SHARE = 0.75  # of all rows' cells: where windows have more items, next to nothing is left to gain
MOST = 400  # masks: with more of them the price is high in any way, and planning takes long
# multiplications of a 1x1 convolution in the time that an element takes, measured in both runtimes: one that is laid out for a
# convolution or selected by a mask, and one that is picked of what a convolution gives, or becomes a row
LAID, PICKED = 100, 400
WindowUse: TypeAlias = Literal["least", "fewest", "longest", "none"]


class WindowRules(MaskRules[MaskedWindows]):
    """What nodes make of windows, for images of which each has a copy for each block of a `mask`.

    They are kept up to the convolution that takes the `least` over all rows, what is moved for windows and rows beside the
    operations; or the `fewest` operations alone; or the `longest`: as long as they have fewer items than all rows have cells,
    since what is behind takes less, too. With `none` of them the rules are for nothing. `moves` counts, in multiplications,
    what was moved.
    """

    def __init__(self, graph: Graph, trace: Trace, mask: BlockMask, use: WindowUse) -> None:
        super().__init__(graph, trace)
        self._mask, self._use, self.moves = mask, use, 0
        self._used = self._refused = False
        self._differences: dict[MaskedWindows, Value] = {}
        self._rows: dict[MaskedWindows, Rows] = {}
        self._sources: dict[MaskedWindows, tuple[Node, Mapping[int, MaskedWindows]]] = {}
        self._prices: dict[MaskedWindows, int] = {}  # of rows, in multiplications

    @property
    def alternatives(self) -> tuple[WindowUse, ...]:
        """What else may take less: no windows, and, where they were left though there was a rule, longer ones."""
        if self._use != "least" or not (self._used or self._refused):
            return ()
        return ("fewest", "longest", "none") if self._refused else ("none",)

    def step(
        self, node: Node, operands: Mapping[int, Masked], shape: Callable[[Value], Shape] = shape_of
    ) -> list[Masked] | None:
        """The outputs of `node`; None if no rule applies."""
        windows = {index: item for index, value in operands.items() if (item := self._windows_of(value)) is not None}
        if (
            self._use == "none"
            or not windows
            or len(windows) < len(operands)
            or len({item.sizes for item in windows.values()}) != 1
        ):
            return None
        if operation_of(node).shape is windows_over and list(windows) == [0] and not is_1x1(node):
            mixed = self._mixed(node, windows[0])
            if mixed is not None:
                return mixed
        if any(isinstance(value, MaskedWindows) for value in operands.values()):
            return self._alike(node, windows, operands) or self._reduced(node, windows, shape)
        return None

    def rows(self, windows: MaskedWindows) -> Rows:
        """[B * N, C, H, W]: all cells of every copy, made once: of the items, or of other rows where that takes less."""
        if windows not in self._rows:
            if windows in self._sources:
                node, operands = self._sources[windows]
                rows = {index: self.rows(value) for index, value in operands.items()}
                self._rows[windows] = repeat_over_rows(self._graph, self._trace, node, rows)[0]
            else:
                self._rows[windows] = self._rows_of_items(windows)
        return self._rows[windows]

    def selects(self, cells: MaskedCells) -> None:
        """Count what it takes to make rows of cells by their mask."""
        if (windows := self._windows_of(cells)) is not None:
            self.moves += self._prices[windows]

    def _price_of_rows(self, windows: MaskedWindows) -> int:
        """In multiplications: what rows of windows take at least."""
        if windows in self._prices:
            return self._prices[windows]
        (channels,) = concrete(shape_of(windows.value)[1:2], "the channels of windows")
        return PICKED * channels * prod(reach.full.count for reach in windows.reach)

    def _with_rows(self, windows: MaskedWindows, node: Node, operands: Mapping[int, Masked]) -> MaskedWindows:
        """Windows that a node made of others: their rows are made so, too, where that takes less than by the items."""
        others = {index: value for index, value in operands.items() if isinstance(value, MaskedWindows)}
        if len(others) == len(operands) and len(node.outputs) == 1:
            price = operations([node]) * prod(len(reach.start) for reach in windows.reach)
            price += sum(map(self._price_of_rows, set(others.values())))
            if price < self._price_of_rows(windows):
                self._prices[windows], self._sources[windows] = price, (node, others)
        return windows

    def _rows_of_items(self, windows: MaskedWindows) -> Rows:
        """[B * N, C, H, W]: all cells of every copy."""
        xp, (height, width) = self._trace, windows.sizes
        self.moves += self._price_of_rows(windows)
        full = self._extended(windows, (windows.reach[0].full, windows.reach[1].full))
        batch, channels = shape_of(full)[:2]
        rows, columns = (len(reach.start) for reach in windows.reach)
        apart = xp.reshape(full, (batch, channels, rows, height, columns, width))
        by_mask = xp.permute_dims(apart, (0, 2, 4, 1, 3, 5))
        return Rows(xp.reshape(by_mask, (batch * (rows * columns), channels, height, width)))

    def _windows_of(self, value: Masked) -> MaskedWindows | None:
        """Windows, and masked cells as windows of a single cell or block; None for another form."""
        if isinstance(value, MaskedWindows) or not isinstance(value, MaskedCells):
            return value if isinstance(value, MaskedWindows) else None
        place, sizes = value.place, shape_of(value.value)
        if place.batch != 0 or place.cells != CELLS or len(sizes) != 4 or any(place.mirrored):
            return None
        if not isinstance(self._mask.count, int) or self._mask.count > MOST:
            return None
        reach = []
        for size, masks in zip(sizes[2:], self._mask.grid, strict=True):
            if not isinstance(size, int) or not isinstance(masks, int) or size % masks:
                return None
            reach.append(Reach.of_blocks(size, masks))
        if not isinstance(sizes[1], int):
            return None
        windows = MaskedWindows(value.value, value.rest, (reach[0], reach[1]))
        self._prices[windows] = LAID * sizes[1] * prod(along.full.count for along in reach)
        return windows

    # -- what treats every cell alike

    def _alike(self, node: Node, windows: Mapping[int, MaskedWindows], operands: Mapping[int, Masked]) -> list[Masked] | None:
        """The outputs of a node that treats every cell alike, beside operands that are the same for all images and cells."""
        axes, operation = axes_of(node), operation_of(node)
        if axes is None or operation.takes_shape or any(len(shape_of(value)) != 4 for value in node.outputs):
            return None
        if any((index, axis, True) not in axes[0][axis] for index in windows for axis in (0, *CELLS)):
            return None
        for index, value in node.operands:
            if index in windows or index in operation.controls:
                continue
            along = [source.axis for axis in (0, *CELLS) for source in axes[0][axis] if source.operand == index]
            if not is_fixed(self._graph, value) or any(shape_of(value)[axis] != 1 for axis in along):
                return None
        first, *others = windows.values()
        reach = reduce(joined, (item.reach for item in others), first.reach)
        inputs = [self._extended(windows[i], reach) if i in windows else value for i, value in enumerate(node.inputs)]
        sizes = tuple(along.count for along in reach)
        shapes = [(*shape_of(value)[:2], *sizes) for value in node.outputs]
        keeps_zero = operation.gives_zero(node, windows, self._graph.constant)
        rests = self._rests(node, windows, first.spans, keeps_zero=keeps_zero)
        values = repeat_node(self._trace, node, inputs, shapes)
        outputs = [MaskedWindows(value, rest, reach) for value, rest in zip(values, rests, strict=True)]
        return [self._with_rows(output, node, operands) for output in outputs]

    # -- what mixes neighbours

    def _mixed(self, node: Node, windows: MaskedWindows) -> list[Masked] | None:
        """The output of a convolution or a pool; None for another node."""
        a, after = node.attributes, shape_of(node.outputs[0])
        if len(a["kernel"]) != 2 or len(after) != 4 or not all(isinstance(size, int) for size in after[1:]):
            return None
        counts = concrete(after[2:], f"the cells of {node}")
        over = [Windows.along(a, i, size, count) for i, (size, count) in enumerate(zip(windows.sizes, counts, strict=True))]
        rows, columns = (reach.through(window) for reach, window in zip(windows.reach, over, strict=True))
        if operation_of(node).weights is None:
            return self._pooled(node, windows, (over[0], over[1]), (rows, columns))
        return self._convolved(node, windows, (over[0], over[1]), (rows, columns))

    def _pooled(self, node: Node, windows: MaskedWindows, over: Over, reach: Pair) -> list[Masked] | None:
        """The output of a pool; None where windows have about all cells, and as its second output is not known."""
        cells = reach[0].size * reach[1].size * len(reach[0].start) * len(reach[1].start)
        if reach[0].count * reach[1].count > SHARE * cells or any(map(self._is_read, node.outputs[1:])):
            return None
        xp, rest = self._trace, self._rest_of_windows(node, windows)
        if operation_of(node).reduces == "max":
            # all that is read, and no mask without an item of its own
            region = joined(windows.reach, read_by(reach, over))
            value = maxima(xp, self._extended(windows, region), region, reach, over)
        elif (mean := means(xp, node, self._difference(windows), windows.reach, reach, over)) is not None:
            value = mean if rest is None else xp.add(mean, self._at_items(rest, reach))
        else:
            return None
        self._used = True
        return [MaskedWindows(value, rest, reach)] * len(node.outputs)

    def _convolved(self, node: Node, windows: MaskedWindows, over: Over, reach: Pair) -> list[Masked] | None:
        """The output of a convolution by constant weights, in the form of fewest operations; None where all rows take fewer."""
        if any(not is_fixed(self._graph, value) for index, value in node.operands if index):
            return None
        forms: list[SideBySide | TapByTap] = [
            SideBySide.of(node, windows.reach, reach),
            TapByTap(node, windows.reach, reach, over),
        ]
        form = min(forms, key=lambda form: form.operations)
        masks = len(reach[0].start) * len(reach[1].start)
        items, cells = reach[0].count * reach[1].count, reach[0].size * reach[1].size * masks
        of_rows = operations([node]) * masks
        moved = LAID * form.laid + PICKED * elements(node.outputs[0].shape) * masks * items // cells
        dearer = {
            "least": form.operations + moved >= of_rows + self._price_of_rows(windows),
            "fewest": form.operations >= of_rows,
            "longest": items > SHARE * cells,
        }
        if dearer[self._use]:
            self._refused = True
            return None
        self.moves += moved
        self._used = True
        value, rest = form.traced(self._trace, self._difference(windows)), self._rest_of_windows(node, windows)
        if rest is not None:
            value = self._trace.add(value, self._at_items(rest, reach))
        return [MaskedWindows(value, rest, reach)]

    def _rest_of_windows(self, node: Node, windows: MaskedWindows) -> Value | None:
        """The rest of the output of a node that mixes neighbours."""
        xp, after = self._trace, shape_of(node.outputs[0])
        if windows.rest is None:
            if operation_of(node).gives_zero(node, [0], self._graph.constant):
                return None
            addend = node.inputs[2] if len(node.inputs) > 2 else None
            if addend is not None:
                return xp.reshape(addend, (1, after[1], 1, 1))
        rest = self._rest(windows)
        full = xp.broadcast_to(rest, (1, shape_of(rest)[1], *windows.sizes))
        shapes = [(1, *shape_of(value)[1:]) for value in node.outputs]
        return repeat_node(xp, node, [full, *node.inputs[1:]], shapes)[0]

    # -- sums over all cells

    def _reduced(
        self, node: Node, windows: Mapping[int, MaskedWindows], shape: Callable[[Value], Shape]
    ) -> list[Masked] | None:
        """Rows: the sum or the mean over all cells of each copy."""
        item = windows.get(0)
        how = None if item is None else reduction_of(node, shape_of(node.operand(0)), CELLS)
        if item is None or how not in ("mean", "sum") or len(node.outputs) > 1:
            return None
        xp, (height, width) = self._trace, item.sizes
        sums = summed(xp, item.value, *(reach.sums() for reach in item.reach))
        if item.rest is not None:
            full = xp.broadcast_to(item.rest, (1, shape_of(item.rest)[1], height, width))
            reached = summed(xp, full, *(reach.reached() for reach in item.reach))
            sums = xp.add(sums, xp.subtract(xp.sum(full, axis=CELLS, keepdims=True), reached))
        if how == "mean":
            sums = xp.multiply(sums, 1 / (height * width))
        batch, channels, rows, columns = shape_of(sums)
        by_mask = xp.reshape(xp.permute_dims(sums, (0, 2, 3, 1)), (batch * (rows * columns), channels))
        return [rows_along(xp, by_mask, shape(node.outputs[0]), FIRST)]

    # -- items

    def _difference(self, windows: MaskedWindows) -> Value:
        """[B, C, P, P']: v - rest."""
        if windows.rest is None:
            return tapped(self._trace, windows.value)
        if windows not in self._differences:
            rest = self._at_items(windows.rest, windows.reach)
            self._differences[windows] = self._trace.subtract(tapped(self._trace, windows.value), rest)
        return self._differences[windows]

    def _extended(self, windows: MaskedWindows, reach: Pair) -> Value:
        """[B, C, P, P']: the items of a reach that holds all of the windows'."""
        if all(old.same(new) for old, new in zip(windows.reach, reach, strict=True)):
            return tapped(self._trace, windows.value)
        down, across = (old.places_in(new) for old, new in zip(windows.reach, reach, strict=True))
        value = placed(self._trace, self._difference(windows), down, across)
        return value if windows.rest is None else self._trace.add(value, self._at_items(windows.rest, reach))

    def _at_items(self, rest: Value, reach: Pair) -> Value:
        """[1, C, P, P'], with size 1 along what it is the same for: the rest of each item's cell."""
        for axis, along in zip(CELLS, reach, strict=True):
            if shape_of(rest)[axis] != 1:
                rest = self._trace.take(rest, along.cells, axis=axis)
        return rest
