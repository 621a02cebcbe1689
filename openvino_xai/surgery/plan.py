"""The plan of a hook: neutral nodes that a dialect can emit. Planning touches no tensor of the model and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Size, product, text
from openvino_xai.graph.vocabulary import Array, Trace, shape_of
from openvino_xai.hooks import METHODS, SCALES
from openvino_xai.surgery.backward import Backward, Classes
from openvino_xai.surgery.channels import ChannelTail
from openvino_xai.surgery.classes import Selection
from openvino_xai.surgery.linear import refuse_nonlinear
from openvino_xai.surgery.locate import Candidate, Scores
from openvino_xai.surgery.places import Place
from openvino_xai.surgery.request import Request
from openvino_xai.surgery.spans import FIRST
from openvino_xai.surgery.tail import Tail
from openvino_xai.surgery.values import Cell, Rows, Start, Weighted, tapped

MAP, CLASS, GRADIENT = "saliency_map", "saliency_class", "gradient"


@dataclass(frozen=True, eq=False)
class Plan:
    """Nodes in the order in which they can be emitted, and the values that become outputs and inputs, by name.

    `origins` tells an axis of a value for each size that the plan names itself.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    inputs: Mapping[str, Value] = field(default_factory=dict)
    origins: Mapping[str, tuple[Value, int]] = field(default_factory=dict)

    @cached_property
    def constants(self) -> frozenset[Node]:
        """The nodes that depend on no input: computed when the hook is inserted, or when a runtime compiles the model."""
        made = {value for node in self.nodes for value in node.outputs}
        made.update(self.inputs.values())
        settled: set[Value] = set()
        found = set()
        for node in self.nodes:
            operands = [value for _, value in node.operands]
            if node.kind != "size" and all(v in settled or (v not in made and self.graph.is_constant(v)) for v in operands):
                found.add(node)
                settled.update(node.outputs)
        return frozenset(found)


def plan(graph: Graph, layer: Candidate, scores: Scores, request: Request) -> Plan:
    """The plan that explains `scores` at `layer` as `request` says. Raises PlanError, naming the node in the way."""
    trace = Trace()
    method = METHODS[request.method or "reciprocam"]
    if method.linear:
        refuse_nonlinear(graph, layer.value, scores.read_at(request.reads), request.method or "")
    site = PlannedSite(trace, graph, layer, scores, request)
    saliency = SCALES[request.scale](trace, method.hook(trace, site))
    if shape_of(saliency)[2] != site.classes:  # one map for all
        saliency = trace.broadcast_to(saliency, (site.batch, product(site.grid), site.classes))
    by_cell = trace.reshape(saliency, (site.batch, *site.grid, site.classes))
    outputs = {MAP: trace.permute_dims(by_cell, (0, 3, 1, 2))}
    if site.explained is not None:
        outputs[CLASS] = site.explained
    needed = _needed(trace.nodes, list(outputs.values()))
    return Plan(graph, tuple(node for node in trace.nodes if node in needed), outputs)


