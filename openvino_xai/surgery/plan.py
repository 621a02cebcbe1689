"""The plan of a hook: neutral nodes that a dialect can emit. Planning touches no tensor of the model and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, product, text
from openvino_xai.graph.vocabulary import Trace, shape_of
from openvino_xai.hooks import METHODS, SCALES
from openvino_xai.surgery.locate import Candidate, Place, Scores
from openvino_xai.surgery.request import Request
from openvino_xai.surgery.rows import Rows, Tail

MAP, CLASS = "saliency_map", "saliency_class"


@dataclass(frozen=True, eq=False)
class Plan:
    """Nodes in the order in which they can be emitted, and the values that become outputs, by name."""

    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]


@dataclass(frozen=True)
class Masked:
    """The features of the cut, masked: copy n of item b equals `value` at cell n and 0 elsewhere."""

    value: Value
    place: Place


def plan(graph: Graph, layer: Candidate, scores: Scores, request: Request) -> Plan:
    """The plan that explains `scores` at `layer` as `request` says. Raises PlanError, naming the node in the way."""
    trace = Trace()
    site = PlannedSite(trace, graph, layer, scores, request)
    maps = SCALES[request.scale](trace, METHODS[request.method](trace, site))
    outputs = {MAP: maps}
    if site.explained is not None:
        outputs[CLASS] = site.explained
    needed = _needed(trace.nodes, list(outputs.values()))
    return Plan(tuple(node for node in trace.nodes if node in needed), outputs)


def _needed(nodes: list[Node], outputs: list[Value]) -> set[Node]:
    """The nodes that the outputs depend on."""
    wanted, needed = set(outputs), set()
    for node in reversed(nodes):
        if any(value in wanted for value in node.outputs):
            needed.add(node)
            wanted.update(value for _, value in node.operands)
    return needed


class PlannedSite:
    """The `Site` that a hook is traced with."""

    def __init__(self, trace: Trace, graph: Graph, layer: Candidate, scores: Scores, request: Request) -> None:
        self._trace = trace
        self._layer = layer
        self._request = request
        self._scores = scores
        skipped = scores.activation if request.score == "logit" else None
        self._tail = Tail(graph, trace, layer.value, scores.value, skipped)
        shape = shape_of(layer.value)
        if layer.place.batch != 0:
            raise PlanError(f"layer '{layer.name}' {text(shape)} has its batch on axis {layer.place.batch}; axis 0 is expected")
        self.batch: Size = shape[0]
        self.cells = layer.cells
        if any(isinstance(size, Dim) for size in self.cells):
            raise PlanError(
                f"layer '{layer.name}' {text(shape)} has cells whose number depends on the input; "
                "give the model a fixed height and width"
            )
        self.explained = self._top()

    @property
    def classes(self) -> int:
        """K, the number of classes that are explained."""
        targets = self._request.targets
        return targets.top or (self._scores.classes if targets.ids is None else len(targets.ids))

    @property
    def masks(self) -> Size:
        """N, the number of cells."""
        return product(self.cells)

    def keep_one_cell(self) -> Masked:
        """The features masked N times, not yet multiplied out."""
        return Masked(self._layer.value, self._layer.place)

    def scores(self, masked: Masked) -> Value:
        """[B, N, K]: the score of every explained class for every copy of masked features."""
        xp = self._trace
        rows = self._tail.run(self._multiplied_out(masked))
        if rows.axis != 0:
            raise PlanError(f"output '{self._scores.name}' has its batch on axis {rows.axis}; axis 0 is expected")
        every = xp.reshape(xp.astype(rows.value, np.float32), (self.batch, self.masks, self._scores.classes))
        if self._scores.activation is None and self._request.score == "softmax":
            every = xp.softmax(every, axis=2)
        elif self._scores.activation is None and self._request.score == "sigmoid":
            every = xp.sigmoid(every)
        if self._request.targets.ids is not None:
            return xp.take(every, np.array(self._request.targets.ids, np.int64), axis=2)
        if self.explained is not None:
            spread = xp.reshape(self.explained, (self.batch, 1, self.classes))
            return xp.take_along_axis(every, xp.broadcast_to(spread, (self.batch, self.masks, self.classes)), axis=2)
        return every

    def _top(self) -> Value | None:
        """[B, k]: the classes explained for each image, most probable first; None where they are the same for all."""
        if self._request.targets.top is None:
            return None
        flat = self._trace.reshape(self._scores.value, (shape_of(self._scores.value)[0], self._scores.classes))
        return self._trace.top_k(flat, self._request.targets.top, axis=1)

    def _multiplied_out(self, masked: Masked) -> Rows:
        """[B * N, ...]: the definition, features times masks; a mask is [1, N, 1, H, W], never as deep as the features."""
        xp, place, shape = self._trace, masked.place, shape_of(masked.value)
        height, width = shape[place.height], shape[place.width]
        assert isinstance(height, int) and isinstance(width, int)
        count = height * width
        grid = [height if axis == place.height else width if axis == place.width else 1 for axis in range(len(shape))]
        index = np.arange(count).reshape(height, width)
        here = (index if place.height < place.width else index.T).reshape(1, 1, *grid[1:])
        kept = xp.equal(np.arange(count).reshape(1, count, *[1] * (len(shape) - 1)), here)
        spread = xp.multiply(xp.reshape(masked.value, (shape[0], 1, *shape[1:])), xp.astype(kept, masked.value.dtype))
        return Rows(xp.reshape(spread, (shape[0] * count, *shape[1:])), 0)
