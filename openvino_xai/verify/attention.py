"""The attention that a method was told, held to that of the original model.

Weights are read where the model makes them. Where it computes all of attention in one operation, they are computed of queries
and keys, in f64, and held to what the model makes of them: weights times values is the operation's own result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.attention.stack import AttentionStack, attention_stack
from openvino_xai.verify.finite_differences import SMALLEST
from openvino_xai.verify.masks import END, Reference

Running = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def stack_of(original: Reference) -> AttentionStack:
    """The attention blocks of the original model."""
    return attention_stack(original.location, original.target.read, original.decision.method)


def differences_of_attention(
    original: Reference, inputs: Mapping[str, np.ndarray], twin: Running, weights: Sequence[np.ndarray]
) -> Iterator[float]:
    """The differences of `weights` [B, M, T, T] of each block from the original model's, and how far these explain its results.

    `twin` runs the hooked model, for other images: which axis is the batch is seen where these change places. Raises
    VerificationError.
    """
    stack = stack_of(original)
    if len(weights) != len(stack.nodes):
        raise VerificationError(f"the method was told of {len(weights)} attention blocks; the model has {len(stack.nodes)}")
    image = original.location.image.name
    turned = {**inputs, image: np.roll(inputs[image], 1, axis=original.location.image_place.batch)}
    again, blocks = twin(turned), Blocks.of(original, inputs)
    for number, (node, answer) in enumerate(zip(stack.nodes, weights, strict=True)):
        yield float(np.abs(again[f"attentions {number}"] - np.roll(answer, 1, axis=0)).max())
        of_heads, attended, result = blocks.weights(node), blocks.attended(node), blocks.value(node.outputs[0])
        yield float(np.abs(of_heads @ attended - result).max() / max(np.abs(result).max(), SMALLEST))
        yield _distance(answer.reshape(-1, *answer.shape[-2:]), of_heads.reshape(-1, *of_heads.shape[-2:]))


@dataclass(frozen=True)
class Blocks:
    """What the nodes that attend read and make in the original model, for some inputs."""

    graph: Graph
    values: Mapping[Value, np.ndarray]

    @classmethod
    def of(cls, original: Reference, inputs: Mapping[str, np.ndarray]) -> Blocks:
        """Read all of it, in one run."""
        graph = original.model.graph
        nodes = stack_of(original).nodes
        values = {
            v for node in nodes for v in (*node.outputs, *(value for _, value in node.operands)) if not graph.is_constant(v)
        }
        read = {f"{END}_{number}": value for number, value in enumerate(values)}
        outputs = original.probing(read=read)(dict(inputs))
        return cls(graph, {value: outputs[name] for name, value in read.items()})

    def value(self, value: Value) -> np.ndarray:
        """A value, in f64 where it holds numbers."""
        array = self.values.get(value, self.graph.constant(value))
        assert array is not None
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    def weights(self, node: Node) -> np.ndarray:
        """[..., T, T]: how much each token attends to each other."""
        return self._fused(node) if operation_of(node).attends else self.value(node.operand(0))

    def attended(self, node: Node) -> np.ndarray:
        """[..., T, D]: the values that weights gather."""
        values = self.value(node.operand(2 if operation_of(node).attends else 1))
        return np.swapaxes(values, -1, -2) if node.attributes.get("transpose_b") else values

    def _fused(self, node: Node) -> np.ndarray:
        """softmax(q k^T s + mask)"""
        operands = {index: self.value(value) for index, value in node.operands}
        return _softmax(operands[0], operands[1], operands.get(3), operands.get(4))


def _softmax(queries: np.ndarray, keys: np.ndarray, mask: np.ndarray | None, scale: np.ndarray | None) -> np.ndarray:
    logits = np.einsum("...qd,...kd->...qk", queries, keys) * (queries.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        logits = np.where(mask, logits, -np.inf) if mask.dtype == bool else logits + mask
    logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(logits / logits.sum(axis=-1, keepdims=True))


def _distance(weights: np.ndarray, others: np.ndarray) -> float:
    """How far matrices [n, T, T] are from those of `others` that are most like them, each taken once."""
    if weights.shape != others.shape:
        raise VerificationError(f"attention weights are {list(weights.shape)}; {list(others.shape)} are expected")
    left, largest = list(range(len(others))), 0.0
    for matrix in weights:
        distances = [float(np.abs(matrix - others[index]).max()) for index in left]
        nearest = int(np.argmin(distances))
        largest = max(largest, distances[nearest])
        left.pop(nearest)
    return largest
