"""How far scores of a quantised model may lie from their definition: as far as a step of what was rounded last takes them.

Kernels are chosen by the shape of what they are given, and an element that lies between two levels is rounded to either. What
the last quantisers make may thus lie a step away, in the hook as in its definition. What that comes to for a score is asked of
the original's own nodes behind these quantisers, with each element moved by a step, up or down at random.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.table import operation_of
from openvino_xai.verify.masks import CUT, END, Reference

DRAWS = 3  # of ups and downs; the one that takes a score farthest counts
STEPS = 2.0  # by which a score may be off: one of the hook's, and one of what it is held to
MEAN_STEP = 0.25  # of all scores that are compared, by root mean square: few elements lie between two levels
SIGNAL = 1 / 3  # of what scores differ by from cell to cell; maps of other cells are off by half of it or more
LEVEL = "ovxai_level"  # names of what the last quantisers make, read out and put in


def last_quantisers(graph: Graph, value: Value, cut: Collection[Value]) -> Iterator[Node]:
    """What rounded last, behind a cut, on each way to a value; ahead of one that rounds the value itself, the next as well."""
    left, visited = [(value, True)], set(cut)
    while left:
        read, is_end = left.pop()
        node = read.producer
        if node is None or read in visited or graph.is_constant(read):
            continue
        visited.add(read)
        rounds = operation_of(node).quantises and read.dtype is not None and read.dtype.kind == "f"
        if rounds:
            yield node
        if not rounds or is_end:
            ahead = is_end and (rounds or operation_of(node).moves == "all" or operation_of(node).quantises)
            left += [(operand, ahead and not rounds) for _, operand in node.operands]


def step_of(graph: Graph, node: Node) -> np.ndarray | None:
    """By how much two levels differ that a node makes, as it broadcasts to its output; None where only a run knows."""
    ends = [graph.constant(value) for value in node.inputs[-2:]]
    if "levels" in node.attributes:
        low, high = ends
        return None if low is None or high is None else np.abs(high - low) / (node.attributes["levels"] - 1)
    scale, rank = graph.constant(node.operand(1)), len(shape_of(node.outputs[0]))
    if scale is None or scale.size == 1:
        return None if scale is None else scale.reshape(())
    return scale.reshape([-1 if axis == node.attributes["axis"] % rank else 1 for axis in range(rank)])


class Levels:
    """What the last quantisers behind a layer make, and what a step of it comes to."""

    def __init__(self, original: Reference, inputs: Mapping[str, np.ndarray]) -> None:
        graph, target = original.model.graph, original.target
        cut = {f"{CUT}_{index}": part.value for index, part in enumerate(original.layer.cut)}
        steps = {node.outputs[0]: step_of(graph, node) for node in last_quantisers(graph, target.read, cut.values())}
        values = {f"{LEVEL}_{index}": value for index, value in enumerate(steps) if value is not target.read}
        self._steps = {name: step for name, value in values.items() if (step := steps[value]) is not None}
        self._end_step = steps.get(target.read)
        self._target, self._beside, self._inputs = target, original.beside, inputs
        values = {name: values[name] for name in self._steps}
        self._read = original.probing(read=values, inputs=cut)
        self._tail = original.probing(read={END: target.read}, inputs=values or cut)

    def __bool__(self) -> bool:
        return bool(self._steps) or self._end_step is not None

    def moved(self, masked: Mapping[str, np.ndarray], rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
        """[B, K]: the scores of masked features, with a `share` of what is rounded last a step up or down at random."""

        def near(levels: np.ndarray, step: np.ndarray) -> np.ndarray:
            signs = rng.choice([-1, 1], levels.shape) * (rng.random(levels.shape) < share)
            return np.asarray(levels + (step * signs).astype(levels.dtype))

        levels = self._read({**self._inputs, **masked}) if self._steps else {}
        y = self._tail({**self._inputs, **masked, **{name: near(levels[name], step) for name, step in self._steps.items()}})[
            END
        ]
        y = y if self._end_step is None else near(y, self._end_step)
        return np.asarray(self._target.reference(y, self._beside))

    def bound(self, masked: Mapping[str, np.ndarray], scores: np.ndarray) -> np.ndarray:
        """[B, K]: how far a step of each element, up or down, takes the `scores` [B, K] of masked features."""
        rng = np.random.default_rng(4)
        return np.asarray(np.max([np.abs(self.moved(masked, rng) - scores) for _ in range(DRAWS)], axis=0))
