"""Channel masks: the tail with channels switched off.

Let copy m of the features keep channel c where mask[m, c] is true, and be 0 elsewhere. An operation f that treats each channel
alone gives f(v) where the channel is kept and f(0) elsewhere. So a mean pool, an activation or a norm by constants works on the
features once. Only what mixes channels meets the copies, and these are rows behind a pool, and no feature maps.

Channels take the place of cells here: in `MaskedCells` the axis of channels is the axis of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, at_one
from openvino_xai.graph.trace import shape_of
from openvino_xai.tail.class_slicing import is_linear_layer, linear_layer_of_channels
from openvino_xai.tail.masked import Masked, MaskedCells, Rows, tapped
from openvino_xai.tail.masks import ChannelMask
from openvino_xai.tail.spatial_masks import CellRules
from openvino_xai.tail.target import Columns


class ChannelRules(CellRules):
    """The rule of cells that holds for channels, too. A mask keeps any number of them, so no reduction has a closed form."""

    by_channel = True

    def step(
        self, node: Node, operands: Mapping[int, Masked], shape: Callable[[Value], Shape] = shape_of
    ) -> list[Masked] | None:
        """The outputs of `node`; None unless it treats each channel alone."""
        masked = {index: value for index, value in operands.items() if isinstance(value, MaskedCells)}
        return self._alike(node, masked) if len(masked) == len(operands) else None

    def _sizes_of_rest(self, form: MaskedCells) -> tuple[int, ...]:
        """The shape of a rest of zeros, of every channel: a node may have parameters for each."""
        return tuple(1 if axis == form.place.batch else at_one(size) for axis, size in enumerate(shape_of(form.value)))

    def of_classes(self, node: Node, operands: Mapping[int, Masked], columns: Columns) -> Rows | None:
        """The output of a linear layer without any masked copy, if there are fewer classes than masks; else None.

        It multiplies the features by the weights of each class first, and by the masks then.
        """
        features, masks = operands.get(0), self.mask.count
        if not isinstance(features, MaskedCells) or features.rest is not None or len(operands) > 1 or not is_linear_layer(node):
            return None
        # weights multiply axis 1 of [B, C, H, W] in a convolution, and the last axis in a matrix product
        if features.place.cells != (1,) or (node.kind == "matmul" and len(shape_of(features.value)) != 2):
            return None
        if not isinstance(self.mask, ChannelMask) or not isinstance(masks, int) or columns.count >= masks:
            return None
        # sum_c w_kc (m_c v_c) = sum_c m_c (w_kc v_c): the right side has no masked copy
        value, sizes = tapped(self._trace, features.value), (self.batch, masks)
        return Rows(linear_layer_of_channels(self._trace, node, value, self.mask.masks, columns, sizes))
