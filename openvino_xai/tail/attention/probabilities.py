"""The attention weights of a block, and their gradients, for each image and head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span
from openvino_xai.operations.families.products import attention_weights
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.reverse_mode import Backward


def probabilities(way: Backward, node: Node) -> Value:
    """[B, M, T, T], f32: how much each token attends to each other, of a node that attends.

    They are what the model multiplies values by, or computed beside, where it computes all of attention in one operation.
    """
    xp = way.xp
    weights = attention_weights(xp, node, way.of_images) if operation_of(node).attends else way.of_images(node.operand(0))
    return xp.astype(of_each_image(xp, weights, span_of_weights(way, node)), np.float32)


def gradients_of_weights(way: Backward, nodes: Sequence[Node]) -> tuple[Value, ...]:
    """[B * K, M, T, T], f32, for each of some nodes that attend: the derivative of each score by `probabilities`."""
    return tuple(_gradient(way, node) for node in nodes)


def _gradient(way: Backward, node: Node) -> Value:
    xp, fused = way.xp, operation_of(node).attends
    value, span = node.outputs[0] if fused else node.operand(0), span_of_weights(way, node)
    gradient = xp.broadcast_to(way.gradient(value).value, way.shape(value, span, False))
    if fused:  # what is made of values v is A v: its adjoint times v is that of A
        values = node.operand(2)
        rows = way.read(values, way.spans.get(values))
        axes = tuple(range(len(shape_of(rows))))
        gradient = xp.matmul(gradient, xp.permute_dims(rows, (*axes[:-2], axes[-1], axes[-2])))
    return xp.astype(of_each_image(xp, gradient, span), np.float32)


def span_of_weights(way: Backward, node: Node) -> Span:
    """Where the images are in the weights of a node that attends; of one operation as in its output, ahead of tokens."""
    return way.spans[node.outputs[0] if operation_of(node).attends else node.operand(0)]


def of_each_image(xp: Trace, weights: Value, span: Span) -> Value:
    """[B, M, T, T], of weights [..., T, T] with images along a span ahead of the tokens, and all else ahead of these heads."""
    *ahead, rows, columns = shape_of(weights)
    before, behind = product(ahead[: span.axis]) * span.outer, span.inner * product(ahead[span.axis + 1 :])
    images = span.length(shape_of(weights))
    flat = xp.reshape(weights, (before, images, behind, rows, columns))
    if before != 1:
        flat = xp.permute_dims(flat, (1, 0, 2, 3, 4))
    return xp.reshape(flat, (images, before * behind, rows, columns))
