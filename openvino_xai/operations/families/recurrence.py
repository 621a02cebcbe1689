"""Recurrent layers: LSTM, GRU and simple ones, over a sequence of each image.

A dialect tells what the axes of the data, of the states and of the first output are, by letters: b for images, t for steps of
the sequence, d for directions, i for what a step reads, h for what is handed on. The operands are the data, the weights of the
data and of the states, a bias, how long each sequence is, and the first states. The outputs are those of all steps, then the
last states.
"""

from __future__ import annotations

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import Shape
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations import axes
from openvino_xai.operations.record import Contents, Operation, elements

DATA, OF_DATA, OF_STATES = 0, 1, 2


def _products(node: Node) -> int:
    """For one step of a sequence: as many as it has weights."""
    data = shape_of(node.operand(DATA))
    weights = elements(shape_of(node.operand(OF_DATA))) + elements(shape_of(node.operand(OF_STATES)))
    return elements(data[:-1]) * weights


def _rank(node: Node, content: Contents) -> int:
    return len(node.attributes["result"])


def _shapes(node: Node, content: Contents) -> list[Shape] | None:
    """Sizes by letters: directions, and what is handed on, are those of the weights [d, gates * h, h] of the states."""
    data, weights = node.operand(DATA).shape, node.operand(OF_STATES).shape
    if data is None or weights is None:
        return None
    sizes = dict(zip(node.attributes["data"], data, strict=True)) | {"d": weights[0], "h": weights[2]}
    results = [node.attributes["result"], *[node.attributes["states"]] * (len(node.outputs) - 1)]
    return [tuple(sizes[letter] for letter in letters) for letters in results]


OPERATIONS = (
    Operation(
        name="recurrent",
        axes=axes.recurrent_steps,
        later_axes=axes.recurrent_states,
        equal_batches=True,
        macs=_products,
        rank=_rank,
        shape=_shapes,
    ),
)
