"""A model some of whose tokens are dropped: nobody attends to them, as if they never entered the first block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.attention_blocks import softmax_of
from openvino_xai.locate.located import Location
from openvino_xai.locate.subaxis import Span
from openvino_xai.operations.families.products import attention_logits
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.attention.heads import tokens_between
from openvino_xai.tail.attention.probabilities import span_of_weights
from openvino_xai.tail.attention.stack import AttentionStack, attention_stack
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.target import All, ClassTarget


@dataclass(frozen=True, eq=False)
class Encoder:
    """The attention blocks behind a location's layer: a `stack`, the tokens that enter the first, and those behind each."""

    location: Location
    stack: AttentionStack
    entry: Value
    ends: tuple[Value, ...]

    @classmethod
    def of(cls, location: Location, method: str) -> Encoder:
        """Raises PlanError, naming the node in the way."""
        stack = attention_stack(location, location.scores.read_at("logit"), method)
        if location.layer.place.batch != 0:
            raise PlanError(
                f"'{location.layer.name}' has its batch on axis {location.layer.place.batch}; axis 0 is expected",
                node=location.layer.name,
            )
        entry, *ends = tokens_between(location, stack, method)
        if not ends:
            raise PlanError(
                f"{method} reads the tokens behind each block, and '{location.layer.name}' is the only one: where it ends is "
                "seen where another begins; take chefer",
                node=location.layer.name,
            )
        return cls(location, stack, entry, tuple(ends))

    def without(self, xp: Trace, dropped: Value) -> dict[tuple[Node, int], Value]:
        """What operands of the model's nodes are to be where tokens are `dropped` [B, T], in which 1 is for those.

        The weight of a key is exp(logit) over the sum of all. Logits of keys that are dropped are so low that theirs are 0, and
        the others' are what they are where there are no more keys. What is made of a token that is dropped reaches no other.
        """
        graph, scores = self.location.graph, self.location.scores
        batch = shape_of(self.entry)[0]
        target = ClassTarget.of(scores, All(), "logit")
        way = Backward(graph, xp, (self.entry,), target, target.selection(xp, batch), batch=batch)
        splices: dict[tuple[Node, int], Value] = {}
        for node in self.stack.nodes:
            if operation_of(node).attends:  # in one operation, which is computed beside
                result = node.outputs[0]
                logits = without_keys(xp, attention_logits(xp, node, lambda value: value), span_of_weights(way, node), dropped)
                weights = xp.softmax(logits, axis=len(shape_of(logits)) - 1)
                attended = xp.astype(xp.matmul(weights, node.operand(2)), result.dtype)
                splices.update(dict.fromkeys(graph.consumers[result], attended))
            elif (softmax := softmax_of(node)) is not None:
                logits = softmax.operand(0)
                splices[softmax, 0] = without_keys(xp, logits, way.spans[logits], dropped)
        return splices


def without_keys(xp: Trace, logits: Value, span: Span, dropped: Value) -> Value:
    """Logits [..., T, T] with images along a span, where the columns of keys that are `dropped` [B, T] are far below all."""
    dtype, shape = logits.dtype, shape_of(logits)
    assert dtype is not None
    *ahead, rows, columns = shape
    before, behind = product(ahead[: span.axis]) * span.outer, span.inner * product(ahead[span.axis + 1 :])
    images = span.length(shape)
    lowest = np.array(-np.finfo(dtype).max / 4, dtype)
    below = xp.multiply(xp.astype(xp.reshape(dropped, (1, images, 1, 1, columns)), dtype), lowest)
    flat = xp.reshape(logits, (before, images, behind, rows, columns))
    return xp.reshape(xp.add(flat, below), shape)
