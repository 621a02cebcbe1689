"""A convolution over the windows of all masks, in two forms, which differ in what they cost.

* Side by side: the windows are laid beside each other, and the model's own convolution reads all of them. It computes each
  place of the kernel for each item behind it.
* Tap by tap: each item is weighed by each place of the kernel first, by a 1x1 convolution, and what belongs to an item behind
  it is summed up. That is less where windows grow: the first convolution reads single cells, and makes nine items of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.windows import Windows
from openvino_xai.tail.windowed.reach import Pair, Reach, of_placing, placed, summed

Over: TypeAlias = "tuple[Windows, Windows]"  # what a kernel reads along rows and along columns


@dataclass(frozen=True, eq=False)
class Layout:
    """Windows side by side, so that a convolution over all of them is that over each.

    The item `items[i]` of P is laid at `places[i]` of `length`. Of the `outputs` that a convolution without padding makes of
    these, those at `valid` are the items of the reach behind it. Others stand between windows that would else touch.
    """

    items: np.ndarray
    places: np.ndarray
    shape: tuple[int, int]  # (P, length)
    outputs: int
    valid: np.ndarray

    @property
    def placing(self) -> np.ndarray:
        """[P, length], 0 or 1: where each item is laid."""
        placing = np.zeros(self.shape, np.bool_)
        placing[self.items, self.places] = True
        return placing

    @classmethod
    def along(cls, before: Reach, after: Reach, attributes: Mapping[str, Any], axis: int) -> Layout:
        """The layout for a convolution with these neutral `attributes` along spatial axis `axis`."""
        stride, span = attributes["strides"][axis], (attributes["kernel"][axis] - 1) * attributes["dilations"][axis]
        items: list[np.ndarray] = []
        places: list[np.ndarray] = []
        valid: list[np.ndarray] = []
        output, data_end, read_end = 0, 0, 0  # where the next window stands, and how far the items and reads of others go
        ahead = np.cumsum(before.lengths) - before.lengths
        for mask in np.flatnonzero(after.lengths).tolist():
            length = int(after.lengths[mask])
            origin = int(after.start[mask]) * stride - attributes["pads"][axis]  # what the first output reads first
            reads = (length - 1) * stride + span + 1
            first, last = max(int(before.start[mask]) - origin, 0), min(int(before.stop[mask]) - origin, reads)
            # it reads no item of the window ahead, which reads none of its items
            output = max(output, -(-max(data_end, read_end - first) // stride))
            place = output * stride
            items.append(np.arange(first, last) + origin + int(ahead[mask] - before.start[mask]))
            places.append(np.arange(first, last) + place)
            valid.append(np.arange(output, output + length))
            data_end, read_end, output = place + last, place + reads, output + length
        shape = before.count, (output - 1) * stride + span + 1 if valid else 0
        laid, stand, behind = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in (items, places, valid))
        return cls(laid, stand, shape, output, behind)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """The model's convolution over windows beside each other."""

    node: Node
    layouts: tuple[Layout, Layout]

    @classmethod
    def of(cls, node: Node, before: Pair, after: Pair) -> SideBySide:
        """The form for items of one reach, behind which is another."""
        down, across = (Layout.along(before[i], after[i], node.attributes, i) for i in (0, 1))
        return cls(node, (down, across))

    @property
    def operations(self) -> int:
        """Multiply-accumulates for one image."""
        channels, outputs, taps = _sizes(self.node)
        (rows, height), (columns, width) = (layout.shape for layout in self.layouts)
        placing = channels * of_placing((rows, columns), (height, width))
        return placing + self.layouts[0].outputs * self.layouts[1].outputs * outputs * taps

    @property
    def laid(self) -> int:
        """The elements that it reads, for one image."""
        return _sizes(self.node)[0] * self.layouts[0].shape[1] * self.layouts[1].shape[1]

    def traced(self, xp: Trace, x: Value) -> Value:
        """[B, O, Q, Q'] of items [B, C, P, P']."""
        a = self.node.attributes
        laid = placed(xp, x, self.layouts[0].placing, self.layouts[1].placing)
        more = {"strides": a["strides"], "dilations": a["dilations"], "groups": a["groups"]}
        value = xp.conv(laid, self.node.operand(1), pads=[0] * 4, **more)
        for axis, layout in enumerate(self.layouts, start=2):
            if layout.outputs != len(layout.valid):
                value = xp.take(value, layout.valid, axis=axis)
        return value


@dataclass(frozen=True, eq=False)
class TapByTap:
    """A 1x1 convolution by all places of the kernel, and sums over those that belong together."""

    node: Node
    before: Pair
    after: Pair
    over: Over

    @property
    def operations(self) -> int:
        """Multiply-accumulates for one image."""
        _, outputs, taps = _sizes(self.node)
        (items, columns), (rows, behind) = ((rows.count, columns.count) for rows, columns in (self.before, self.after))
        tall, wide = (windows.reads.shape[1] for windows in self.over)
        sums = tall * items * wide * columns * behind + rows * tall * items * behind
        return int(outputs * (items * columns * taps + sums))

    @property
    def laid(self) -> int:
        """The elements that it sums up, for one image."""
        _, outputs, _ = _sizes(self.node)
        tall, wide = (windows.reads.shape[1] for windows in self.over)
        return int(outputs * tall * wide * self.before[0].count * self.before[1].count)

    def traced(self, xp: Trace, x: Value) -> Value:
        """[B, O, Q, Q'] of items [B, C, P, P']."""
        weights, batch, items = self.node.operand(1), shape_of(x)[0], concrete(shape_of(x)[2:], "the items of windows")
        *groups, channels, tall, wide = concrete(shape_of(weights), f"the weights of {self.node}")
        ahead = len(groups)
        by_tap = xp.permute_dims(weights, (*range(ahead), ahead + 1, ahead + 2, ahead))
        taps = xp.reshape(by_tap, (*groups[:-1], groups[-1] * tall * wide, channels, 1, 1))
        weighed = xp.conv(x, taps, strides=[1, 1], pads=[0] * 4, dilations=[1, 1], groups=self.node.attributes["groups"])
        outputs = prod(groups)
        apart = xp.permute_dims(xp.reshape(weighed, (batch, outputs, tall, wide, *items)), (0, 1, 2, 4, 3, 5))
        down, across = (
            before.taps_in(after, windows).reshape(tall_or_wide * before.count, after.count)
            for before, after, windows, tall_or_wide in zip(self.before, self.after, self.over, (tall, wide), strict=True)
        )
        wide_sums = summed(xp, xp.reshape(apart, (batch, outputs * tall, items[0], len(across))), None, across)
        return summed(xp, xp.reshape(wide_sums, (batch, outputs, len(down), across.shape[1])), down, None)


def _sizes(node: Node) -> tuple[int, int, int]:
    """The channels that a convolution reads and makes, and what it multiplies for one element of these."""
    (channels,), weights = concrete(shape_of(node.operand(0))[1:2], f"the channels of {node}"), node.operand(1)
    (outputs,) = concrete(shape_of(node.outputs[0])[1:2], f"the channels of {node}")
    return channels, outputs, prod(concrete(shape_of(weights), f"the weights of {node}")) // outputs
