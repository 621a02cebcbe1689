"""Clips: frames that go through a network of images as a batch, [B * T, ...], clip by clip.

Up to where frames meet each is an image of its own, and the tail of its masked copies is that of any image. A mask of a clip
keeps one cell of one of its T frames. So behind the tail of frames that frame is the copy which keeps that cell, and each other
frame is blank: what the tail makes of a frame of which no cell is kept, which is the same for all and no input changes. From
there on the tail runs on clips.

A mean (a sum, a maximum) over T frames has a closed form, (y_n + (T - 1) blank) / T for copy n, as that over cells has. What
else reads frames gets all of them, [B * N * T, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, concrete, quotient, text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.algebra import zeros
from openvino_xai.tail.forward import Tail, replayed
from openvino_xai.tail.masked import MaskedCells, Rows
from openvino_xai.tail.masks import BlockMask
from openvino_xai.tail.spatial_masks import reduction_of
from openvino_xai.tail.walk import between, forward, inside


@dataclass(frozen=True, eq=False)
class Frames:
    """A cut whose axis of the batch holds `count` frames of each clip, with `cells` rows and columns of masks in each.

    `start` has the masked cells of frames. `meeting` are the last values of frames, which are read where these meet, each with
    the axis that holds them; from there the tail leads to the `end`.
    """

    graph: Graph
    trace: Trace
    count: int
    cells: tuple[int, int]
    start: Mapping[Value, MaskedCells]
    meeting: Mapping[Value, int]
    end: Value

    @classmethod
    def of(cls, graph: Graph, trace: Trace, layer: Candidate, end: Value) -> Frames | None:
        """The frames at a layer, from which a tail leads to `end`; None where its batch holds images or whole videos.

        Raises PlanError where the parts of the layer hold frames in several ways, or of an open height and width.
        """
        counts = {part.place.frames if part.place.folds_frames else None for part in layer.cut}
        if counts == {None}:
            return None
        (count, *others) = counts
        if others or not isinstance(count, int):
            raise PlanError(f"layers '{layer.name}' hold the frames of a clip in several ways", node=layer.name)
        places = {part.value: _of_frames(part.place) for part in layer.cut}
        rows, columns = concrete(layer.cells, f"the cells of layer '{layer.name}' {text(layer.value.shape)}")
        start = {value: MaskedCells(value, None, place) for value, place in places.items()}
        meeting = _meeting(graph, places, end, count)
        if end in meeting and count > 1:
            raise PlanError(
                f"'{end.name}' {text(end.shape)} has scores of each of {count} frames, and clips have none: export the model "
                "with their mean, or what takes one frame, and explain each",
                node=end.name,
            )
        return cls(graph, trace, count, (rows // count, columns), start, meeting, end)

    def tails(self, tail: Callable[[Value, Size, BlockMask], Tail], clips: Size) -> dict[Value, Tail]:
        """By the values where frames meet, `tail` to each, with a mask for each cell of a frame, of the frames of all clips."""
        return {value: tail(value, clips * self.count, BlockMask(self.cells)) for value in self.meeting}

    def behind(self, value: Value, rows: Rows) -> tuple[Value, Rows]:
        """A value behind the frames of `value`, and its rows for all masked clips, of `rows` [B * T * H * W, ...] of frames."""
        pool = self._pool(value)
        if pool is None:
            return value, self.in_clips(value, rows)
        (node, clips), xp = pool, self.trace
        how, together = operation_of(node).reduces, rows.value
        if self.count > 1:
            blank = self._blank(value)
            if how in ("max", "min"):
                together = (xp.maximum if how == "max" else xp.minimum)(together, blank)
            else:
                together = xp.add(together, xp.multiply(blank, float(self.count - 1)))
        together = xp.multiply(together, 1 / self.count) if how == "mean" else together
        return node.outputs[0], Rows(xp.reshape(together, clips.resized(shape_of(node.outputs[0]), rows.count)), clips)

    def _pool(self, value: Value) -> tuple[Node, Span] | None:
        """The node that reduces the frames of clips, and where it has the clips; None where anything else reads the frames."""
        nodes = set(between(self.graph, self.start, self.end))
        axis = self.meeting[value]
        clips = Span(axis, 1, self.count)
        frames = Span(axis, clips.length(shape_of(value)))
        while True:
            readers = [(node, index) for node, index in self.graph.consumers.get(value, ()) if node in nodes]
            node, index = readers[0] if len(readers) == 1 else (None, 0)
            after = None if node is None else follow(node, index, clips)
            if node is None or after is None or len(node.outputs) != 1:
                return None
            if index == 0 and frames.pure and reduction_of(node, shape_of(value), (frames.axis,)) is not None:
                return (node, after) if after.pure else None
            there = follow(node, index, frames) if operation_of(node).lays_out else None  # in their order, whatever the axes
            if there is None:
                return None
            value, clips, frames = node.outputs[0], after, there

    def in_clips(self, value: Value, rows: Rows) -> Rows:
        """[B * N * T, ...]: the frames of all masked clips, of `rows` [B * T * H * W, ...] of masked frames at `value`."""
        xp, axis, shape = self.trace, rows.span.axis, shape_of(rows.value)
        ahead, behind, cells = shape[:axis], shape[axis + 1 :], self.cells[0] * self.cells[1]
        masks = self.count * cells
        clips = quotient(shape[axis], masks)
        assert clips is not None
        frame_of_mask, each_frame = np.arange(masks).reshape(-1, 1) // cells, np.arange(self.count).reshape(1, -1)
        # compared in the graph: the file has the frame of each mask, and not masks of all frames
        is_kept = xp.equal(*(_beside(frame, ahead, behind) for frame in (frame_of_mask, each_frame)))
        frames = xp.reshape(rows.value, (*ahead, clips, masks, 1, *behind))
        blank = xp.reshape(self._blank(value), (*ahead, 1, 1, 1, *behind))
        together = xp.where(is_kept, frames, blank)
        return Rows(xp.reshape(together, (*ahead, shape[axis] * self.count, *behind)), Span(axis, 1, self.count))

    def _blank(self, end: Value) -> Value:
        """[1, ...]: what the tail makes of a frame of which no cell is kept."""
        start = {}
        for value, features in self.start.items():
            span = Span(features.place.batch)
            shape = concrete(span.resized(shape_of(value), 1), f"'{value.name}'")
            start[value] = Rows(zeros(shape, value), span)
        return replayed(self.graph, self.trace, start, end)[end].value


def _beside(numbers: np.ndarray, ahead: Shape, behind: Shape) -> np.ndarray:
    """[..., 1, N, T, ...]: numbers [N, T] of masks and frames, of size 1 along what lies ahead of clips, and behind frames."""
    return numbers.reshape(*[1] * len(ahead), 1, *numbers.shape, *[1] * len(behind))


def _of_frames(place: Place) -> Place:
    """Where the batch of frames has its cells."""
    height, width = (place.sizes or ())[1:]
    return Place(place.batch, place.cells[1:], (height, width))


def _meeting(graph: Graph, places: Mapping[Value, Place], end: Value, count: int) -> dict[Value, int]:
    """The axis of frames in values that hold them, clip by clip, and are the end or read by a node that makes none of these."""
    nodes = between(graph, places, end)

    def followed(node: Node, operands: Mapping[int, int | None]) -> list[int | None]:
        """The axis of frames in the outputs, None where they meet."""
        axes = {None if axis is None else _frame_axis(node, index, axis, count) for index, axis in operands.items()}
        return [axes.pop() if len(axes) == 1 else None] * len(node.outputs)

    start: dict[Value, int | None] = {value: place.batch for value, place in places.items()}
    axes = {value: axis for value, axis in forward(nodes, start, followed).items() if axis is not None}
    computed = inside(nodes, places)
    read = {value for node in nodes for _, value in node.operands if value in computed and node.outputs[0] not in axes}
    return {value: axis for value, axis in axes.items() if value in read or value is end}


def _frame_axis(node: Node, index: int, axis: int, count: int) -> int | None:
    """The axis of a node's outputs where frames are, clip by clip, as along `axis` of an operand; None if it is no such."""
    frame, clip = follow(node, index, Span(axis)), follow(node, index, Span(axis, 1, count))
    return frame.axis if frame is not None and frame.pure and clip == Span(frame.axis, 1, count) else None
