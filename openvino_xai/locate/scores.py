"""The class scores among the outputs of a model: [B, K] floats, and the activation that made them of logits, if one did.

The activation is looked for behind whatever moves or rounds elements, and not through other arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from openvino_xai.contract import SCORE
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import product, text
from openvino_xai.operations.record import IN_SECOND
from openvino_xai.operations.table import data_operands, operation_of

ROUNDING = 1e-3  # by which the weights of averaged probabilities may add up to more than 1, or less


@dataclass(frozen=True, eq=False)
class Scores:
    """The class output: K `classes`; `activation` is the node that squashes logits inside the model, if one does.

    Where several do, as of an ensemble whose probabilities are averaged, `squash_of_parts` says which kind they are.
    """

    name: str
    value: Value
    classes: int
    activation: Node | None
    squash_of_parts: str | None = field(default=None, kw_only=True)

    @property
    def scale(self) -> str:
        """What the output holds: `softmax`, `sigmoid` or `logit`."""
        return self.squash_of_parts or "logit" if self.activation is None else self.activation.kind

    def within(self, values: Mapping[Value, Value]) -> Scores:
        """The same in a twin of the model, given its values by those of the model."""
        activation = None if self.activation is None else values[self.activation.outputs[0]].producer
        return replace(self, value=values[self.value], activation=activation)

    def read_at(self, score: str) -> Value:
        """Where a score is read: at the output; before the activation for `logit`; or right behind it, ahead of a quantiser.

        What one cell leaves of a probability is often less than a quantiser's step, and would be rounded to nothing.
        """
        if self.activation is None:
            return self.value
        return self.activation.operand(0) if score == "logit" else self.activation.outputs[0]


def find_scores(graph: Graph, name: str | None = None) -> Scores:
    """The class scores: the output called `name`, or the only one that can be them.

    Raises ModelError if there is no such output, if it cannot be class scores, or if none or several can.
    """
    possible = possible_scores(graph)
    listing = ", ".join(f"'{key}' {text(value.shape)}" for key, value in graph.outputs.items())
    if name is not None:
        if name not in graph.outputs:
            raise ModelError(f"the model has no output '{name}'; its outputs are {listing}", node=name)
        if name not in possible:
            raise ModelError(f"output '{name}' cannot be class scores: [B, K] floats are expected; outputs: {listing}")
    elif len(possible) != 1:
        brief = [key for key, value in graph.outputs.items() if value.dtype is not None and value.dtype.name == "bfloat16"]
        if brief and not possible:
            raise ModelError(
                f"output '{brief[0]}' holds bfloat16, which hooks are not made for: write the model in f32 or f16, "
                "and let the runtime compute in bf16 if that is wanted"
            )
        raise ModelError(
            f"{len(possible)} of the model's outputs can be class scores ([B, K] floats), 1 is expected; "
            f"the outputs are {listing}" + ("; name one of them" if possible else ""),
            options=("scores",) if possible else (),
        )
    else:
        (name,) = possible
    value = possible[name]
    shape = value.shape or ()
    classes = shape[1]
    assert isinstance(classes, int)
    activation = _activation(value)
    return Scores(
        name, value, classes, activation, squash_of_parts=None if activation is not None else _squash_of_parts(graph, value)
    )


def possible_scores(graph: Graph) -> dict[str, Value]:
    """The outputs that can be class scores, by name."""
    return {key: value for key, value in graph.outputs.items() if key != SCORE and _can_be_scores(graph, value)}


def _can_be_scores(graph: Graph, value: Value) -> bool:
    """Whether a value is [B, K] or [B, K, 1, 1] with a known K, of floats or bytes, and depends on the input."""
    shape = value.shape
    if shape is None or value.dtype is None or graph.is_constant(value):
        return False
    if value.dtype.kind != "f" and value.dtype != np.uint8:  # bytes: what a fully quantised model returns
        return False
    if value.producer is not None and value.producer.kind == "top_k":  # the best scores, taken from others
        return False
    return len(shape) in (2, 4) and isinstance(shape[1], int) and product(shape[2:]) == 1


def _activation(value: Value) -> Node | None:
    """The softmax or sigmoid that ends the model, looked for behind changes of layout and type."""
    while (node := value.producer) is not None:
        if squashes(node) and _squashes_classes(node):
            return node
        # rounding and layout leave scores on their scale; what other arithmetic does to it is not known
        operation = operation_of(node)
        if operation.moves != "all" and not operation.quantises:
            return None
        value = node.operand(0)
    return None


def _squash_of_parts(graph: Graph, value: Value) -> str | None:
    """The kind of what squashes each part of scores that are joined, or averaged; None where that is none, or not the same."""
    # forward, once a node: a value may be read again and again
    parts: dict[Value, tuple[str, float]] = {}
    for node in graph.nodes:
        part = _joined_parts(graph, node, parts)
        if squashes(node):
            part = (node.kind, 1.0) if _squashes_classes(node) else None
        if part is not None:
            parts.update(dict.fromkeys(node.outputs, part))
    kind, weight = parts.get(value, ("", 0.0))
    return kind if abs(weight - 1) < ROUNDING else None


def _joined_parts(graph: Graph, node: Node, parts: Mapping[Value, tuple[str, float]]) -> tuple[str, float] | None:
    """The kind of what squashes all that a node joins, and the weight that these parts have together in what it makes."""
    operation, operands = operation_of(node), data_operands(node)
    varying = [index for index, operand in enumerate(operands) if not graph.is_constant(operand)]
    joined = [parts[operands[index]] for index in varying if operands[index] in parts]
    if not joined or len(joined) < len(varying) or len({kind for kind, _ in joined}) > 1:
        return None
    (kind, weight), total = joined[0], sum(weight for _, weight in joined)
    if len(joined) == len(operands):
        if operation.joins:
            return (kind, weight) if total == weight * len(joined) else None
        if operation.addends:
            return kind, total
        return (kind, weight) if operation.moves == "all" or operation.reduces == "mean" else None
    factor = graph.constant(operands[1]) if varying == [0] and len(operands) == 2 else None
    if not operation.factors or factor is None or not factor.size or factor.min() != factor.max() or not factor.flat[0]:
        return None
    number = float(factor.flat[0])
    return kind, weight * number if IN_SECOND in operation.factors else weight / number  # a product, or a quotient


def squashes(node: Node) -> bool:
    """Whether a node makes probabilities of logits."""
    return node.kind in ("sigmoid", "softmax")


def _squashes_classes(node: Node) -> bool:
    # a softmax over another axis, as over cells, makes no probabilities of classes
    shape = node.outputs[0].shape or ()
    over_classes = bool(shape) and [axis % len(shape) for axis in node.attributes.get("axes", [])] == [1]
    return node.kind == "sigmoid" or over_classes
