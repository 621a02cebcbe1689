"""Softmax and norms."""

from __future__ import annotations

from functools import partial

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations import axes, shapes
from openvino_xai.operations.adjoint import Step, attribute, by_channel, refused
from openvino_xai.operations.families.reductions import reduced_axes
from openvino_xai.operations.record import IN_FIRST, Operation, always, each


def of_softmax(xp: Trace, y: Value, g: Value, along: tuple[int, ...]) -> Value:
    """The adjoint ahead of a softmax whose output is `y`."""
    return xp.multiply(y, xp.subtract(g, xp.sum(xp.multiply(g, y), axis=along, keepdims=True)))


def _softmax(at: Step, index: int, g: Value) -> Value:
    return of_softmax(at.xp, at.output(), g, reduced_axes(at))


def _log_softmax(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    total = xp.sum(at.full(g, reduced_axes(at)), axis=reduced_axes(at), keepdims=True)
    return xp.subtract(g, xp.multiply(xp.exp(at.output()), total))


def _normalised(at: Step, x: Value, g: Value, along: tuple[int, ...]) -> Value:
    """The adjoint ahead of (x - mean) / sqrt(variance + epsilon) along some axes, where `g` is that behind it."""
    xp = at.xp
    centred = xp.subtract(x, xp.mean(x, axis=along, keepdims=True))
    variance = xp.mean(xp.multiply(centred, centred), axis=along, keepdims=True)
    deviation = xp.sqrt(xp.add(variance, attribute(at, "epsilon")))
    scaled = xp.divide(centred, deviation)
    g = xp.broadcast_to(g, shape_of(x))
    parallel = xp.multiply(scaled, xp.mean(xp.multiply(g, scaled), axis=along, keepdims=True))
    centred_g = xp.subtract(g, xp.mean(g, axis=along, keepdims=True))
    return xp.divide(xp.subtract(centred_g, parallel), deviation)


def _layer_norm(at: Step, index: int, g: Value) -> Value:
    if index:
        raise refused(at, "its scale depends on the image")
    if at.node.attributes.get("scaled"):
        g = at.xp.multiply(g, at.operand(1))
    return _normalised(at, at.operand(0), g, reduced_axes(at))


def _instance_norm(at: Step, index: int, g: Value) -> Value:
    """Each channel is a group."""
    return _grouped_norm(at, index, g, at.operand_shape(0)[1])


def _group_norm(at: Step, index: int, g: Value) -> Value:
    return _grouped_norm(at, index, g, int(attribute(at, "num_groups")))


def _grouped_norm(at: Step, index: int, g: Value, groups: Size) -> Value:
    """Groups of channels with all their positions are normalised together."""
    xp, shape = at.xp, at.operand_shape(0)
    if index or not isinstance(shape[1], int) or shape_of(at.operand(1)) != (shape[1],) or not isinstance(groups, int):
        raise refused(at, "its scale is not one for each channel")
    apart = (shape[0], groups, shape[1] // groups, *shape[2:])
    scaled = xp.broadcast_to(xp.multiply(g, by_channel(at, 1)), shape)
    positions = tuple(range(2, len(apart)))
    return xp.reshape(_normalised(at, xp.reshape(at.operand(0), apart), xp.reshape(scaled, apart), positions), shape)


def _batch_norm(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    if index:
        raise refused(at, "its parameters depend on the image")
    deviation = xp.sqrt(xp.add(by_channel(at, 4), attribute(at, "epsilon")))
    return xp.multiply(g, xp.divide(by_channel(at, 1), deviation))


def _normalize_l2(at: Step, index: int, g: Value) -> Value:
    """x / sqrt(sum of x^2 + epsilon), or with no epsilon that matters."""
    if at.node.attributes.get("order", 2) != 2:
        raise refused(at, "it divides by the sum of absolute values, and the root of a sum of squares is expected")
    xp, x, y, along = at.xp, at.operand(0), at.output(), reduced_axes(at)
    squares = xp.sum(xp.multiply(x, x), axis=along, keepdims=True)
    epsilon = at.node.attributes.get("epsilon", 0.0)
    added = at.node.attributes.get("added", True)
    length = xp.sqrt(xp.add(squares, epsilon) if added else xp.maximum(squares, np.array(epsilon, x.dtype)))
    parallel = xp.multiply(y, xp.sum(xp.multiply(g, y), axis=along, keepdims=True))
    return xp.divide(xp.subtract(g, parallel), length)


# elements, scaled by what is beside them
norm = partial(Operation, axes=axes.except_axes, normalises=True, macs=each, rank=shapes.rank_as_before, shape=shapes.as_data)


OPERATIONS = (
    norm("group_norm", adjoint=_group_norm, axes=axes.group_norm),
    norm("instance_norm", adjoint=_instance_norm, axes=axes.instance_norm),
    norm("layer_norm", adjoint=_layer_norm),
    norm("log_softmax", adjoint=_log_softmax),
    norm("lrn", keeps_zero=always),
    norm("normalize_l2", adjoint=_normalize_l2),
    norm("softmax", adjoint=_softmax),
    Operation(
        name="batch_norm",
        axes=axes.by_channel,
        factors=(IN_FIRST,),
        addends=(2, 3),  # the bias and the mean
        macs=each,
        lazy_adjoint=True,
        adjoint=_batch_norm,
    ),
)
