"""The class scores among the outputs of a model: [B, K] floats, and the activation that made them of logits, if one did.

The activation is looked for behind whatever moves or rounds elements, and not through other arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.contract import SCORE
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import product, text
from openvino_xai.operations.table import operation_of


@dataclass(frozen=True, eq=False)
class Scores:
    """The class output: K `classes`; `activation` is the node that squashes logits inside the model, if one does."""

    name: str
    value: Value
    classes: int
    activation: Node | None

    @property
    def scale(self) -> str:
        """What the output holds: `softmax`, `sigmoid` or `logit`."""
        return "logit" if self.activation is None else self.activation.kind

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
    return Scores(name, value, classes, _activation(value))


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
        if squashes(node) and (node.kind == "sigmoid" or _over_classes(node)):
            return node
        # rounding and layout leave scores on their scale; what other arithmetic does to it is not known
        operation = operation_of(node)
        if operation.moves != "all" and not operation.quantises:
            return None
        value = node.operand(0)
    return None


def squashes(node: Node) -> bool:
    """Whether a node makes probabilities of logits."""
    return node.kind in ("sigmoid", "softmax")


def _over_classes(node: Node) -> bool:
    # a softmax over another axis, as over cells, makes no probabilities of classes
    shape = node.outputs[0].shape or ()
    return [axis % len(shape) for axis in node.attributes["axes"]] == [1] if shape else False
