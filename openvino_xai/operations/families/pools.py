"""Pools over windows."""

from __future__ import annotations

from math import prod

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes, centres, shapes
from openvino_xai.operations.adjoint import Step, refused
from openvino_xai.operations.record import IN_FIRST, Operation, always, each
from openvino_xai.operations.windows import Windows, put_back, spread, taken


def _windows(at: Step) -> tuple[Windows, Windows]:
    before, after = at.operand_shape(0), at.output_shape()
    if len(before) != 4:
        raise refused(at, "its windows are known only for images")
    sizes, counts = (concrete(shape[2:], f"the windows of {at.node}") for shape in (before, after))
    return Windows.along(at.node.attributes, 0, sizes[0], counts[0]), Windows.along(at.node.attributes, 1, sizes[1], counts[1])


def _max_pool(at: Step, index: int, g: Value) -> Value:
    """The first of the largest in each window gets all."""
    xp, (height, width) = at.xp, _windows(at)
    x, y, g = at.operand(0), at.output(), at.full(g)
    lead, (h, kh), (w, kw) = shape_of(g)[:2], height.reads.shape, width.reads.shape
    placed = (*lead, h, 1, w, 1)
    order = np.arange(kh * kw, dtype=x.dtype).reshape(1, 1, 1, kh, 1, kw)
    largest = xp.equal(taken(xp, x, height, width), xp.reshape(y, placed))
    place = xp.where(largest, order, np.array(kh * kw, x.dtype))
    first = xp.equal(place, xp.min(place, axis=(3, 5), keepdims=True))
    return put_back(xp, xp.where(first, xp.reshape(g, placed), np.zeros((), g.dtype)), height, width)


def _avg_pool(at: Step, index: int, g: Value) -> Value:
    xp, (height, width), a = at.xp, _windows(at), at.node.attributes
    g = at.full(g)
    if a["exclude_pad"]:
        counts = height.inside.sum(axis=1)[:, None] * width.inside.sum(axis=1)
    elif a["ceil"]:
        raise refused(at, "how it counts what lies beyond the padding differs between runtimes")
    else:
        counts = np.array(height.reads.shape[1] * width.reads.shape[1])
    lead, (h, kh), (w, kw) = shape_of(g)[:2], height.reads.shape, width.reads.shape
    share = xp.reshape(xp.divide(g, counts.astype(g.dtype)), (*lead, h, 1, w, 1))
    windows = xp.broadcast_to(share, (*lead, h, kh, w, kw))
    return spread(xp, xp.reshape(windows, (*lead, h * kh, w * kw)), height, width)


def _window(node: Node) -> int:
    """For one element: the size of the window."""
    return each(node) * int(prod(node.attributes["kernel"]))


OPERATIONS = (
    Operation(
        name="avg_pool",
        axes=axes.pool,
        centres=centres.windows,
        factors=(IN_FIRST,),
        reduces="mean",
        macs=_window,
        shape=shapes.windows,
        adjoint=_avg_pool,
    ),
    Operation(
        name="max_pool",
        axes=axes.pool,
        centres=centres.windows,
        controls=(1,),  # the size to pool to, where an operand tells it
        keeps_zero=always,
        reduces="max",
        macs=_window,
        shape=shapes.windows,
        adjoint=_max_pool,
    ),
)
