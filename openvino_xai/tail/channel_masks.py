"""Channel masks: the tail with channels switched off.

Let copy m of the features keep channel c where mask[m, c] is true, and be 0 elsewhere. An operation f that treats each channel
alone gives f(v) where the channel is kept and f(0) elsewhere. So a mean pool, an activation or a norm by constants works on the
features once. Only what mixes channels meets the copies, and these are rows behind a pool, and no feature maps.

Channels take the place of cells here: in `MaskedCells` the axis of channels is the axis of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, at_one
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.class_slicing import can_differ, is_linear_layer, linear_layer_of_channels
from openvino_xai.tail.forward import Tail
from openvino_xai.tail.masked import Masked, MaskedCells, Rows, tapped
from openvino_xai.tail.spatial_masks import CellRules
from openvino_xai.tail.target import Columns


class ChannelRules(CellRules):
    """The rule of cells that holds for channels, too. A mask keeps any number of them, so no reduction has a closed form."""

    def step(
        self, node: Node, operands: Mapping[int, Masked], shape: Callable[[Value], Shape] = shape_of
    ) -> list[Masked] | None:
        """The outputs of `node`; None unless it treats each channel alone."""
        masked = {index: value for index, value in operands.items() if isinstance(value, MaskedCells)}
        return self._alike(node, masked) if len(masked) == len(operands) else None

    def _sizes_of_rest(self, form: MaskedCells) -> tuple[int, ...]:
        """The shape of a rest of zeros, of every channel: a node may have parameters for each."""
        return tuple(1 if axis == form.place.batch else at_one(size) for axis, size in enumerate(shape_of(form.value)))


class ChannelTail(Tail):
    """The part of a model from a cut to `end`, for features of which copy m has the channels that `channel_masks` keep.

    The masks are [B, M, C], true for a channel that is kept. The plan is lazy.
    """

    def __init__(self, graph: Graph, trace: Trace, end: Value, channel_masks: Value, *, batch: Size) -> None:
        grid = (shape_of(channel_masks)[1], 1)  # rows are counted by masks: M as a column of one cell each
        super().__init__(graph, trace, end, batch=batch, grid=grid, lazy=True)
        self._rules = ChannelRules(graph, trace, batch, grid)
        self._channel_masks = channel_masks

    def _choose(self, columns: Columns | None, start: Collection[Value]) -> None:
        """Where no layer makes classes of channels, the channels are the classes, and all of them are needed."""
        mixed = any(operation_of(node).weights is not None for node in self._nodes)
        super()._choose(columns if mixed else None, start)

    def _can_differ(self, class_axis: Mapping[Value, int]) -> bool:
        return can_differ(self._nodes, class_axis, by_channel=True)

    def _linear_layer(self, node: Node, operands: Mapping[int, Masked], columns: Columns) -> Rows | None:
        """The output of a linear layer without any masked copy, if there are fewer classes than masks.

        It multiplies the features by the weights of each class first, and by the masks then.
        """
        features, masks = operands.get(0), shape_of(self._channel_masks)[1]
        if not isinstance(features, MaskedCells) or features.rest is not None or len(operands) > 1 or not is_linear_layer(node):
            return None
        # weights multiply axis 1 of [B, C, H, W] in a convolution, and the last axis in a matrix product
        if features.place.cells != (1,) or (node.kind == "matmul" and len(shape_of(features.value)) != 2):
            return None
        if not isinstance(masks, int) or columns.count >= masks:
            return None
        value = tapped(self._trace, features.value)
        return Rows(linear_layer_of_channels(self._trace, node, value, self._channel_masks, columns, (self._batch, masks)))

    def _masks(self, features: MaskedCells) -> Value:
        """[B, M, 1 ... C ... 1]: the masks, with C on the axis that holds the channels of the value."""
        (axis,) = features.place.cells
        shape, (batch, masks, channels) = shape_of(features.value), shape_of(self._channel_masks)
        return self._trace.reshape(
            self._channel_masks, (batch, masks, *(channels if a == axis else 1 for a in range(1, len(shape))))
        )
