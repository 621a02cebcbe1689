"""Matrix products, convolutions and attention."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Size, at_one, concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations import axes, centres, shapes
from openvino_xai.operations.adjoint import Rule, Step, refused
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.families.arithmetic import summed_to
from openvino_xai.operations.families.norms import of_softmax
from openvino_xai.operations.record import IN_FIRST, IN_SECOND, Operation, each, elements
from openvino_xai.operations.windows import Windows, taken


def of_matrices(rule: Rule) -> Rule:
    """A rule for operands whose last two axes are their own, and whose others are broadcast."""

    def summed(at: Step, index: int, g: Value) -> Value:
        return summed_to(at, rule(at, index, g), index, (*at.output_shape()[:-2], *at.operand_shape(index)[-2:]))

    return summed


def _turned(xp: Trace, value: Value) -> Value:
    """With the last two axes exchanged."""
    rank = len(shape_of(value))
    return xp.permute_dims(value, (*range(rank - 2), rank - 1, rank - 2))


def _matmul(at: Step, index: int, g: Value) -> Value:
    xp, a = at.xp, at.node.attributes
    if index == 2:
        return summed_to(at, g if a["beta"] == 1 else xp.multiply(g, a["beta"]), index)
    if index == 0 and len(at.operand_shape(0)) >= 2 and len(at.operand_shape(1)) == 1 and not a.get("transpose_a"):
        return _with_vector(at, g)
    if any(len(at.operand_shape(i)) < 2 for i in (0, 1)):
        raise refused(at, "one of its operands has a single axis")
    turned = a.get("transpose_a", False), a.get("transpose_b", False)
    adjoint = of_matrices(lambda at, index, g: _product_adjoint(at, index, g, turned))(at, index, g)
    return adjoint if a.get("alpha", 1.0) == 1 else xp.multiply(adjoint, a["alpha"])


def _with_vector(at: Step, g: Value) -> Value:
    """Of y = a b for a vector b, which a run sums the last axis of a with."""
    return at.xp.multiply(at.xp.reshape(g, (*shape_of(g), 1)), at.operand(1))


def _product_adjoint(at: Step, index: int, g: Value, turned: tuple[bool, bool]) -> Value:
    """Of y = a b: g b^T for a, and a^T g for b, each turned as its operand is."""
    xp, other = at.xp, at.operand(1 - index)
    if index == 0 and not turned[0] and (picked := at.picked(other, 0 if turned[1] else 1, g)) is not None:
        return picked
    g = at.full(g, (len(at.output_shape()) - 1 - index,))
    across = other if turned[1 - index] else _turned(xp, other)
    product = xp.matmul(g, across) if index == 0 else xp.matmul(across, g)
    return _turned(xp, product) if turned[index] else product


def _conv(at: Step, index: int, g: Value) -> Value:
    a, before, after = at.node.attributes, at.operand_shape(0), at.output_shape()
    if index:
        raise refused(at, "its weights depend on the image")
    weights, n = at.operand(1), len(a["kernel"])
    pointwise = is_1x1(at.node)
    if pointwise and a["groups"] == 1 and (picked := at.picked(weights, 0, g)) is not None:
        return picked
    g = at.full(g, (1,) if pointwise else None)
    more = [] if pointwise else [_left_over(at, i, before[i + 2], after[i + 2]) for i in range(n)]
    return at.xp.conv_transpose(
        g,
        weights,
        strides=a["strides"],
        pads=a["pads"],
        dilations=a["dilations"],
        groups=a["groups"],
        output_padding=more or [0] * n,
    )


def _left_over(at: Step, axis: int, before: Size, after: Size) -> int:
    """What a strided convolution did not read at the end of an axis."""
    a, n = at.node.attributes, len(at.node.attributes["kernel"])
    stride, reach = a["strides"][axis], (a["kernel"][axis] - 1) * a["dilations"][axis] + 1
    if isinstance(before, int) and isinstance(after, int):
        return int(before + a["pads"][axis] + a["pads"][axis + n] - ((after - 1) * stride + reach))
    if stride == 1 and before == after:
        return 0
    raise refused(at, "the sizes that it reads are known only when the model runs; give the model a fixed height and width")


def _conv_transpose(at: Step, index: int, g: Value) -> Value:
    """A convolution by the same weights: each element gathers what it was spread to."""
    xp, a, before, after = at.xp, at.node.attributes, at.operand_shape(0), at.output_shape()
    if index:
        raise refused(at, "its weights depend on the image")
    if len(before) != 4 or not a["resolved"]:
        raise refused(at, "its padding is known only for images, and where it is told as such")
    sizes, counts = (concrete(shape[2:], f"the sizes of {at.node}") for shape in (after, before))
    height, width = (Windows.along(a, axis, sizes[axis], counts[axis]) for axis in (0, 1))
    g = at.full(g)
    patches = xp.permute_dims(taken(xp, g, height, width, padding=0.0), (0, 1, 3, 5, 2, 4))
    weights, groups, (channels,) = at.operand(1), a["groups"], concrete(before[1:2], f"the channels of {at.node}")
    reads = elements(shape_of(weights)) // channels
    flat = xp.reshape(patches, (shape_of(g)[0], groups, reads, prod(counts)))
    return xp.reshape(xp.matmul(xp.reshape(weights, (groups, channels // groups, reads)), flat), before)


def attention_weights(xp: Trace, node: Node, read: Callable[[Value], Value]) -> Value:
    """[..., Q, K]: softmax(q k^T s + mask) of a node that computes all of attention; `read` gives its operands."""
    logits = attention_logits(xp, node, read)
    return xp.softmax(logits, axis=len(shape_of(logits)) - 1)


def attention_logits(xp: Trace, node: Node, read: Callable[[Value], Value]) -> Value:
    """[..., Q, K]: q k^T s + mask, as `attention_weights` has it."""
    inputs = node.inputs
    q, k = (read(node.operand(index)) for index in (0, 1))
    logits = xp.multiply(xp.matmul(q, _turned(xp, k)), _scale_of(node, lambda index: read(node.operand(index))))
    if len(inputs) > 3 and inputs[3] is not None:
        mask = read(inputs[3])
        # a mask of truths says who may be attended to; one of numbers is added
        logits = xp.where(mask, logits, -np.inf) if mask.dtype == bool else xp.add(logits, mask)
    return logits


def _scale_of(node: Node, operand: Callable[[int], Value]) -> Any:
    """What products of queries and keys are multiplied by."""
    if len(node.inputs) > 4 and node.inputs[4] is not None:
        return operand(4)
    (depth,) = concrete(shape_of(node.operand(0))[-1:], f"the depth of the queries of {node}")
    return depth**-0.5


def _attention(at: Step, index: int, g: Value) -> Value:
    """Of softmax(q k^T s + mask) v, which a runtime computes in one."""
    xp, inputs = at.xp, at.node.inputs
    if at.node.attributes["causal"] or index > 2:
        raise refused(at, "it is causal, or its mask depends on the image")
    q, k, v = (at.operand(i) for i in range(3))
    p, g = attention_weights(xp, at.node, lambda value: at.operand(inputs.index(value))), at.full(g)
    scale, last = _scale_of(at.node, at.operand), len(shape_of(p)) - 1
    if index == 2:
        return xp.matmul(_turned(xp, p), g)
    behind = xp.multiply(of_softmax(xp, p, xp.matmul(g, _turned(xp, v)), (last,)), scale)
    return xp.matmul(behind, k) if index == 0 else xp.matmul(_turned(xp, behind), q)


def _of_convolution(node: Node) -> int:
    """For one element: input channels of a group times the kernel."""
    outputs = at_one((node.outputs[0].shape or (1, 1))[1])
    return each(node) * max(elements(node.operand(1).shape) // max(outputs, 1), 1)


def _of_transposed_convolution(node: Node) -> int:
    """For one element of the operand: output channels of a group times the kernel."""
    x = node.operand(0).shape or (1, 1)
    return elements(x) * max(elements(node.operand(1).shape) // max(at_one(x[1]), 1), 1)


def _of_product(node: Node) -> int:
    """For one element: what is summed over."""
    shape = node.operand(0).shape or (1,)
    return each(node) * at_one(shape[-2] if node.attributes.get("transpose_a") else shape[-1])


def _of_attention(node: Node) -> int:
    """For one query: the keys times the depths of keys and values."""
    queries, keys = (node.operand(index).shape or (1, 1) for index in (0, 1))
    return at_one(keys[-2]) * (elements(queries) + each(node))


def _of_einsum(node: Node) -> int:
    """For one element: the sizes of all letters that are summed over."""
    read, _, written = node.attributes["equation"].replace(" ", "").partition("->")
    sizes = {
        letter: at_one(size)
        for (_, value), letters in zip(node.operands, read.split(","), strict=False)
        for letter, size in zip(letters, value.shape or (), strict=False)
    }
    return each(node) * prod(size for letter, size in sizes.items() if letter not in written)


VALUES = frozenset({2})

OPERATIONS = (
    Operation(
        name="attention",
        axes=axes.attention,
        factors=(VALUES,),
        attends=True,
        macs=_of_attention,
        adjoint=of_matrices(_attention),
    ),
    Operation(
        name="conv",
        axes=axes.convolution,
        centres=centres.windows,
        factors=(IN_FIRST, IN_SECOND),
        addends=(2,),
        weights=1,
        macs=_of_convolution,
        shape=shapes.windows,
        adjoint=_conv,
    ),
    Operation(
        name="conv_transpose",
        axes=axes.transposed_convolution,
        centres=centres.spread_windows,
        factors=(IN_FIRST, IN_SECOND),
        addends=(2,),
        weights=1,
        macs=_of_transposed_convolution,
        adjoint=_conv_transpose,
    ),
    Operation(name="einsum", axes=axes.einsum, factors=(IN_FIRST, IN_SECOND, VALUES), macs=_of_einsum),
    Operation(
        name="matmul",
        axes=axes.matmul,
        factors=(IN_FIRST, IN_SECOND),
        addends=(2,),
        weights=1,
        macs=_of_product,
        shape=shapes.matmul,
        lazy_adjoint=True,
        adjoint=_matmul,
    ),
)