def plan_gradient(graph: Graph, layer: Candidate, scores: Scores, request: Request) -> Plan:
    """The plan that returns `gradient` [B, K, ...], in the layer's own axes, and what its method asked for beside it.

    That is `given_0`, what it gave, and `told_0`, what it was told, and so on. Raises PlanError.
    """
    trace = Trace()
    site = PlannedSite(trace, graph, layer, scores, request)
    outputs = {GRADIENT: site.gradient()}
    METHODS[request.method or ""].hook(trace, site)
    for index, (given, told) in enumerate(site.asked):
        outputs.update({f"given_{index}": trace.astype(given, np.float32), f"told_{index}": told})
    needed = _needed(trace.nodes, list(outputs.values()))
    return Plan(graph, tuple(node for node in trace.nodes if node in needed), outputs)


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
        self._graph, self._trace, self._layer, self._request, self._scores = graph, trace, layer, request, scores
        shape = shape_of(layer.value)
        if layer.place.batch != 0:
            raise PlanError(f"layer '{layer.name}' {text(shape)} has its batch on axis {layer.place.batch}; axis 0 is expected")
        self.batch: Size = shape[0]
        self.grid = _grid(layer, request)
        end = scores.read_at(request.reads)
        self._tail = Tail(graph, trace, end, batch=self.batch, grid=self.grid, lazy=request.plan == "lazy")
        self.explained = self._top()
        self.asked: list[tuple[Value, Value]] = []  # what a hook asked for beside its layer and gradients, and what it was told

    @property
    def classes(self) -> int:
        """K, the number of classes that are explained."""
        targets = self._request.targets
        return targets.top or (self._scores.classes if targets.ids is None else len(targets.ids))

    def cells(self) -> Value:
        """[B, N, C]: the channels of each cell; tokens that are none are left out."""
        if self._request.grid is not None:
            raise PlanError(f"{self._request.method} has one value a cell, and no masks: leave the grid out")
        return self._by_cell(tapped(self._trace, self._layer.value), self.batch)

    def gradients(self) -> Value:
        """[B, K, N, C]: the derivative of each score by the cells; [B, K, 1, C] where it is the same for all."""
        back = self._backward()
        by_cell = self._by_cell(back.gradient(), back.rows)
        return self._trace.reshape(by_cell, (self.batch, self.classes, *shape_of(by_cell)[1:]))

    def gradient(self) -> Value:
        """[B, K, ...]: the derivative of each score by the layer's value, in its own axes."""
        back, shape = self._backward(), shape_of(self._layer.value)[1:]
        whole = self._trace.broadcast_to(back.gradient(), (back.rows, *shape))
        return self._trace.reshape(whole, (self.batch, self.classes, *shape))

    def _backward(self) -> Backward:
        """The way from the scores back to the layer."""
        scores, request = self._scores, self._request
        ids: Array = None if request.targets.ids is None else np.array(request.targets.ids, np.int64)
        if self.explained is not None:
            ids = self.explained
        return Backward(
            self._graph,
            self._trace,
            self._layer.value,
            scores.read_at(request.reads),
            Classes(scores.classes, ids, self.explained is not None),
            batch=self.batch,
            squash="logit" if scores.activation else request.reads,
            apart=request.apart,
        )

    def _by_cell(self, value: Value, rows: Size) -> Value:
        """[rows, N, C], f32: a value laid out as the layer, of size 1 along cells where it is the same for all."""
        layer, trace = self._layer, self._trace
        whole, place = shape_of(layer.value), layer.place
        others = tuple(axis for axis in range(1, len(whole)) if axis not in place.cells)
        kept = shape_of(value)
        alike = all(kept[axis] == 1 for axis in place.cells)
        sizes = [1 if alike and axis in place.cells else size for axis, size in enumerate(whole)]
        laid = trace.permute_dims(trace.broadcast_to(value, (rows, *sizes[1:])), (0, *place.cells, *others))
        if not alike and len(place.cells) == 1 and whole[place.cells[0]] != product(place.grid):
            height, width = self.token_grid
            laid = trace.take(laid, np.arange(place.prefix, place.prefix + height * width), axis=1)
        channels, cells = product(whole[axis] for axis in others), 1 if alike else product(place.grid)
        return trace.astype(trace.reshape(laid, (rows, cells, channels)), np.float32)

    def mask_cells(self) -> dict[Value, Start]:
        """The features masked N times, as far as that is known: a value where a mask keeps it, 0 elsewhere."""
        return {self._layer.value: Cell(self._layer.value, None, self._layer.place)}

    @property
    def token_grid(self) -> tuple[int, int]:
        """(H, W) of an attention block."""
        height, width = self._layer.cells
        assert isinstance(height, int) and isinstance(width, int)
        return height, width

    @property
    def kernel(self) -> str:
        """How a mask weighs the neighbours of a cell."""
        return self._request.kernel

    def mask_tokens(self, weights: np.ndarray) -> dict[Value, Start]:
        """What enters the block, and what its projections read, with the weight that each mask gives each token."""
        layer = self._layer
        tokens = shape_of(layer.value)[layer.place.cells[0]]
        if not isinstance(tokens, int) or layer.residual is None:
            raise PlanError(f"layer '{layer.name}' is no attention block of which the tokens are known", node=layer.name)
        every = np.ones((len(weights), tokens))
        every[:, layer.place.prefix : layer.place.prefix + weights.shape[1]] = weights
        return {value: Weighted(value, every, layer.place) for value in (layer.residual, layer.value)}

    def scores(self, masked: Mapping[Value, Start]) -> Value:
        """[B, N, K]: the score of every explained class for every copy of masked features."""
        rows, chosen = self._tail.run(masked, self._selection())
        return self._read(rows, chosen, product(self.grid))

    def channel_scores(self, kept: Value) -> Value:
        """[B, M, K]: the score of every explained class for features of which copy m keeps the channels in `kept` [B, M, C]."""
        value, place = self._layer.value, self._layer.place
        (axis,) = (axis for axis in range(1, len(shape_of(value))) if axis not in place.cells)
        channels = shape_of(value)[axis]
        tail = ChannelTail(self._graph, self._trace, self._scores.read_at(self._request.reads), kept, batch=self.batch)
        rows, chosen = tail.run({value: Cell(value, None, Place(0, (axis,), (channels, 1)))}, self._selection())
        made = self._read(rows, chosen, shape_of(kept)[1])
        self.asked.append((kept, made))
        return made

    def _read(self, rows: Rows, chosen: bool, masks: Size) -> Value:
        """[B, masks, K]: rows of the end of a tail, as scores of the explained classes."""
        xp = self._trace
        if rows.span != FIRST:
            raise PlanError(f"output '{self._scores.name}' has its batch on axis {rows.span.axis}; axis 0 is expected, alone")
        classes = self.classes if chosen else self._scores.classes
        every = xp.reshape(xp.astype(rows.value, np.float32), (self.batch, masks, classes))
        if self._scores.activation is None and self._request.reads == "softmax":
            every = xp.softmax(every, axis=2)
        elif self._scores.activation is None and self._request.reads == "sigmoid":
            every = xp.sigmoid(every)
        if chosen:
            return every
        if self._request.targets.ids is not None:
            return xp.take(every, np.array(self._request.targets.ids, np.int64), axis=2)
        if self.explained is not None:
            spread = xp.reshape(self.explained, (self.batch, 1, self.classes))
            return xp.take_along_axis(every, xp.broadcast_to(spread, (self.batch, masks, self.classes)), axis=2)
        return every

    def _selection(self) -> Selection | None:
        """The classes asked for, where the score of one can be told without the others."""
        if self._scores.activation is None and self._request.reads == "softmax":
            return None
        if self.explained is not None:
            return Selection(self.explained, self.classes, self._scores.classes, of_each_image=True)
        ids = self._request.targets.ids
        return None if ids is None else Selection(np.array(ids, np.int64), len(ids), self._scores.classes)

    def _top(self) -> Value | None:
        """[B, k]: the classes explained for each image, most probable first; None where they are the same for all."""
        if self._request.targets.top is None:
            return None
        flat = self._trace.reshape(self._scores.value, (shape_of(self._scores.value)[0], self._scores.classes))
        return self._trace.top_k(flat, self._request.targets.top, axis=1)


def _grid(layer: Candidate, request: Request) -> tuple[Size, Size]:
    """The rows and columns of masks: those asked for, which must divide the cells, or one mask a cell."""
    if request.grid is None:
        return layer.cells
    if len(layer.place.cells) == 1:
        raise PlanError(f"layer '{layer.name}' holds tokens: a coarser grid is for rows and columns of cells; leave --grid out")
    for cells, masks in zip(layer.cells, request.grid, strict=True):
        if not isinstance(cells, int) or cells % masks:
            (height, width), (rows, columns) = layer.cells, request.grid
            raise PlanError(
                f"layer '{layer.name}' has {height}x{width} cells, which a grid of {rows}x{columns} does not divide evenly"
            )
    return request.grid
