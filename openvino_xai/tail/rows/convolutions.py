"""Convolutions, turned around by convolutions: runtimes are several times faster at these than at transposed ones."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace, shape_of


def has_one_stride(node: Node) -> bool:
    """Whether a convolution of images is one, turned around: it skips no cell, and its channels are in one group or apart."""
    a, shape = node.attributes, shape_of(node.operand(1))
    if len(a["strides"]) != 2 or set(a["strides"]) != {1} or len(shape) < 4:
        return False
    apart = a["groups"] == shape_of(node.operand(0))[1] == shape_of(node.outputs[0])[1]
    return (a["groups"] == 1 or apart) and all(pad <= reach for pad, reach in zip(a["pads"], _reach(node) * 2, strict=True))


def turned_around(xp: Trace, node: Node, g: Value, *, beyond: bool) -> Value:
    """[R, C, h', w']: what a convolution of one stride adds to all that it reads, for its adjoint [R, O, h, w].

    With what it reads `beyond` the value, or without. Its weights are turned when a runtime reads the file, not in the file.
    """
    a, weights = node.attributes, node.operand(1)
    if a["groups"] == 1:
        weights = xp.permute_dims(weights, (1, 0, 2, 3))
    first = len(shape_of(weights)) - 2
    for axis, size in enumerate(a["kernel"], start=first):
        if size > 1:
            weights = xp.take(weights, np.arange(size)[::-1].copy(), axis=axis)
    pads = [reach - (0 if beyond else pad) for reach, pad in zip(_reach(node) * 2, a["pads"], strict=True)]
    return xp.conv(g, weights, strides=[1, 1], pads=pads, dilations=a["dilations"], groups=a["groups"])


def _reach(node: Node) -> list[int]:
    """How far a convolution reads beyond an element, along each axis."""
    a = node.attributes
    return [(kernel - 1) * dilation for kernel, dilation in zip(a["kernel"], a["dilations"], strict=True)]
