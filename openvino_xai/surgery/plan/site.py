"""The site that a hook is traced with: what it asks is planned, and computed when the model runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from openvino_xai.contract import WANTED
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Dim, Size, product, text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.positions import Place
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.subaxis import FIRST
from openvino_xai.surgery.plan.enlargement import enlarging
from openvino_xai.surgery.request import Request
from openvino_xai.tail.channel_masks import ChannelTail
from openvino_xai.tail.class_slicing import Selection
from openvino_xai.tail.forward import Tail, replayed
from openvino_xai.tail.masked import Cell, Rows, Start, Weighted, tapped
from openvino_xai.tail.reverse_mode import Backward, Classes

SEED = 0  # of noise


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
        apart = request.apart or request.gate != "off"
        self._tail = Tail(graph, trace, end, batch=self.batch, grid=self.grid, lazy=request.plan == "lazy", apart=apart)
        self.wanted = Value(WANTED, (self.batch,), np.dtype(np.int64)) if request.targets.asked else None
        self.explained = self._top() if self.wanted is None else trace.reshape(self.wanted, (self.batch, 1))
        # what a hook asked for beside its layer and gradients: what, what it gave, and what it was told
        self.answers: list[tuple[str, Value, Value]] = []

    @property
    def classes(self) -> int:
        """K, the number of classes that are explained."""
        targets = self._request.targets
        if targets.asked:
            return 1
        return targets.top or (self._scores.classes if targets.ids is None else len(targets.ids))

    def cells(self) -> Value:
        """[B, N, C]: the channels of each cell; tokens that are none are left out."""
        if self._request.grid is not None:
            raise PlanError(f"{self._request.method} has one value a cell, and no masks: leave the grid out")
        return self._by_cell(tapped(self._trace, self._layer.value), self.batch)

    def gradients(self) -> Value:
        """[B, K, N, C]: the derivative of each score by the cells; [B, K, 1, C] where it is the same for all."""
        return self._laid_out(self._rows_of_gradient, self.batch)

    def gradient(self) -> Value:
        """[B, K, ...]: the derivative of each score by the layer's value, in its own axes."""
        shape = shape_of(self._layer.value)[1:]
        whole = self._trace.broadcast_to(self._rows_of_gradient, (self.batch * self.classes, *shape))
        return self._trace.reshape(whole, (self.batch, self.classes, *shape))

    @cached_property
    def _rows_of_gradient(self) -> Value:
        """[B * K, ...]: traced once, whoever reads it."""
        return self._backward().gradient()

    def _laid_out(self, rows: Value, items: Size) -> Value:
        """[items, K, N, C]: what a backward pass gives, by cells."""
        by_cell = self._by_cell(rows, items * self.classes)
        return self._trace.reshape(by_cell, (items, self.classes, *shape_of(by_cell)[1:]))

    @property
    def _ids(self) -> np.ndarray | None:
        """[K]: the classes asked for by their ids; None where they are not."""
        ids = self._request.targets.ids
        return None if ids is None else np.array(ids, np.int64)

    def _backward(self, copies: int = 1, forward: Mapping[Value, Value] | None = None) -> Backward:
        """The way from the scores back to the layer."""
        scores, request, xp = self._scores, self._request, self._trace
        ids: Array = self._ids
        if self.explained is not None:
            ids = self.explained
            if copies > 1:
                spread = xp.broadcast_to(xp.reshape(ids, (self.batch, 1, self.classes)), (self.batch, copies, self.classes))
                ids = xp.reshape(spread, (self.batch * copies, self.classes))
        return Backward(
            self._graph,
            xp,
            self._layer.value,
            scores.read_at(request.reads),
            Classes(scores.classes, ids, self.explained is not None),
            batch=self.batch,
            squash="logit" if scores.activation else request.reads,
            apart=request.apart,
            copies=copies,
            forward=forward,
        )

    def noisy_gradients(self, copies: int, level: float) -> Value:
        """[B, S, K, N, C]: `gradients` at S copies of the image with Gaussian noise of `level` times the image's range."""
        xp, image = self._trace, self._image()[0]
        shape = shape_of(image)[1:]
        sizes = [int(str(size)) for size in shape]
        noise = np.random.default_rng(SEED).standard_normal((1, copies, *sizes)).astype(image.dtype)
        axes = tuple(range(1, len(shape) + 1))
        spread = xp.subtract(xp.max(image, axis=axes, keepdims=True), xp.min(image, axis=axes, keepdims=True))
        noise_of_each = xp.multiply(xp.reshape(xp.multiply(spread, level), (self.batch, 1, *[1] * len(shape))), noise)
        noisy = xp.add(xp.reshape(image, (self.batch, 1, *shape)), noise_of_each)
        rows = Rows(xp.reshape(noisy, (self.batch * copies, *shape)))
        values = replayed(self._graph, xp, {image: rows}, self._scores.read_at(self._request.reads))
        back = self._backward(copies, {value: held.value for value, held in values.items()})
        found = self._laid_out(back.gradient(), self.batch * copies)
        made = xp.reshape(found, (self.batch, copies, *shape_of(found)[1:]))
        self.answers.append(("noisy_gradients", noisy, made))
        return made

    @property
    def channels(self) -> int | None:
        """n, how many channels a method asks about for each class; None for all."""
        return self._request.channels

    def largest_channels(self, weights: Value) -> Value:
        """[B, K, n], i64: the indices of the n = `channels` largest of `weights` [B, K, C], the largest first."""
        assert self.channels is not None
        indices = self._trace.top_k(weights, self.channels, axis=2)
        self.answers.append(("largest_channels", weights, indices))
        return indices

    def image_scores(self, maps: Value) -> Value:
        """[B, M, K]: the probability of each explained class for the image times each of `maps` [B, M, N], enlarged."""
        xp = self._trace
        parts = [self._image_scores(xp.take(maps, part, axis=1)) for part in self._parts(shape_of(maps)[1])]
        scores = xp.concat(parts, axis=1) if len(parts) > 1 else parts[0]
        self.answers.append(("image_scores", maps, scores))
        return scores

    def enlarged_range(self, maps: Value) -> tuple[Value, Value]:
        """Two of [B, 1, M]: the least and the largest pixel of each of `maps` [B, M, N], enlarged to the image."""
        xp, lows, highs = self._trace, [], []
        for part in self._parts(shape_of(maps)[1]):
            large = self._enlarged(xp.take(maps, part, axis=1))
            lows.append(xp.reshape(xp.min(large, axis=(1, 2)), (self.batch, 1, len(part))))
            highs.append(xp.reshape(xp.max(large, axis=(1, 2)), (self.batch, 1, len(part))))
        low, high = (xp.concat(ends, axis=2) if len(ends) > 1 else ends[0] for ends in (lows, highs))
        self.answers.append(("enlarged_range", maps, xp.concat([low, high], axis=1)))
        return low, high

    def _enlarged(self, maps: Value) -> Value:
        """[B * m, H, W]: maps [B, m, N], bilinear between the centres of cells."""
        xp, (_, _, height, width) = self._trace, self._image()
        rows, columns = (int(str(size)) for size in self.grid)
        flat = xp.reshape(maps, (self.batch * shape_of(maps)[1], rows, columns))
        return xp.matmul(xp.matmul(enlarging(rows, height), flat), np.ascontiguousarray(enlarging(columns, width).T))

    def _image_scores(self, maps: Value) -> Value:
        """[B, m, K]: of maps [B, m, N]."""
        xp, (image, place, _, _) = self._trace, self._image()
        count, large = int(str(shape_of(maps)[1])), self._enlarged(maps)
        if place.cells != tuple(sorted(place.cells)):
            large = xp.permute_dims(large, (0, 2, 1))
        shape = shape_of(image)[1:]
        sizes = [size if axis in place.cells else 1 for axis, size in enumerate(shape, start=1)]
        covered = xp.multiply(xp.reshape(image, (self.batch, 1, *shape)), xp.reshape(large, (self.batch, count, *sizes)))
        end = self._scores.read_at("softmax")
        values = replayed(self._graph, xp, {image: Rows(xp.reshape(covered, (self.batch * count, *shape)))}, end)
        scores = xp.reshape(xp.astype(values[end].value, np.float32), (self.batch, count, self._scores.classes))
        if self._scores.activation is None:
            scores = xp.sigmoid(scores) if self._request.score == "sigmoid" else xp.softmax(scores, axis=2)
        return self._of_explained(scores, count)

    def _image(self) -> tuple[Value, Place, int, int]:
        """The image, where its rows and columns are, and how many. Raises PlanError where that is not known."""
        image, place = find_image(self._graph, self._request.image)
        sizes = shape_of(image)[1:]
        if any(isinstance(size, Dim) for size in sizes) or image.dtype is None or image.dtype.kind != "f":
            raise PlanError(
                f"{self._request.method} changes the image, and needs one of floats and of a fixed height and width; "
                f"'{image.name}' is {image.dtype} {text(image.shape)}",
                node=image.name,
            )
        height, width = (int(str(shape_of(image)[axis])) for axis in place.cells)
        return image, place, height, width

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
        return self._read(rows, product(self.grid), chosen=chosen)

    def channel_scores(self, kept: Value) -> Value:
        """[B, M, K]: the score of every explained class for features of which copy m keeps the channels in `kept` [B, M, C].

        Tokens that are no cells, as the class token, keep all their channels.
        """
        found = [self._channel_scores(self._trace.take(kept, part, axis=1)) for part in self._parts(shape_of(kept)[1])]
        made = self._trace.concat(found, axis=1) if len(found) > 1 else found[0]
        self.answers.append(("channel_scores", kept, made))
        return made

    def _parts(self, count: Size) -> list[np.ndarray]:
        """`count` indices, in as many chunks as are asked for."""
        assert isinstance(count, int)
        return np.array_split(np.arange(count), min(self._request.chunks, count))

    def _channel_scores(self, kept: Value) -> Value:
        value, axis = self._layer.value, self._layer.channels
        channels, masks = shape_of(value)[axis], shape_of(kept)[1]
        tail = ChannelTail(self._graph, self._trace, self._scores.read_at(self._request.reads), kept, batch=self.batch)
        beside_cells = self._layer.place.beside(shape_of(value))
        start: dict[Value, Start] = {value: Cell(value, None, Place(0, (axis,), (channels, 1)))}
        if beside_cells is not None:
            start = {value: self._in_cells(kept, beside_cells)}
        if (beside := self._layer.residual) is not None and beside is not value:
            start[beside] = self._for_each(beside, masks)
        rows, chosen = tail.run(start, self._selection())
        return self._read(rows, masks, chosen=chosen)

    def _in_cells(self, kept: Value, beside: np.ndarray) -> Rows:
        """The layer's value once for every mask, with the channels in `kept` [B, M, C]; tokens that are no cells keep all."""
        xp, value, axis = self._trace, self._layer.value, self._layer.channels
        shape, (_, masks, channels) = shape_of(value), shape_of(kept)
        value_of_each = xp.reshape(tapped(xp, value), (self.batch, 1, *shape[1:]))
        rest = xp.multiply(value_of_each, beside[None].astype(value.dtype or np.float32))
        mask = xp.reshape(kept, (self.batch, masks, *(channels if a == axis else 1 for a in range(1, len(shape)))))
        masked = xp.where(mask, value_of_each, rest)
        return Rows(xp.reshape(masked, (self.batch * masks, *shape[1:])))

    def _for_each(self, value: Value, masks: Size) -> Rows:
        """A value of each image, once for every mask."""
        xp, shape = self._trace, shape_of(value)
        one = xp.reshape(tapped(xp, value), (self.batch, 1, *shape[1:]))
        return Rows(xp.reshape(xp.broadcast_to(one, (self.batch, masks, *shape[1:])), (self.batch * masks, *shape[1:])))

    def _read(self, rows: Rows, masks: Size, *, chosen: bool) -> Value:
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
        return every if chosen else self._of_explained(every, masks)

    def _of_explained(self, scores: Value, masks: Size) -> Value:
        """[B, masks, K]: of scores of all classes, those that are explained."""
        xp = self._trace
        if self._ids is not None:
            return xp.take(scores, self._ids, axis=2)
        if self.explained is not None:
            spread = xp.reshape(self.explained, (self.batch, 1, self.classes))
            return xp.take_along_axis(scores, xp.broadcast_to(spread, (self.batch, masks, self.classes)), axis=2)
        return scores

    def _selection(self) -> Selection | None:
        """The classes asked for, where the score of one can be told without the others."""
        if self._scores.activation is None and self._request.reads == "softmax":
            return None
        if self.explained is not None:
            return Selection(self.explained, self.classes, self._scores.classes, of_each_image=True)
        return None if self._ids is None else Selection(self._ids, len(self._ids), self._scores.classes)

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
