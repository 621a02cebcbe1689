"""The attention that a method was told, held to that of the original model.

Weights are read where the model makes them. Where it computes all of attention in one operation, they are computed of queries
and keys, in f64, and held to what the model makes of them: weights times values is the operation's own result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.located import counterparts
from openvino_xai.locate.subaxis import Span
from openvino_xai.operations.table import operation_of
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.site import PlannedSite
from openvino_xai.tail.attention.heads import tokens_between
from openvino_xai.tail.attention.stack import AttentionStack, attention_stack
from openvino_xai.verify.finite_differences import SMALLEST, step_along
from openvino_xai.verify.masks import CUT, END, Reference

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


def hold_gradients_of_attention(
    original: Reference,
    inputs: Mapping[str, np.ndarray],
    ids: Sequence[int],
    gradients: Sequence[np.ndarray],
    *,
    quantised: bool,
    by_block: bool = False,
) -> None:
    """Hold gradients [B, K, M, T, T] of each block to how scores move with its attention, for one of the classes `ids`.

    They are those of the model, or `by_block` those that its head makes of the tokens behind the block.
    Raises VerificationError.
    """
    stack, blocks = stack_of(original), Blocks.of(original, inputs)
    spans = PlannedSite(Trace(), original.location, original.decision).attention_spans()
    entries = tokens_between(original.location, stack, original.decision.method) if by_block else ()
    scores_at = _scores_of_results(original, inputs, stack, entries)
    for number, (node, answer, span) in enumerate(zip(stack.nodes, gradients, spans, strict=True)):
        index = number % len(ids)
        weights, attended = blocks.weights(node), blocks.attended(node)
        layout = Layout.of(weights.shape, span, len(answer))

        def moved(
            features: np.ndarray,
            number: int = number,
            layout: Layout = layout,
            start: np.ndarray = weights,
            v: np.ndarray = attended,
        ) -> np.ndarray:
            return scores_at(number, (layout.native(features) - start) @ v)

        step_along(
            moved,
            layout.by_image(weights),
            answer[:, index],
            [ids[index]] * len(answer),
            cells=(1,),
            where=f"the attention of {node}",
            reads=original.target.scale,
            quantised=quantised,
        )


@dataclass(frozen=True)
class Layout:
    """Where images are in weights of a `shape` [..., T, T]: a run of them follows each of `outer` items."""

    shape: tuple[int, ...]
    outer: int
    images: int

    @classmethod
    def of(cls, shape: tuple[int, ...], span: Span, images: int) -> Layout:
        """The layout of weights with `images` along a span."""
        outer = concrete((span.outer,), "the weights of attention")[0]
        return cls(shape, outer * prod(shape[: span.axis]), images)

    def by_image(self, weights: np.ndarray) -> np.ndarray:
        """[B, M, T, T]"""
        tokens = self.shape[-2:]
        laid = weights.reshape(self.outer, self.images, -1, *tokens).swapaxes(0, 1)
        return laid.reshape(self.images, -1, *tokens)

    def native(self, weights: np.ndarray) -> np.ndarray:
        """[..., T, T], of [B, M, T, T]."""
        laid = weights.reshape(self.images, self.outer, -1, *self.shape[-2:]).swapaxes(0, 1)
        return laid.reshape(self.shape)


def _scores_of_results(
    original: Reference, inputs: Mapping[str, np.ndarray], stack: AttentionStack, entries: Sequence[Value]
) -> Callable[[int, np.ndarray], np.ndarray]:
    """The scores [B, K], f64, of the original model where the result of one block, by its number, differs.

    Of `entries`, tokens that enter blocks and at last the head, the head reads those behind this block.
    """
    twin, trace = original.model.twin(), Trace()
    values = counterparts(original.model.graph, twin.graph)
    ends, end = [values[node.outputs[0]] for node in stack.nodes], values[original.target.read]
    steps = {f"{CUT}_{number}": Value(f"{CUT}_{number}", value.shape, value.dtype) for number, value in enumerate(ends)}
    splices = {}
    for result, step in zip(ends, steps.values(), strict=True):
        sums = trace.add(result, step)
        splices.update(dict.fromkeys(twin.graph.consumers[result], sums))
    outputs = {END: trace.multiply(end, np.ones((), end.dtype))}
    for number, entry in enumerate(entries[1:-1]):
        outputs[f"{END}_{number}"] = trace.multiply(values[entry], np.ones((), entry.dtype))
    head = original.probing(read={END: original.target.read}, inputs={CUT: entries[-1]}) if len(entries) > 1 else None
    emit(Plan(twin.graph, tuple(trace.nodes), outputs, steps, splices=splices), twin)
    running = original.compiled(twin)
    read = original.probing(read={f"{CUT}_{number}": node.outputs[0] for number, node in enumerate(stack.nodes)})
    nothing = {name: np.zeros_like(array) for name, array in read(dict(inputs)).items() if name in steps}

    def scores(number: int, difference: np.ndarray) -> np.ndarray:
        name = f"{CUT}_{number}"
        step = difference.astype(nothing[name].dtype)
        results = running({**inputs, **nothing, name: step})
        if head is not None and f"{END}_{number}" in results:
            results = head({**inputs, CUT: results[f"{END}_{number}"]})
        return original.target.reference(results[END], original.beside)

    return scores


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
