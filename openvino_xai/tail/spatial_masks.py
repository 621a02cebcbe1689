"""Spatial masks: what operations of the tail do to masked cells (v, rest), of which copy n is v at cell n and rest elsewhere.

* An operation f that treats every cell alike gives (f(v), f(rest)). The model computes f(v) already, and f(rest) is a constant,
  which is folded when the hook is inserted. So the copies cost nothing.
* A reduction over all N cells gives rows, in closed form: the mean is (v_n + (N - 1) rest) / N, the sum that without the
  division, and the maximum max(v_n, rest).
* A gate, as in squeeze-and-excite, is a row for each cell, and multiplies cell n by row n.
* A linear layer on flattened features with a rest of 0 reads only the block of its weights that belongs to cell n, also behind
  what keeps their order, and what makes something else of each.

A mask may keep a block of cells: v_n is then the sum over that block, or its maximum. Nothing else has a rule here: what a
convolution makes of them is in `windowed`, and for the rest the tail computes all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, concrete, product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import FIRST, Span, follow
from openvino_xai.locate.tokens import picked_tokens
from openvino_xai.operations.axes import Axes
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.record import Reduction
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.operations.windows import reads_all
from openvino_xai.tail.algebra import MaskRules, repeat_node
from openvino_xai.tail.masked import FlattenedCells, Masked, MaskedCells, Rows, Unmasked, spans_of, tapped
from openvino_xai.tail.masks import BlockMask, Mask, in_image
from openvino_xai.tail.target import Columns


class CellRules(MaskRules[MaskedCells]):
    """The rules for `batch` images, of which each has a copy for each `mask`."""

    by_channel = False

    def __init__(self, graph: Graph, trace: Trace, batch: Size, mask: Mask) -> None:
        super().__init__(graph, trace)
        self.batch, self.mask = batch, mask

    def step(
        self, node: Node, operands: Mapping[int, Masked], shape: Callable[[Value], Shape] = shape_of
    ) -> list[Masked] | None:
        """The outputs of `node`; None if no rule applies.

        `shape` gives the shape of a reduced output before its images become rows.
        """
        masked = {index: value for index, value in operands.items() if isinstance(value, MaskedCells)}
        if len(masked) == len(operands):
            return (
                self._alike(node, masked)
                or self._reduced(node, masked, shape)
                or self._picked(node, masked)
                or self._flattened(node, masked)
            )
        if masked:
            return self._gated(node, masked, operands)
        flat = operands.get(0)
        if not isinstance(flat, FlattenedCells) or len(operands) > 1:
            return None
        return self._still_flat(node, flat) or self._linear_layer(node, flat)

    def of_classes(self, node: Node, operands: Mapping[int, Masked], columns: Columns) -> Rows | None:
        """The output of a linear layer for these classes, of flattened cells, or of masks that can be a factor; else None."""
        flat = operands.get(0)
        if not isinstance(flat, FlattenedCells) or len(operands) > 1:
            return None
        outputs = self._linear_layer(node, flat)
        rows = None if outputs is None else outputs[0]
        if not isinstance(rows, Rows):
            return None
        by_image = self._trace.reshape(rows.value, (self.batch, self.mask.count, columns.total))
        taken = columns.taken(self._trace, by_image)
        return Rows(self._trace.reshape(taken, (self.batch * self.mask.count, columns.count)))

    # -- what treats every cell alike

    def _alike(self, node: Node, masked: Mapping[int, MaskedCells]) -> list[Masked] | None:
        """The outputs of a node that treats every cell alike, beside operands that are the same for all images."""
        output_axes = axes_of(node)
        place = None if output_axes is None else _placed(output_axes[0], masked)
        if output_axes is None or place is None:
            return None
        for index, value in node.operands:
            if index in masked:
                continue
            # if one differed from image to image, the rest would
            along = [source.axis for source in output_axes[0][place.batch] if source.operand == index]
            if any(shape_of(value)[axis] != 1 for axis in along):
                return None
            if index not in operation_of(node).controls and not is_fixed(self._graph, value):
                return None
        values = self._values(node, masked)
        keeps_zero = operation_of(node).gives_zero(node, masked, self._graph.constant)
        rests = self._rests(node, masked, spans_of(place), keeps_zero=keeps_zero)
        return [MaskedCells(value, rest, place) for value, rest in zip(values, rests, strict=True)]

    # -- reductions over all cells

    def _reduced(self, node: Node, masked: Mapping[int, MaskedCells], shape: Callable[[Value], Shape]) -> list[Masked] | None:
        features = masked.get(0)
        unread = features is not None and not any(map(self._is_read, node.outputs[1:]))
        how = reduction_of(node, shape_of(features.value), features.place.cells) if features and unread else None
        span = None if features is None or how is None else follow(node, 0, Span(features.place.batch))
        if features is None or how is None or span is None:
            return None
        if how in ("max", "min") and _differs(features):
            return None  # the largest rest elsewhere differs from mask to mask
        xp, masks = self._trace, self.mask.count
        cells, outside = self._cells_of(features), self._outside(features)
        # sum over cells of copy n: v_n + sum of the rest over the cells but n; a mean divides this by the number of all cells
        rows = self._of_blocks(cells.value, cells.place, how)
        if how in ("max", "min"):
            # a single mask keeps all cells, and leaves nothing to the rest
            rows = rows if masks == 1 else self._extreme(rows, cells, how)
            rows = rows if outside is None else self._with_outside(rows, outside, features.place, how)
        else:
            sizes = shape_of(features.value)
            count = product(sizes[axis] for axis in cells.place.cells)
            number = product(shape_of(cells.value)[axis] for axis in cells.place.cells)
            if cells.rest is not None:
                rows = xp.add(rows, self._rest_elsewhere(cells.rest, cells, number))
            rows = rows if outside is None else self._with_outside(rows, outside, features.place, how)
            if how == "mean":
                rows = (
                    xp.multiply(rows, 1 / count)
                    if isinstance(count, int)
                    else xp.divide(rows, self._number(count, features.value))
                )
        # what nobody reads, as where OpenVINO's pools tell which cell is the largest, is whatever it may be
        return [rows_along(xp, rows, shape(node.outputs[0]), span)] * len(node.outputs)

    # -- tokens that are no cells, as a class token

    def _outside(self, features: MaskedCells) -> Value | None:
        """The tokens that are no cells, which masks leave as they are; None where all are cells."""
        beside = features.place.beside(shape_of(features.value))
        if beside is None:
            return None
        return self._trace.take(features.value, np.flatnonzero(beside), axis=features.place.cells[0])

    def _cells_of(self, features: MaskedCells) -> MaskedCells:
        """The same without tokens that are no cells."""
        beside, (axis, *_) = features.place.beside(shape_of(features.value)), features.place.cells
        if beside is None:
            return features
        cells, rest = np.flatnonzero(~beside), features.rest
        if rest is not None and shape_of(rest)[axis] != 1:
            rest = self._trace.take(rest, cells, axis=axis)
        value = self._trace.take(tapped(self._trace, features.value), cells, axis=axis)
        return MaskedCells(value, rest, replace(features.place, prefix=0))

    def _with_outside(self, rows: Value, outside: Value, place: Place, how: str) -> Value:
        """Rows [B * N, ...] of cells, summed up with (or held to) the tokens that are no cells."""
        xp, sizes = self._trace, shape_of(rows)[1:]
        reduce = {"max": xp.max, "min": xp.min}.get(how, xp.sum)
        together = {"max": xp.maximum, "min": xp.minimum}.get(how, xp.add)
        of_image = xp.reshape(reduce(outside, axis=place.cells), (self.batch, 1, *sizes))
        by_image = xp.reshape(rows, (self.batch, self.mask.count, *sizes))
        return xp.reshape(together(by_image, of_image), (self.batch * self.mask.count, *sizes))

    def _picked(self, node: Node, masked: Mapping[int, MaskedCells]) -> list[Masked] | None:
        """Tokens that a node picks of all: such as are no cells, which are the same for all masks, or all cells."""
        features, place = masked.get(0), None if 0 not in masked else masked[0].place
        if features is None or place is None or len(place.cells) != 1:
            return None
        tokens = picked_tokens(self._graph, node, Span(place.cells[0]))
        beside, span = place.beside(shape_of(features.value)), follow(node, 0, Span(place.batch))
        if tokens is None or beside is None or span is None or not span.pure:
            return None
        outside = beside.reshape(-1)[tokens]
        if outside.all():
            return [Unmasked(node.outputs[0], span)]
        (first, *_), count = np.flatnonzero(~outside), int((~beside).sum())
        if "steps" not in node.attributes or tokens[first : first + count] != list(range(place.prefix, place.prefix + count)):
            return None  # some of the cells, or in another order
        rest = features.rest
        if rest is not None and shape_of(rest)[place.cells[0]] != 1:
            rest = self._trace.take(rest, np.array(tokens), axis=place.cells[0])
        return [MaskedCells(node.outputs[0], rest, replace(place, prefix=int(first)))]

    def _extreme(self, rows: Value, features: MaskedCells, how: str) -> Value:
        """The larger (or smaller) of what a mask keeps and of the rest."""
        rest = np.zeros((), features.value.dtype) if features.rest is None else self._of_one_cell(features.rest, features.place)
        return self._trace.maximum(rows, rest) if how == "max" else self._trace.minimum(rows, rest)

    def _of_blocks(self, value: Value, place: Place, how: str) -> Value:
        """[B * N, ...]: the sum (or the extreme) over each block of cells, with the other axes in their order."""
        xp, shape = self._trace, shape_of(value)
        others = [axis for axis in range(len(shape)) if axis not in (place.batch, *place.cells)]
        moved = self._as_in_image(xp.permute_dims(tapped(xp, value), (place.batch, *place.cells, *others)), place)
        sizes = [shape[axis] for axis in others]
        if not self._single(value, place):
            assert isinstance(self.mask, BlockMask)
            height, width, grid_height, grid_width = concrete(
                (*(shape[axis] for axis in place.cells), *self.mask.grid), f"the cells of '{value.name}'"
            )
            split = xp.reshape(
                moved, (shape[place.batch], grid_height, height // grid_height, grid_width, width // grid_width, *sizes)
            )
            reduce = {"max": xp.max, "min": xp.min}.get(how, xp.sum)
            moved = reduce(split, axis=(2, 4))
        return xp.reshape(moved, (shape[place.batch] * self.mask.count, *sizes))

    def _as_in_image(self, value: Value, place: Place) -> Value:
        """A value with the cells behind its batch, row by row as in the image, where it holds them mirrored."""
        shape, grid = shape_of(value), place.grid
        if not any(place.mirrored):
            return value
        height, width = concrete(grid, f"the cells of '{value.name}'")
        order = in_image(np.arange(height * width).reshape(height, width), place).reshape(-1)
        ends = shape[1 + len(place.cells) :]
        flat = self._trace.take(self._trace.reshape(value, (shape[0], height * width, *ends)), order, axis=1)
        return self._trace.reshape(flat, shape)

    def _single(self, value: Value, place: Place) -> bool:
        """Whether a mask keeps one cell, and not a block of them."""
        return self.mask.count == product(shape_of(value)[axis] for axis in place.cells)

    def _of_one_cell(self, rest: Value, place: Place) -> Value:
        """[1, ...]: a rest that is the same for all cells, without the axes of cells."""
        sizes = (size for axis, size in enumerate(shape_of(rest)) if axis not in (place.batch, *place.cells))
        return self._trace.reshape(rest, (1, *sizes))

    def _rest_elsewhere(self, rest: Value, features: MaskedCells, count: Size) -> Value:
        """[1, ...], or [B * N, ...] if it depends on n: the sum of the rest over the cells that mask n does not keep."""
        xp, place, masks = self._trace, features.place, self.mask.count
        if not _differs(features):  # the sum is a multiple, and no node has to reduce
            cell_rest = self._of_one_cell(rest, place)
            if isinstance(count, int) and isinstance(masks, int):
                return xp.multiply(cell_rest, float(count - count // masks))
            # blocks are made of known sizes only, so each mask of an open grid keeps one cell
            return xp.multiply(cell_rest, xp.subtract(self._number(count, features.value), 1.0))
        sizes = list(shape_of(rest))
        for axis in place.cells:
            sizes[axis] = shape_of(features.value)[axis]
        full_rest = xp.broadcast_to(rest, tuple(sizes))
        everywhere = xp.sum(full_rest, axis=place.cells)
        elsewhere = xp.subtract(everywhere, self._of_blocks(full_rest, place, "sum"))  # [N, ...]
        others = shape_of(elsewhere)[1:]
        one_each = xp.broadcast_to(xp.reshape(elsewhere, (1, masks, *others)), (self.batch, masks, *others))
        return xp.reshape(one_each, (self.batch * masks, *others))

    def _number(self, count: Size, like: Value) -> Value:
        """[1], in the type of `like`: a number of cells that only a run knows."""
        return self._trace.astype(self._trace.size(count), like.dtype)

    # -- gates

    def _gated(self, node: Node, masked: Mapping[int, MaskedCells], operands: Mapping[int, Masked]) -> list[Masked] | None:
        """Masked cells with a rest of 0 times rows: cell n of image b is multiplied by row b * N + n."""
        if node.kind != "multiply" or len(masked) != 1 or len(operands) != 2:
            return None
        ((index, features),) = masked.items()
        gate = operands[1 - index]
        place, shape = features.place, shape_of(features.value)
        if features.rest is not None or not isinstance(gate, Rows) or gate.span != FIRST or place.batch != 0:
            return None
        sizes = shape_of(gate.value)
        if len(sizes) != len(shape) or any(sizes[axis] != 1 for axis in place.cells) or any(place.mirrored):
            return None
        if not self._single(features.value, place) or shape_of(node.outputs[0]) != shape:
            return None
        # a rest of 0 stays 0 whatever it is multiplied by, so of row n the factor for cell n alone matters
        xp = self._trace
        others = [axis for axis in range(len(shape)) if axis not in (0, *place.cells)]
        grid = (shape[axis] for axis in place.cells)
        by_cell = xp.reshape(gate.value, (shape[0], *grid, *(sizes[axis] for axis in others)))
        order = [0, *place.cells, *others]
        spread = xp.permute_dims(by_cell, tuple(order.index(axis) for axis in range(len(shape))))
        return [MaskedCells(xp.multiply(tapped(xp, features.value), spread), None, place)]

    # -- linear layers on flattened features

    def _flattened(self, node: Node, masked: Mapping[int, MaskedCells]) -> list[Masked] | None:
        """Masked cells that a reshape flattens to [B, everything else]."""
        shape = shape_of(node.outputs[0]) if operation_of(node).lays_out and node.outputs[0].shape else ()
        features = masked.get(0)
        if features is None or len(shape) != 2 or features.place.batch != 0 or shape[0] != self.batch:
            return None
        return [FlattenedCells(features, node.outputs[0], is_own=features.value is node.operand(0))]

    def _still_flat(self, node: Node, flat: FlattenedCells) -> list[Masked] | None:
        """Flattened cells with a rest of 0 that stay in their order, and may each become something else, of which 0 stays 0."""
        operation, features, output = operation_of(node), flat.features, node.outputs[0]
        others = [(index, value) for index, value in node.operands if index]
        if features.rest is not None or len(node.outputs) > 1 or output.shape != flat.value.shape:
            return None
        if operation.lays_out:
            return [replace(flat, value=output)]
        single = all(index in operation.controls or product(shape_of(value)) == 1 for index, value in others)
        alike = single and all(is_fixed(self._graph, value) for _, value in others)
        if not ((operation.pointwise or operation.quantises) and alike) or not operation.gives_zero(
            node, [0], self._graph.constant
        ):
            return None
        shape = shape_of(features.value)
        if flat.is_own:
            again = self._trace.reshape(output, shape)
        else:
            (again,) = repeat_node(self._trace, node, [features.value, *node.inputs[1:]], [shape])
        return [replace(flat, features=replace(features, value=again), value=output)]

    def _linear_layer(self, node: Node, flat: FlattenedCells) -> list[Masked] | None:
        """[B * N, features]: the values at cell n times the block of the weights that belongs to cell n.

        As one product of matrices for each cell, [N, B, C] by [N, C, features], so that no row is as long as all cells.
        """
        features, attributes = flat.features, node.attributes
        place, shape = features.place, shape_of(features.value)
        sizes = shape[1:]
        if any(place.mirrored):
            return None
        if (
            node.kind != "matmul"
            or features.rest is not None
            or attributes.get("transpose_a")
            or len(shape_of(node.operand(1))) != 2
        ):
            return None
        if not self._single(features.value, place) or any(isinstance(size, Dim) for size in sizes):
            return None
        if any(not is_fixed(self._graph, value) for index, value in node.operands if index):
            return None
        xp, weights = self._trace, node.operand(1)
        others = [axis for axis in range(1, len(shape)) if axis not in place.cells]
        masks, depth = self.mask.count, product(shape[axis] for axis in others)
        out_features = shape_of(node.outputs[0])[-1]
        last = 0 if attributes.get("transpose_b") else len(sizes)  # where the weights have their outputs
        split = xp.reshape(weights, (out_features, *sizes) if last == 0 else (*sizes, out_features))
        offset = -1 if last else 0
        axes = (*(axis + offset for axis in (*place.cells, *others)), last)
        # x W is the sum over the cells of x_n W_n; with a rest of 0, copy n has only the term of cell n
        blocks = xp.reshape(xp.permute_dims(split, axes), (masks, depth, out_features))
        moved = xp.permute_dims(tapped(xp, features.value), (*place.cells, 0, *others))
        rows = xp.matmul(xp.reshape(moved, (masks, shape[0], depth)), blocks)
        rows = xp.reshape(xp.permute_dims(rows, (1, 0, 2)), (self.batch * masks, out_features))
        # ONNX's Gemm scales the product by alpha, and what it adds by beta
        rows = rows if attributes.get("alpha", 1.0) == 1 else xp.multiply(rows, attributes["alpha"])
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            addend = node.operand(2)
            rows = xp.add(rows, addend if attributes["beta"] == 1 else xp.multiply(addend, attributes["beta"]))
        return [Rows(rows)]


def _placed(axes: Axes, masked: Mapping[int, MaskedCells]) -> Place | None:
    """Where an output has the batch and the cells; None if an operand has its own elsewhere, or mixed."""
    places = set()
    for index, features in masked.items():
        where = []
        for axis in (features.place.batch, *features.place.cells):
            targets = [target for target, sources in enumerate(axes) if (index, axis, True) in sources]
            if len(targets) != 1:
                return None
            where.append(targets[0])
        places.add(replace(features.place, batch=where[0], cells=tuple(where[1:])))
    return places.pop() if len(places) == 1 else None


def _differs(features: MaskedCells) -> bool:
    """Whether the rest depends on the position."""
    return features.rest is not None and any(shape_of(features.rest)[axis] != 1 for axis in features.place.cells)


def reduction_of(node: Node, shape: Shape, cells: tuple[int, ...]) -> Reduction | None:
    """How a node reduces all `cells` of an operand of this shape, and nothing else; None where it does not."""
    how = operation_of(node).reduces
    if how is None:
        return None
    if "axes" in node.attributes:
        axes = {axis % len(shape) for axis in node.attributes["axes"]}
        return how if axes == set(cells) else None
    # a pool whose only window covers the features is a reduction, where padding does not count as cells
    padded = how != "mean" or node.attributes["exclude_pad"]
    return how if cells == tuple(range(2, len(shape))) and reads_all(node, shape, padded=padded) else None


def rows_along(xp: Trace, rows: Value, shape: Shape, span: Span) -> Rows:
    """Items [B * N, ...] as the rows of a value that has this shape, and its images along `span`."""
    others = [size for axis, size in enumerate(shape) if axis != span.axis]
    order = [axis + 1 for axis in range(span.axis)] + [0] + list(range(span.axis + 1, len(shape)))
    laid = xp.reshape(rows, (shape_of(rows)[0], *others))
    return Rows(xp.permute_dims(laid, tuple(order)) if span.axis else laid, span)
