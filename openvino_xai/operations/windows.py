"""Windows of a pool, taken apart and put together again: what a pool read, and where that came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape
from openvino_xai.graph.trace import Trace, shape_of

FAR = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Windows:
    """One spatial axis of a pool: `reads` [outputs, kernel] tells which of `size` inputs each output reads, -1 for padding."""

    size: int
    reads: np.ndarray

    @classmethod
    def along(cls, attributes: Mapping[str, Any], axis: int, size: int, outputs: int) -> Windows:
        """The windows of a pool with these neutral `attributes` along spatial axis `axis`."""
        starts = np.arange(outputs) * attributes["strides"][axis] - attributes["pads"][axis]
        reads = starts[:, None] + np.arange(attributes["kernel"][axis]) * attributes["dilations"][axis]
        return cls(size, np.where((reads >= 0) & (reads < size), reads, -1))

    @property
    def inside(self) -> np.ndarray:
        """[outputs, kernel], boolean: what is no padding."""
        return self.reads >= 0

    @property
    def tiles(self) -> bool:
        """Whether the windows lie side by side and cover everything once."""
        return bool(np.array_equal(self.reads.reshape(-1), np.arange(self.size)))

    @property
    def back(self) -> np.ndarray:
        """[outputs * kernel, size], 0 or 1: where each element that was read came from."""
        return np.asarray(self.reads.reshape(-1, 1) == np.arange(self.size))


def reads_all(node: Node, shape: Shape, *, padded: bool) -> bool:
    """Whether a pool of features of this shape has a single window, which reads each cell once; and padding, if it may."""
    after = node.outputs[0].shape
    if after is None or any(size != 1 for size in after[2:]):
        return False
    for axis, size in enumerate(shape[2:]):
        if not isinstance(size, int):
            return False
        windows = Windows.along(node.attributes, axis, size, 1)
        if not np.array_equal(windows.reads[windows.inside], np.arange(size)) or not (padded or windows.inside.all()):
            return False
    return True


def taken(xp: Trace, x: Value, height: Windows, width: Windows, *, padding: float = FAR) -> Value:
    """[R, C, h, kh, w, kw] of x [R, C, H, W]; `padding` is the lowest number there is, where it is not told."""
    shape = shape_of(x)
    sizes: Shape = (*shape[:2], *height.reads.shape, *width.reads.shape)
    if height.tiles and width.tiles:
        return xp.reshape(x, sizes)
    tall = xp.take(x, np.maximum(height.reads, 0), axis=2)
    patches = xp.take(tall, np.maximum(width.reads, 0), axis=4)
    inside = height.inside[:, :, None, None] & width.inside
    return patches if inside.all() else xp.where(inside[None, None], patches, np.array(padding, x.dtype))


def put_back(xp: Trace, parts: Value, height: Windows, width: Windows) -> Value:
    """[R, C, H, W]: the sums of `parts` [R, C, h, kh, w, kw], each added where it was taken from."""
    lead = shape_of(parts)[:2]
    if height.tiles and width.tiles:
        return xp.reshape(parts, (*lead, height.size, width.size))
    flat = xp.reshape(parts, (*lead, height.reads.size, width.reads.size))
    return spread(xp, flat, height, width)


def spread(xp: Trace, flat: Value, height: Windows, width: Windows) -> Value:
    """[R, C, H, W]: the sums of `flat` [R, C, h * kh, w * kw], each added where it was taken from."""
    wide = xp.matmul(flat, width.back.astype(flat.dtype))
    return xp.matmul(np.ascontiguousarray(height.back.T).astype(flat.dtype), wide)


def axes_of_one_window(node: Node) -> list[int] | None:
    """The axes of a pool whose one window is the whole map, and counts nothing else; None where it is another.

    Exporters write a kernel that is larger than any map, and have the number of windows rounded up: it is cut off at the map.
    """
    a, shape = node.attributes, node.operand(0).shape if node.inputs and node.inputs[0] is not None else None
    if shape is None or "kernel" not in a or "exclude_pad" not in a or len(node.outputs) != 1:
        return None
    sizes, after = shape[2:], (node.outputs[0].shape or ())[2:]
    if any(a["pads"]) or any(step != 1 for step in a["dilations"]) or len(after) != len(sizes) or any(n != 1 for n in after):
        return None
    fits = all(isinstance(n, int) and (k == n or (a["ceil"] and k > n)) for n, k in zip(sizes, a["kernel"], strict=True))
    return list(range(2, len(shape))) if fits else None
