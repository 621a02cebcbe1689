"""The rows that a model picks of all that it has, and returns: which of all each of them is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.locate.provenance.leaves import carrying_data, thins
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.operations.table import data_operands, operation_of

CLOSE = 1e-5  # probabilities that are one


@dataclass(frozen=True, eq=False)
class OwnRows:
    """N of a model's A rows, as it returns them in `output` [B, N, n], with a column of scores and one of classes.

    `columns` of the output are picked from `source` [B, A, k], one after the other, by `nodes`: row numbers in its place come
    out as the numbers of the rows that are picked.
    """

    output: Value
    count: int
    score: int
    label: int
    source: Value
    columns: tuple[int, ...]
    nodes: tuple[Node, ...]

    def within(self, values: Mapping[Value, Value]) -> OwnRows:
        """The same in a twin of the model."""
        nodes = [values[node.outputs[0]].producer for node in self.nodes]
        return replace(
            self,
            output=values[self.output],
            source=values[self.source],
            nodes=tuple(node for node in nodes if node is not None),
        )


def own_rows(graph: Graph, probe: Probe, output: Value, probabilities: np.ndarray) -> OwnRows | None:
    """The rows in `output`, picked of rows with probabilities [A, C]; None where it is not told which they are."""
    shape = output.shape or ()
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape[1:]):
        return None
    count, rows = shape[1], len(probabilities)
    for source, nodes in _sources(graph, output):
        sizes = source.shape or ()
        if len(sizes) != 3 or sizes[1] != rows or source.dtype != np.float32 or not isinstance(count, int):
            continue
        width = sizes[2]
        if not isinstance(width, int):
            continue
        numbers = np.broadcast_to(np.arange(rows, dtype=np.float32)[None, :, None], (probe.batch, rows, width))
        (plain,) = probe.run({}, output)
        results = [probe.run({source: np.ascontiguousarray(numbers + shift)}, output)[0][0] for shift in (0, rows)]
        columns = np.flatnonzero(((results[1] - results[0] == rows) & (results[0] >= 0) & (results[0] < rows)).all(axis=0))
        if len(columns) != sizes[2] or (results[0][:, columns] != results[0][:, columns[:1]]).any():
            continue
        others = [column for column in range(plain.shape[2]) if column not in columns]
        pair = _score_and_label(plain[0], results[0][:, columns[0]].astype(int), others, probabilities)
        if pair is not None:
            return OwnRows(output, count, *pair, source, tuple(map(int, columns)), nodes)
    return None


def _score_and_label(
    rows: np.ndarray, index: np.ndarray, columns: list[int], probabilities: np.ndarray
) -> tuple[int, int] | None:
    """The columns of rows [N, n] that hold the scores, and the classes that these are of."""
    for label in columns:
        classes = rows[:, label]
        if not ((classes == np.round(classes)) & (classes >= 0) & (classes < probabilities.shape[1])).all():
            continue
        expected = probabilities[index, classes.astype(int)]
        for score in columns:
            if score != label and np.allclose(rows[:, score], expected, atol=CLOSE):
                return score, label
    return None


def _sources(graph: Graph, output: Value) -> Iterator[tuple[Value, tuple[Node, ...]]]:
    """What is picked on the way to an output, and the nodes from there on; not what decides itself what is picked."""
    carrying = carrying_data(graph)
    behind: dict[Value, set[Node]] = {output: set()}
    pending, sources = [output], []
    while pending:
        value = pending.pop()
        node = value.producer
        if node is None or value not in carrying:
            continue
        operation = operation_of(node)
        if operation.moves is None and not operation.joins:
            continue
        for index, operand in node.operands:
            if not operation.tells(index):
                behind.setdefault(operand, set()).update(behind[value] | {node})
                pending.append(operand)
                if thins(carrying, node) and index == 0:
                    sources.append(operand)
    for source in sources:
        nodes = tuple(node for node in graph.nodes if node in behind[source])
        reached = _reached(graph, source)
        if not any(_chooses(node, reached) for node in nodes):
            yield source, nodes


def _reached(graph: Graph, source: Value) -> set[Value]:
    reached = {source}
    for node in graph.nodes:
        if not reached.isdisjoint(data_operands(node)):
            reached.update(node.outputs)
    return reached


def _chooses(node: Node, reached: set[Value]) -> bool:
    selectors = operation_of(node).selectors
    return any(index in selectors and value in reached for index, value in node.operands)
