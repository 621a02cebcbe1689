"""A model whose layers have forgotten what they learned: its own weights, shuffled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import operation_of


def weighted_layers(graph: Graph) -> list[Node]:
    """The convolutions and linear layers that hold weights, from the scores back to the image."""
    return [node for node in reversed(graph.nodes) if _weights(graph, node) is not None]


def randomised(deployed: Deployed, layers: Iterable[Node], seed: int) -> Deployed:
    """A twin in which the weights of some layers are shuffled, each by itself.

    Shuffled weights keep their type and distribution, and so their quantisation: what is forgotten is where they were.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[Value, np.ndarray] = {}
    for node in layers:
        weights = _weights(deployed.graph, node)
        if weights is not None and weights not in arrays:
            stored = deployed.graph.constant(weights)
            assert stored is not None
            arrays[weights] = rng.permutation(stored.reshape(-1)).reshape(stored.shape)
    return deployed.with_constants(arrays)


def _weights(graph: Graph, node: Node) -> Value | None:
    """What a layer's weights are stored as: ahead of what decompresses, dequantises or lays them out."""
    if operation_of(node).weights is None:
        return None
    constant = [value for _, value in node.operands if graph.is_constant(value) and len(value.shape or ()) > 1]
    if not constant:
        return None
    value = constant[0]
    while (producer := value.producer) is not None:
        value = max((operand for _, operand in producer.operands), key=_elements)
    return value


def _elements(value: Value) -> int:
    return int(np.prod([size if isinstance(size, int) else 1 for size in value.shape or ()]))
