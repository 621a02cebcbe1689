"""Reductions, softmax and norms."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.adjoint import Rule, Step, attribute, by_channel, refused
from openvino_xai.operations.elementwise import _sign


def _kept(at: Step, value: Value) -> Value:
    """A value shaped as the output of a reduction, with the axes that were reduced, of size 1."""
    if at.node.attributes.get("keepdims", True):
        return value
    shape, rank = shape_of(value), len(at.operand_shape(0))
    axes, kept = _reduced(at), iter(shape)
    return at.xp.reshape(value, tuple(1 if axis in axes else next(kept) for axis in range(rank)))


def _reduced(at: Step) -> tuple[int, ...]:
    rank = len(at.operand_shape(0))
    return tuple(sorted(axis % rank for axis in at.node.attributes["axes"]))


def _sum(at: Step, index: int, g: Value) -> Value:
    return _kept(at, g)


def _mean(at: Step, index: int, g: Value) -> Value:
    return at.xp.divide(_kept(at, g), at.number(product(at.operand_shape(0)[axis] for axis in _reduced(at))))


def _extreme(at: Step, index: int, g: Value) -> Value:
    xp, x = at.xp, at.operand(0)
    here = xp.astype(xp.equal(x, _kept(at, at.output())), g.dtype)
    return xp.multiply(here, xp.divide(_kept(at, g), xp.sum(here, axis=_reduced(at), keepdims=True)))


def _l1(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(_kept(at, g), _sign(at.xp, at.operand(0)))


def _l2(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.operand(0), at.xp.divide(_kept(at, g), _kept(at, at.output())))


def _sum_square(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.xp.multiply(at.operand(0), 2.0), _kept(at, g))


def _log_sum_exp(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    return xp.multiply(xp.exp(xp.subtract(at.operand(0), _kept(at, at.output()))), _kept(at, g))


def of_softmax(xp: Trace, y: Value, g: Value, axes: tuple[int, ...]) -> Value:
    """The adjoint ahead of a softmax whose output is `y`."""
    return xp.multiply(y, xp.subtract(g, xp.sum(xp.multiply(g, y), axis=axes, keepdims=True)))


def _softmax(at: Step, index: int, g: Value) -> Value:
    return of_softmax(at.xp, at.output(), g, _reduced(at))


def _log_softmax(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    total = xp.sum(at.full(g, _reduced(at)), axis=_reduced(at), keepdims=True)
    return xp.subtract(g, xp.multiply(xp.exp(at.output()), total))


def _normalised(at: Step, x: Value, g: Value, axes: tuple[int, ...]) -> Value:
    """The adjoint ahead of (x - mean) / sqrt(variance + epsilon) along axes, where `g` is that behind it."""
    xp = at.xp
    centred = xp.subtract(x, xp.mean(x, axis=axes, keepdims=True))
    variance = xp.mean(xp.multiply(centred, centred), axis=axes, keepdims=True)
    deviation = xp.sqrt(xp.add(variance, attribute(at, "epsilon")))
    scaled = xp.divide(centred, deviation)
    g = xp.broadcast_to(g, shape_of(x))
    along = xp.multiply(scaled, xp.mean(xp.multiply(g, scaled), axis=axes, keepdims=True))
    centred_g = xp.subtract(g, xp.mean(g, axis=axes, keepdims=True))
    return xp.divide(xp.subtract(centred_g, along), deviation)


def _layer_norm(at: Step, index: int, g: Value) -> Value:
    if index:
        raise refused(at, "its scale depends on the image")
    if at.node.attributes.get("scaled"):
        g = at.xp.multiply(g, at.operand(1))
    return _normalised(at, at.operand(0), g, _reduced(at))


def _group_norm(at: Step, index: int, g: Value) -> Value:
    """Groups of channels with all their positions are normalised together; of an instance norm, each channel."""
    xp, shape = at.xp, at.operand_shape(0)
    groups = shape[1] if at.node.kind == "instance_norm" else int(attribute(at, "num_groups"))
    if index or not isinstance(shape[1], int) or shape_of(at.operand(1)) != (shape[1],) or not isinstance(groups, int):
        raise refused(at, "its scale is not one for each channel")
    apart = (shape[0], groups, shape[1] // groups, *shape[2:])
    scaled = xp.broadcast_to(xp.multiply(g, by_channel(at, 1)), shape)
    axes = tuple(range(2, len(apart)))
    return xp.reshape(_normalised(at, xp.reshape(at.operand(0), apart), xp.reshape(scaled, apart), axes), shape)


def _batch_norm(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    if index:
        raise refused(at, "its parameters depend on the image")
    deviation = xp.sqrt(xp.add(by_channel(at, 4), attribute(at, "epsilon")))
    return xp.multiply(g, xp.divide(by_channel(at, 1), deviation))


def _normalize_l2(at: Step, index: int, g: Value) -> Value:
    """x / sqrt(sum of x^2 + epsilon), or with no epsilon that matters."""
    xp, x, y, axes = at.xp, at.operand(0), at.output(), _reduced(at)
    squares = xp.sum(xp.multiply(x, x), axis=axes, keepdims=True)
    epsilon = at.node.attributes.get("epsilon", 0.0)
    added = at.node.attributes.get("added", True)
    length = xp.sqrt(xp.add(squares, epsilon) if added else xp.maximum(squares, np.array(epsilon, x.dtype)))
    along = xp.multiply(y, xp.sum(xp.multiply(g, y), axis=axes, keepdims=True))
    return xp.divide(xp.subtract(g, along), length)


RULES: dict[str, Rule] = {
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _group_norm,
    "l1": _l1,
    "l2": _l2,
    "layer_norm": _layer_norm,
    "log_softmax": _log_softmax,
    "log_sum_exp": _log_sum_exp,
    "max": _extreme,
    "mean": _mean,
    "min": _extreme,
    "normalize_l2": _normalize_l2,
    "softmax": _softmax,
    "sum": _sum,
    "sum_square": _sum_square,
}
