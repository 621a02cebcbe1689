"""Reductions over axes."""

from __future__ import annotations

from functools import partial

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes, shapes
from openvino_xai.operations.adjoint import Step
from openvino_xai.operations.families.elementwise import sign_of
from openvino_xai.operations.record import IN_FIRST, Operation, always, each_read


def with_reduced(at: Step, value: Value) -> Value:
    """A value shaped as the output of a reduction, with the axes that were reduced, of size 1."""
    if at.node.attributes.get("keepdims", True):
        return value
    shape, rank = shape_of(value), len(at.operand_shape(0))
    gone, sizes = reduced_axes(at), iter(shape)
    return at.xp.reshape(value, tuple(1 if axis in gone else next(sizes) for axis in range(rank)))


def reduced_axes(at: Step) -> tuple[int, ...]:
    """The axes that a node reduces or normalises, counted from the first."""
    rank = len(at.operand_shape(0))
    return tuple(sorted(axis % rank for axis in at.node.attributes["axes"]))


def _sum(at: Step, index: int, g: Value) -> Value:
    return with_reduced(at, g)


def _mean(at: Step, index: int, g: Value) -> Value:
    return at.xp.divide(with_reduced(at, g), at.number(product(at.operand_shape(0)[axis] for axis in reduced_axes(at))))


def _extreme(at: Step, index: int, g: Value) -> Value:
    xp, x = at.xp, at.operand(0)
    here = xp.astype(xp.equal(x, with_reduced(at, at.output())), g.dtype)
    return xp.multiply(here, xp.divide(with_reduced(at, g), xp.sum(here, axis=reduced_axes(at), keepdims=True)))


def _l1(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(with_reduced(at, g), sign_of(at.xp, at.operand(0)))


def _l2(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.operand(0), at.xp.divide(with_reduced(at, g), with_reduced(at, at.output())))


def _sum_square(at: Step, index: int, g: Value) -> Value:
    return at.xp.multiply(at.xp.multiply(at.operand(0), 2.0), with_reduced(at, g))


def _log_sum_exp(at: Step, index: int, g: Value) -> Value:
    xp = at.xp
    return xp.multiply(xp.exp(xp.subtract(at.operand(0), with_reduced(at, at.output()))), with_reduced(at, g))


def _product_of_sizes(node: Node, operands: list[np.ndarray]) -> np.ndarray | None:
    if operands[0].ndim != 1 or any(isinstance(item, float) for item in operands[0]):
        return None
    result = np.empty((1,) if node.attributes["keepdims"] else (), dtype=object)
    result[...] = product(operands[0].tolist())
    return result


# a number of all elements along some axes
reduction = partial(Operation, axes=axes.reduced, controls=(1,), macs=each_read, rank=shapes.rank_reduced, shape=shapes.reduced)


OPERATIONS = (
    reduction("l1", adjoint=_l1, keeps_zero=always),
    reduction("l2", adjoint=_l2, keeps_zero=always),
    reduction("log_sum_exp", adjoint=_log_sum_exp),
    reduction("max", adjoint=_extreme, reduces="max", keeps_zero=always),
    reduction("mean", adjoint=_mean, reduces="mean", factors=(IN_FIRST,), lazy_adjoint=True),
    reduction("min", adjoint=_extreme, reduces="min", keeps_zero=always),
    reduction("prod", keeps_zero=always, integers=_product_of_sizes),
    reduction("sum", adjoint=_sum, reduces="sum", factors=(IN_FIRST,), lazy_adjoint=True),
    reduction("sum_square", adjoint=_sum_square, keeps_zero=always),
)
