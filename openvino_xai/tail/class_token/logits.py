"""Attention of masked copies: its logits, and what it attends to, as token masks rest + w (v - rest).

For a query q, the logit of a key in that form has that form, too, as q times a key is linear in the key:

    q (rest + w_t (k_t - rest)) = q rest + w_t (q k_t - q rest)

Let p be the attention weights of a copy. They sum to one, so with a rest that is the same for all tokens the attended value is

    sum_t p_t (rest + w_t (v_t - rest)) = rest + sum_t p_t w_t (v_t - rest)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.trace import Trace, broadcast, shape_of
from openvino_xai.locate.subaxis import Span
from openvino_xai.tail.token_masks import MaskedTokens


@dataclass(frozen=True, eq=False)
class SelectedTokens:
    """The selected tokens along `span`: S of each image, or S * N if `spread`, the N copies of the first token first."""

    value: Value
    span: Span
    spread: bool
    normalised: bool = False  # the last axis sums to one, as a softmax leaves it


@dataclass(frozen=True, eq=False)
class AttentionLogits:
    """What each selected token, along `queries`, is to each token, ahead of the softmax: the token masks `logits`."""

    logits: MaskedTokens
    queries: Span


def of_copies(trace: Trace, item: AttentionLogits, weights: np.ndarray) -> SelectedTokens | None:
    """[..., S * N, T]: rest + w (v - rest), the logits of every copy for `weights` [N, T]; None for another layout."""
    logits, axis = item.logits, item.queries.axis
    shape = shape_of(logits.value)
    if axis != len(shape) - 2 or logits.tokens != Span(len(shape) - 1):
        return None
    masks = weights.astype(logits.value.dtype)

    def with_axis_of_copies(value: Value) -> Value:  # [..., S, 1, T], to stand beside [N, T]
        return trace.reshape(value, (*shape_of(value)[:-1], 1, shape_of(value)[-1]))

    value = with_axis_of_copies(logits.value)
    if logits.rest is None:
        spread = trace.multiply(value, masks)
    else:
        rest = with_axis_of_copies(logits.rest)
        spread = trace.add(rest, trace.multiply(trace.subtract(value, rest), masks))
    rows = item.queries.length(shape) * len(weights)
    return SelectedTokens(trace.reshape(spread, (*shape[:-2], rows, shape[-1])), item.queries, spread=True)


def attended(
    trace: Trace, weights: SelectedTokens, values: MaskedTokens, masks: np.ndarray, span: Span, *, transposed: bool
) -> SelectedTokens | None:
    """[..., S * N, D]: the sum over the tokens of p (rest + w (v - rest)), for attention weights p and `masks` w [S * N, T].

    `transposed` values are [..., D, T]. None for tokens on another axis.
    """
    rank = len(shape_of(values.value))
    if values.tokens != Span(rank - (1 if transposed else 2)):
        return None

    def turned(value: Value) -> Value:
        return trace.permute_dims(value, (*range(rank - 2), rank - 1, rank - 2)) if transposed else value

    masked = trace.multiply(weights.value, masks.astype(weights.value.dtype))
    if values.rest is None:
        return SelectedTokens(trace.matmul(masked, turned(values.value)), span, spread=True)
    weighted_sum = trace.matmul(masked, turned(trace.subtract(values.value, values.rest)))
    rest = turned(values.rest)
    if not weights.normalised or shape_of(rest)[-2] != 1:  # else the sum of p times the rest is the rest
        sizes = (*shape_of(rest)[:-2], shape_of(weights.value)[-1], shape_of(rest)[-1])
        rest = trace.matmul(weights.value, trace.broadcast_to(rest, sizes))
    return SelectedTokens(trace.add(weighted_sum, rest), span, spread=True)


def elementwise(trace: Trace, node: Node, inputs: Mapping[int, Value]) -> Value:
    """The output of a pointwise node that reads other operands."""
    shape = reduce(broadcast, (shape_of(value) for value in inputs.values()))
    return trace.repeat(node, [inputs[index] for index in sorted(inputs)], [shape])[0]


def scale_of(graph: Graph, node: Node) -> float | None:
    """The factor of the logits in a node that is a whole attention; None if only a run knows it."""
    depth = shape_of(node.operand(0))[-1]
    if len(node.inputs) > 4 and node.inputs[4] is not None:
        scale = graph.constant(node.operand(4))
        return None if scale is None else float(scale.reshape(-1)[0])
    # a query times a key is a sum over the depth: this keeps the spread of the logits whatever the depth
    return 1 / float(np.sqrt(depth)) if isinstance(depth, int) else None
