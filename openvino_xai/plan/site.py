"""The site that a hook is traced with: what it asks is planned, and computed when the model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from openvino_xai.errors import InputError, PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim, Size, concrete, product, text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.hooks.site import Cells, Mask
from openvino_xai.locate.layers import CutValue
from openvino_xai.locate.located import Location
from openvino_xai.locate.positions import Place
from openvino_xai.locate.separators import reached_from
from openvino_xai.locate.subaxis import FIRST, Span
from openvino_xai.plan.decision import Decision
from openvino_xai.plan.enlargement import enlarging, resampled
from openvino_xai.plan.nodes import operations_of
from openvino_xai.tail.attention.heads import Slopes, Tokens, tokens_between
from openvino_xai.tail.attention.probabilities import gradients_of_weights, probabilities, span_of_weights
from openvino_xai.tail.attention.stack import AttentionStack, attention_stack
from openvino_xai.tail.channel_masks import ChannelRules
from openvino_xai.tail.clips.frames import Frames
from openvino_xai.tail.forward import End, Tail, computed_again, replayed
from openvino_xai.tail.masked import MaskedCells, Rows, Start, tapped
from openvino_xai.tail.masks import BlockMask, ChannelMask, WeightMask
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.spatial_masks import CellRules
from openvino_xai.tail.target import Columns, Selection, Sums
from openvino_xai.tail.walk import between
from openvino_xai.tail.windowed.rules import WindowUse

SEED = 0  # of noise


def of_photos_alone(what: str, image: Value) -> PlanError:
    """The refusal of what changes the image itself, or enlarges maps, where a signal or a video is explained."""
    return PlanError(
        f"{what} is for images, and '{image.name}' {text(image.shape)} holds a signal or a video: reciprocam explains it, and "
        "so do grad_cam, layer_cam and others by gradients of a single layer",
        options=("method",),
    )


class PlannedSite:
    """The `Site` that a hook is traced with."""

    def __init__(self, trace: Trace, location: Location, decision: Decision) -> None:
        self._trace, self._location, self._decision = trace, location, decision
        self._graph, self._layer, self._target = location.graph, location.layer, decision.target(location.scores)
        for part in location.layer.cut:
            if part.place.batch != 0 and decision.traits.masks not in ("cells", "tokens"):
                named = f"layer '{location.layer.name}' {text(part.value.shape)}"
                why = f"has its batch on axis {part.place.batch}, and {decision.method} expects axis 0; reciprocam explains it"
                raise PlanError(f"{named} {why}", node=location.layer.name, options=("method",))
        self.batch = location.layer.place.images(shape_of(location.layer.value))
        self.grid = decision.grid
        self.selection = self._target.selection(trace, self.batch)
        self.splices: Mapping[tuple[Node, int], Value] = {}  # of the tail, once scores were asked of it
        self._replayed: dict[Value, Mapping[Value, Value]] = {}  # by other images

    @property
    def classes(self) -> int:
        """K, the number of classes that are explained."""
        return self._target.count

    def cells(self) -> Value:
        """[B, N, C]: the channels of each cell; tokens that are none are left out."""
        if self.grid != self._layer.place.grid:
            raise PlanError(f"{self._decision.method} has one value a cell, and no masks: leave the grid out")
        return self._by_cell(tapped(self._trace, self._layer.value), self.batch)

    def cells_of_layers(self) -> tuple[Value, ...]:
        """L of [B, n, C]: the channels of each cell of a layer."""
        return tuple(self._by_cell(tapped(self._trace, part.value), self.batch, part) for part in self._layer.cut)

    def gradients_of_layers(self) -> tuple[Value, ...]:
        """L of [B, K, n, C]: the derivative of each score by the cells; [B, K, 1, C] where it is the same for all."""
        parts = self._layer.cut
        way = self._backward()  # from the scores to those that none of them leads to, through all others
        return tuple(self._laid_out(way.gradient(part.value).value, self.batch, part) for part in parts)

    def on_one_grid(self, maps: Sequence[Value]) -> list[Value]:
        """L of [B, N, K]: the layers' maps [B, n, K] on as many cells as the finest has, bilinear between the centres."""
        grids = [part.place.grid for part in self._layer.cut]
        if all(grid == self.grid for grid in grids):
            return list(maps)
        xp, grid = self._trace, concrete(self.grid, f"the cells of layers '{self._layer.name}'")
        laid = []
        for of_layer, sizes in zip(maps, grids, strict=True):
            rows, columns = concrete(sizes, f"the cells of layers '{self._layer.name}'")
            by_class = xp.permute_dims(of_layer, (0, 2, 1))
            large = resampled(xp, xp.reshape(by_class, (self.batch, self.classes, rows, columns)), (grid[0], grid[1]))
            flat = xp.reshape(large, (self.batch, self.classes, product(grid)))
            laid.append(xp.permute_dims(flat, (0, 2, 1)))
        return laid

    def feature_vector(self) -> Value:
        """[B, C], f32: the mean over the cells; tokens that are none are left out."""
        return self._trace.mean(self._by_cell(tapped(self._trace, self._layer.value), self.batch), axis=1)

    def gradients(self) -> Value:
        """[B, K, N, C]: the derivative of each score by the cells; [B, K, 1, C] where it is the same for all."""
        if self._decision.traits.of_elements is not None:  # each has its own
            return self._laid_out(self._of_all(self._rows_of_gradient, self.batch), self.batch)
        return self._laid_out(self._rows_of_gradient, self.batch)

    def class_scores(self) -> Value:
        """[B, J], f32: the scores of all classes. Raises PlanError where what is explained is no class."""
        xp, columns = self._trace, self._columns()
        all_columns = Columns(columns.total)
        scores = self._target.scores_of(xp, tapped(xp, self._target.read), all_columns, (self.batch, 1))
        return xp.reshape(scores, (self.batch, columns.total))

    def explained_classes(self) -> Value:
        """[B, K, J], f32: 1 at each class that is explained, 0 elsewhere. Raises PlanError where none is."""
        xp, columns = self._trace, self._columns()
        sizes = (self.batch, columns.count, columns.total)
        if columns.of_each_image:
            return xp.reshape(columns.seed_of_rows(xp, self.batch * columns.count, np.float32), sizes)
        return xp.broadcast_to(xp.reshape(columns.seed(xp, np.float32), (1, *sizes[1:])), sizes)

    def gradients_of(self, seeds: Value) -> Value:
        """[B, K, N, C]: the derivative of sums of scores, weighed by `seeds` [B, K, J]."""
        return self._laid_out(self._backward(selection=Sums(seeds, self.selection.inputs)).gradients()[0], self.batch)

    def _columns(self) -> Columns:
        if not isinstance(self.selection, Columns):
            method, name = self._decision.method, self._target.read.name
            raise PlanError(
                f"{method} compares a class with others, and targets '{self._decision.pick}' of '{name}' are none: take "
                "grad_cam",
                options=("method", "targets"),
            )
        return self.selection

    def gradient(self) -> Value:
        """[B, K, ...]: the derivative of each score by the layer's value, in its own axes, and of a clip by frame."""
        rows, shape = self._of_all(self._rows_of_gradient, self.batch), shape_of(self._layer.value)
        frames = (self._layer.place.frames,) if self._layer.place.folds_frames else ()
        return self._trace.reshape(rows, (self.batch, self.classes, *frames, *shape[1:]))

    def _of_all(self, rows: Value, items: Size) -> Value:
        """[items * K, ...], or frames of these: what a backward pass gives, in the layer's full size."""
        count = items * self.classes * self._layer.place.frames
        return self._trace.broadcast_to(rows, (count, *shape_of(self._layer.value)[1:]))

    def laid_as_layer(self, values: Value) -> Value:
        """[B, K, ...]: values [B, K, N, C] of cells, in the layer's own axes."""
        shape, place = shape_of(self._layer.value), self._layer.place
        axes = (*place.cells, *(axis for axis in range(1, len(shape)) if axis not in place.cells))
        apart = self._trace.reshape(values, (self.batch, self.classes, *(shape[axis] for axis in axes)))
        return self._trace.permute_dims(apart, (0, 1, *(2 + axes.index(axis) for axis in range(1, len(shape)))))

    @cached_property
    def _firsts(self) -> tuple[Value, ...]:
        """The layer, or of several in turn those that none of the others leads to."""
        if not self._layer.in_turn:
            return (self._layer.value,)
        values = [part.value for part in self._layer.cut]
        behind = {value for other in values for value in reached_from(self._graph, other) if value is not other}
        return tuple(value for value in values if value not in behind)

    @cached_property
    def _rows_of_gradient(self) -> Value:
        """[B * K, ...]: traced once, whoever reads it."""
        return self._backward().gradients()[0]

    def _laid_out(self, rows: Value, items: Size, part: CutValue | None = None) -> Value:
        """[items, K, N, C]: what a backward pass gives, by cells."""
        by_cell = self._by_cell(rows, items * self.classes, part)
        return self._trace.reshape(by_cell, (items, self.classes, *shape_of(by_cell)[1:]))

    def _backward(
        self, copies: int = 1, forward: Mapping[Value, Value] | None = None, selection: Selection | None = None
    ) -> Backward:
        """The way from the scores back to the layer."""
        return Backward(
            self._graph,
            self._trace,
            self._firsts,
            self._target,
            (selection or self.selection).repeated(self._trace, self.batch, copies),
            batch=self.batch,
            apart=self._decision.isolated,
            copies=copies,
            forward=forward,
            spans={part.value: part.place.span for part in self._layer.cut if part.place.folds_frames},
        )

    @cached_property
    def _stack(self) -> AttentionStack:
        """All attention blocks, from that of the layer on."""
        return attention_stack(self._location, self._target.read, self._decision.method)

    def attentions(self) -> tuple[Value, ...]:
        """[B, M, T, T], f32, for each attention block, the first ahead: how much each token attends to each other."""
        return tuple(probabilities(self._whole_way, node) for node in self._stack.nodes)

    @cached_property
    def _whole_way(self) -> Backward:
        """From the scores back through all blocks."""
        return self._backward()

    def attention_gradients(self) -> tuple[Value, ...]:
        """[B, K, M, T, T] for each block: the derivative of each explained score by `attentions`."""
        gradients = gradients_of_weights(self._whole_way, self._stack.nodes)
        return tuple(self._trace.reshape(value, (self.batch, self.classes, *shape_of(value)[1:])) for value in gradients)

    def block_gradients(self) -> tuple[Value, ...]:
        """[B, K, M, T, T] for each block: as `attention_gradients`, where the head reads the tokens behind this block."""
        nodes, way_back = self._stack.nodes, self._whole_way
        *entries, last = tokens_between(self._location, self._stack, self._decision.method)
        gradients = [
            self._of_block(node, entry, end, last, way_back)
            for node, entry, end in zip(nodes[:-1], entries, entries[1:], strict=False)
        ]
        gradients += gradients_of_weights(way_back, nodes[-1:])
        return tuple(self._trace.reshape(value, (self.batch, self.classes, *shape_of(value)[1:])) for value in gradients)

    def _of_block(self, node: Node, entry: Value, end: Value, last: Value, way_back: Backward) -> Value:
        """[B * K, M, T, T]: from the head, which reads a block's end in place of the `last` tokens, back through the block."""
        xp, graph, read = self._trace, self._graph, self._target.read
        head = replayed(graph, xp, {last: Rows(way_back.of_images(end))}, read)
        forward = {value: rows.value for value, rows in head.items()}
        selection = self.selection.repeated(xp, self.batch, 1)
        way = Backward(graph, xp, (last,), self._target, selection, batch=self.batch, forward=forward)
        slopes = xp.broadcast_to(way.gradients()[0], (self.batch * self.classes, *shape_of(end)[1:]))
        seed = Slopes(slopes, self.classes)
        through = Backward(graph, xp, (entry,), Tokens(end), seed, batch=self.batch, forward=way_back.forward)
        return gradients_of_weights(through, (node,))[0]

    def attention_spans(self) -> tuple[Span, ...]:
        """Where the images are in the weights of each block, as the model has them."""
        return tuple(span_of_weights(self._whole_way, node) for node in self._stack.nodes)

    @property
    def class_token(self) -> int:
        """Which token the scores read."""
        return self._stack.class_token

    @property
    def cell_tokens(self) -> np.ndarray:
        """[N], i64: which tokens are cells, row by row."""
        return self._stack.cell_tokens

    def noisy_images(self, copies: int, level: float) -> Value:
        """[B, S, ...]: copies of the image with Gaussian noise of `level` times the image's range."""
        xp, image = self._trace, self._fixed(self._location.image, self._location.image_place)[0]
        shape = concrete(shape_of(image)[1:], f"image '{image.name}'")
        noise = np.random.default_rng(SEED).standard_normal((1, copies, *shape)).astype(image.dtype)
        axes = tuple(range(1, len(shape) + 1))
        spread = xp.subtract(xp.max(image, axis=axes, keepdims=True), xp.min(image, axis=axes, keepdims=True))
        noise_of_each = xp.multiply(xp.reshape(xp.multiply(spread, level), (self.batch, 1, *[1] * len(shape))), noise)
        return xp.add(xp.reshape(image, (self.batch, 1, *shape)), noise_of_each)

    @property
    def baseline(self) -> np.ndarray:
        """[1] or [C], f32: what each pixel of the baseline holds. Raises InputError where the image has other channels."""
        baseline = np.array(self._decision.baseline, np.float32)
        channels = shape_of(self._layer.value)[self._layer.channels]
        if len(baseline) not in (1, channels):
            raise InputError(
                f"the baseline has {len(baseline)} numbers, and '{self._layer.name}' {channels} channels: one number is "
                f"expected, or {channels}",
                options=("baseline",),
            )
        return baseline

    def images_on_the_way(self) -> Value:
        """[B, S, ...]: the images in the middle of each of S equal steps from the baseline to the image."""
        xp, image, steps, baseline = self._trace, self._layer.value, self._decision.steps, self.baseline
        shape = shape_of(image)
        shares = ((np.arange(steps) + 0.5) / steps).reshape(1, steps, *[1] * (len(shape) - 1))
        of_channels = baseline.reshape([-1 if axis == self._layer.channels else 1 for axis in range(1, len(shape))])
        moved = xp.multiply(xp.reshape(image, (self.batch, 1, *shape[1:])), shares.astype(image.dtype))
        return xp.add(moved, ((1 - shares) * of_channels).astype(image.dtype)) if baseline.any() else moved

    def cells_at(self, images: Value) -> Value:
        """[B, S, N, C]: `cells` at other images [B, S, ...]."""
        copies = shape_of(images)[1]
        assert isinstance(copies, int)
        by_cell = self._by_cell(self._at(images)[self._layer.value], self.batch * copies)
        return self._trace.reshape(by_cell, (self.batch, copies, *shape_of(by_cell)[1:]))

    def _at(self, images: Value) -> Mapping[Value, Value]:
        """What the model computes of other images [B, S, ...], with rows for these; traced once, whoever reads it."""
        if images not in self._replayed:
            image = self._layer.value if self._decision.traits.of_elements is not None else self._location.image
            xp, (_, copies, *shape) = self._trace, shape_of(images)
            rows = Rows(xp.reshape(images, (self.batch * copies, *shape)))
            values = replayed(self._graph, xp, {image: rows}, self._target.read)
            self._replayed[images] = {value: row.value for value, row in values.items()}
        return self._replayed[images]

    def gradients_at(self, images: Value) -> Value:
        """[B, S, K, N, C]: `gradients` at other images [B, S, ...]."""
        of_elements = self._decision.traits.of_elements is not None
        xp, copies = self._trace, shape_of(images)[1]
        assert isinstance(copies, int)
        back = self._backward(copies, self._at(images))
        gradient = back.gradients()[0]
        if of_elements:
            gradient = self._of_all(gradient, self.batch * copies)
        by_cell = self._laid_out(gradient, self.batch * copies)
        return xp.reshape(by_cell, (self.batch, copies, *shape_of(by_cell)[1:]))

    @property
    def channels(self) -> int | None:
        """n, how many channels a method asks about for each class; None for all."""
        return None if self._decision.channels == "all" else self._decision.channels

    def largest_channels(self, weights: Value) -> Value:
        """[B, K, n], i64: the indices of the n = `channels` largest of `weights` [B, K, C], the largest first."""
        assert self.channels is not None
        return self._trace.top_k(weights, self.channels, axis=2)

    def image_scores(self, maps: Value) -> Value:
        """[B, M, K]: the probability of each explained class for the image times each of `maps` [B, M, N], enlarged."""
        xp = self._trace
        parts = [self._image_scores(xp.take(maps, part, axis=1)) for part in self._parts(shape_of(maps)[1])]
        return xp.concat(parts, axis=1) if len(parts) > 1 else parts[0]

    def enlarged_range(self, maps: Value) -> tuple[Value, Value]:
        """Two of [B, 1, M]: the least and the largest pixel of each of `maps` [B, M, N], enlarged to the image."""
        xp, lows, highs = self._trace, [], []
        for part in self._parts(shape_of(maps)[1]):
            large = self._enlarged(xp.take(maps, part, axis=1))
            lows.append(xp.reshape(xp.min(large, axis=(1, 2)), (self.batch, 1, len(part))))
            highs.append(xp.reshape(xp.max(large, axis=(1, 2)), (self.batch, 1, len(part))))
        low, high = (xp.concat(ends, axis=2) if len(ends) > 1 else ends[0] for ends in (lows, highs))
        return low, high

    def _enlarged(self, maps: Value) -> Value:
        """[B * m, H, W]: maps [B, m, N], bilinear between the centres of cells, as large as what these are parts of."""
        xp, (_, _, height, width) = self._trace, self._looked_at
        rows, columns = concrete(self.grid, f"the cells of layer '{self._layer.name}'")
        flat = xp.reshape(maps, (self.batch * shape_of(maps)[1], rows, columns))
        return xp.matmul(xp.matmul(enlarging(rows, height), flat), np.ascontiguousarray(enlarging(columns, width).T))

    def _image_scores(self, maps: Value) -> Value:
        """[B, m, K]: of maps [B, m, N]."""
        xp, (image, place, _, _) = self._trace, self._looked_at
        count, large = shape_of(maps)[1], self._enlarged(maps)
        if place.cells != tuple(sorted(place.cells)):
            large = xp.permute_dims(large, (0, 2, 1))
        shape = shape_of(image)[1:]
        sizes = [size if axis in place.cells else 1 for axis, size in enumerate(shape, start=1)]
        covered = xp.multiply(xp.reshape(self._part, (self.batch, 1, *shape)), xp.reshape(large, (self.batch, count, *sizes)))
        target, rows = self._target.as_probability(), Rows(xp.reshape(covered, (self.batch * count, *shape)))
        end = replayed(self._graph, xp, {image: rows}, target.read)[target.read]
        return target.scores_of(xp, end.value, self.selection, (self.batch, count))

    @property
    def _looked_at(self) -> tuple[Value, Place, int, int]:
        """The image, or the part of it that the network looks at, as `_fixed`. Raises PlanError where no value holds it."""
        frame = self._location.frame
        if frame is not None and not frame.pixels:
            raise PlanError(
                f"{self._decision.method} masks what the network looks at, and {frame.value.producer} lays the image on a "
                "canvas by borders of its windows: pad the image ahead of the model, or take grad_cam",
                node=frame.value.name,
            )
        return self._fixed(*self._location.source)

    @cached_property
    def _part(self) -> Value:
        """What the layer's cells are parts of; a crop or a canvas is made again, which runtimes fuse with windows behind it."""
        (source, _), image = self._location.source, self._location.image
        if source is image or image.dtype is None or image.dtype.kind != "f":
            return source
        return computed_again(self._trace, [image], between(self._graph, [image], source))[source]

    def _fixed(self, image: Value, place: Place) -> tuple[Value, Place, int, int]:
        """The image, or a part of it, where its rows and columns are, and how many. Raises PlanError where a run tells."""
        if place.sizes is not None:
            raise of_photos_alone(self._decision.method, image)
        sizes = shape_of(image)[1:]
        if any(isinstance(size, Dim) for size in sizes) or image.dtype is None or image.dtype.kind != "f":
            raise PlanError(
                f"{self._decision.method} changes the image, and needs one of floats and of a fixed height and width; "
                f"'{image.name}' is {image.dtype} {text(image.shape)}",
                node=image.name,
            )
        height, width = concrete((shape_of(image)[axis] for axis in place.cells), f"image '{image.name}'")
        return image, place, height, width

    def _by_cell(self, value: Value, rows: Size, part: CutValue | None = None) -> Value:
        """[rows, N, C], f32: a value laid out as the layer, of size 1 along cells where it is the same for all."""
        part, trace = part or self._layer.cut[0], self._trace
        shape, place = shape_of(part.value), part.place
        others = tuple(axis for axis in range(len(shape)) if axis not in (place.batch, *place.cells))
        sizes = shape_of(value)
        alike = all(sizes[axis] == 1 for axis in place.cells)
        full = [1 if alike and axis in place.cells else size for axis, size in enumerate(shape)]
        full[place.batch] = rows * place.frames
        order = dict.fromkeys((place.batch, *place.cells, *others))  # frames of a clip lie on the axis of the batch
        laid = trace.permute_dims(trace.broadcast_to(value, tuple(full)), tuple(order))
        if not alike and len(place.cells) == 1 and shape[place.cells[0]] != product(place.grid):
            height, width = concrete(place.grid, f"the tokens of layer '{self._layer.name}'")
            laid = trace.take(laid, np.arange(place.prefix, place.prefix + height * width), axis=1)
        channels, cells = product(shape[axis] for axis in others), 1 if alike else product(place.grid)
        return trace.astype(trace.reshape(laid, (rows, cells, channels)), np.float32)

    @property
    def token_grid(self) -> tuple[int, int]:
        """(H, W) of an attention block."""
        height, width = self._layer.cells
        assert isinstance(height, int) and isinstance(width, int)
        return height, width

    @property
    def kernel(self) -> str:
        """How a mask weighs the neighbours of a cell."""
        return self._decision.kernel

    def scores(self, mask: Mask, /) -> Value:
        """[B, N, K]: the score of every explained class for the features under each of N masks.

        Tokens that are no cells, as the class token, are kept by masks of weights and of channels.
        """
        if isinstance(mask, Cells):
            return self._cell_scores(BlockMask(self.grid) if mask.weights is None else self._of_tokens(mask.weights))
        parts = [
            self._channel_scores(ChannelMask(self._trace.take(mask.masks, part, axis=1)))
            for part in self._parts(shape_of(mask.masks)[1])
        ]
        return self._trace.concat(parts, axis=1) if len(parts) > 1 else parts[0]

    def _cell_scores(self, mask: BlockMask | WeightMask) -> Value:
        """[B, N, K]: for masks of cells, at all values of the cut."""
        start = {part.value: MaskedCells(part.value, None, part.place) for part in reversed(self._layer.cut)}
        forward: Mapping[Value, Value] = {}
        if self._decision.isolated:
            forward = computed_again(self._trace, list(start), between(self._graph, start, self._target.read))
        columns, planned = self._target.slice(self.selection), len(self._trace.nodes)
        # OpenVINO's CPU plugin (2026.4) errs in what a portable form makes of the rest of windows, which is constant: products
        # that are reshaped and turned around
        use: WindowUse = "none" if self._decision.portable else "least"
        end, alternatives = self._cell_end(mask, start, columns, use)
        if alternatives:  # what is cheap at the node where windows are left may be dear behind it
            ends = [(end, self._trace.nodes[planned:])]
            for windows in alternatives:
                del self._trace.nodes[planned:]
                ends.append((self._cell_end(mask, start, columns, windows)[0], self._trace.nodes[planned:]))
            counts = [operations_of(self._graph, nodes, way.rows.value) for way, nodes in ends]
            # the last has no windows, and is the most that a user is told
            ways = [
                (count + way.moves, i)
                for i, (count, (way, _)) in enumerate(zip(counts, ends, strict=True))
                if count <= counts[-1]
            ]
            end, nodes = ends[min(ways)[1]]
            self._trace.nodes[planned:] = nodes
        behind = {value: copy for value, copy in forward.items() if value not in start}
        for node in self._trace.nodes[planned:] if behind else ():  # of the model, the cut alone is read
            node.inputs = tuple(None if value is None else behind.get(value, value) for value in node.inputs)
        self.splices = end.splices
        return self._read(end, mask.count)

    def _cell_end(
        self, mask: BlockMask | WeightMask, start: Mapping[Value, Start], columns: Columns | None, windows: WindowUse
    ) -> tuple[End, tuple[WindowUse, ...]]:
        """The end of the tail, and other uses of windows that may take less."""
        isolated, lazy = self._decision.isolated or self._decision.gate != "off", self._decision.plan == "lazy"

        def tail(end: Value, batch: Size, mask: BlockMask | WeightMask) -> Tail:
            rules = CellRules(self._graph, self._trace, batch, mask)
            return Tail(self._graph, self._trace, end, rules, lazy=lazy, apart=isolated, windows=windows)

        alternatives: tuple[WindowUse, ...] = ()
        if (frames := Frames.of(self._graph, self._trace, self._layer, self._target.read)) is not None:
            of_frames, start = frames.tails(tail, self.batch), {}
            for value, of_frame in of_frames.items():
                end, rows = frames.behind(value, of_frame.run(frames.start).rows)
                start[end] = rows
                alternatives = alternatives or of_frame.alternatives
        of_clips = tail(self._target.read, self.batch, mask)
        return of_clips.run(start, columns), alternatives or of_clips.alternatives

    def _of_tokens(self, weights: np.ndarray) -> WeightMask:
        """Weights of all tokens, or cells, of weights [N, H * W]: 1 for a token that is no cell. Raises PlanError."""
        layer = self._layer
        count, ahead = product(shape_of(layer.value)[axis] for axis in layer.place.cells), layer.place.prefix
        if not isinstance(count, int):
            raise PlanError(f"the number of cells of layer '{layer.name}' depends on the input", node=layer.name)
        token_weights = np.ones((len(weights), count))
        token_weights[:, ahead : ahead + weights.shape[1]] = weights
        return WeightMask(token_weights)

    def _parts(self, count: Size) -> list[np.ndarray]:
        """`count` indices, in as many chunks as are asked for."""
        assert isinstance(count, int)
        return np.array_split(np.arange(count), min(self._decision.chunks, count))

    def _channel_scores(self, mask: ChannelMask) -> Value:
        if self._layer.place.folds_frames:
            named = f"layer '{self._layer.name}' {text(self._layer.value.shape)}"
            raise PlanError(
                f"{self._decision.method} masks channels, and {named} holds frames of clips: take grad_cam or reciprocam",
                node=self._layer.name,
                options=("method",),
            )
        value, axis = self._layer.value, self._layer.channels
        channels, copies = shape_of(value)[axis], mask.count
        rules = ChannelRules(self._graph, self._trace, self.batch, mask)
        tail = Tail(self._graph, self._trace, self._target.read, rules, lazy=True)
        beside_cells = self._layer.place.beside(shape_of(value))
        start: dict[Value, Start] = {value: MaskedCells(value, None, Place(0, (axis,), (channels, 1)))}
        if beside_cells is not None:
            start = {value: self._in_cells(mask.masks, beside_cells)}
        start.update({part.value: self._for_each(part.value, copies) for part in self._layer.cut[1:]})
        return self._read(tail.run(start, self._target.slice(self.selection)), copies)

    def _in_cells(self, masks: Value, beside: np.ndarray) -> Rows:
        """The layer's value once for every mask, with the channels in `masks` [B, M, C]; tokens that are no cells keep all."""
        xp, value, axis = self._trace, self._layer.value, self._layer.channels
        shape, (_, copies, channels) = shape_of(value), shape_of(masks)
        value_of_each = xp.reshape(tapped(xp, value), (self.batch, 1, *shape[1:]))
        rest = xp.multiply(value_of_each, beside[None].astype(value.dtype or np.float32))
        mask = xp.reshape(masks, (self.batch, copies, *(channels if a == axis else 1 for a in range(1, len(shape)))))
        masked = xp.where(mask, value_of_each, rest)
        return Rows(xp.reshape(masked, (self.batch * copies, *shape[1:])))

    def _for_each(self, value: Value, masks: Size) -> Rows:
        """A value of each image, once for every mask."""
        xp, shape = self._trace, shape_of(value)
        by_image = xp.reshape(tapped(xp, value), (self.batch, 1, *shape[1:]))
        return Rows(xp.reshape(xp.broadcast_to(by_image, (self.batch, masks, *shape[1:])), (self.batch * masks, *shape[1:])))

    def _read(self, end: End, masks: Size) -> Value:
        """[B, masks, K]: the end of a tail, as scores of the explained classes."""
        if (span := end.rows.span) != FIRST:
            name = self._target.scores.name
            raise PlanError(f"output '{name}' has its batch on axis {span.axis}; axis 0 is expected, alone")
        sizes = (self.batch, masks)
        return self._target.scores_of(self._trace, end.rows.value, self.selection, sizes, is_slice=end.is_slice)
