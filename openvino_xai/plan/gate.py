"""Rows that are asked for: a boolean input tells which images are explained, and the others cost nothing.

What a plan reads of the model is gathered for the images asked for, the plan runs on these alone, and its outputs are put back,
with zeros elsewhere, or -1 for classes and rows. The model's own outputs are computed for all images as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from openvino_xai.contract import GATE, nothing
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.resized import resized
from openvino_xai.tail.walk import between, forward

ASKED_FOR = "ovxai_asked"  # the number of images that are asked for, known when the model runs


def gated(plan: Plan, batch: Size, *, one_at_least: bool = False) -> Plan:
    """The plan for the images that a new input `explain` [B], boolean, asks for. Raises PlanError where the batch is fixed.

    With `one_at_least` the first image stands in where none is asked for, and its maps are put to 0 behind the hook: there are
    operations that a runtime cannot carry out on nothing.
    """
    if not isinstance(batch, Dim) or len(batch.names) != 1 or batch.factor != 1:
        raise PlanError(
            f"the model takes {batch} images at a time: images can be left out where the batch is open; leave the gate out",
            options=("gate",),
        )
    if any(value.name == GATE or GATE in value.aliases for value in plan.graph.inputs):
        raise PlanError(f"the model has an input '{GATE}' already", node=GATE)
    (name,) = batch.names
    count = Dim(1, (ASKED_FOR,))
    trace = Trace()
    gate = Value(GATE, (batch,), np.dtype(np.bool_))
    counted = _one_at_least(trace, gate, batch) if one_at_least else gate
    places = trace.record("non_zero", [counted], (1, count), np.int64)
    rows = trace.reshape(places, (count,))
    gathered = _gathered(plan, trace, rows, batch)
    before = list(trace.nodes)
    nodes, values = resized(plan.nodes, lambda size: _size_of_asked(size, name), gathered)
    place = trace.reshape(rows, (count, 1))
    outputs = {key: _put_back(trace, values[value], place, batch, nothing(key)) for key, value in plan.outputs.items()}
    if one_at_least:
        outputs = {key: _only(trace, gate, value, nothing(key)) for key, value in outputs.items()}
    behind = trace.nodes[len(before) :]
    return replace(
        plan,
        nodes=(*before, *nodes, *behind),
        outputs=outputs,
        inputs={**plan.inputs, GATE: gate},
        origins={ASKED_FOR: (places, 1), **{n: (values[value], axis) for n, (value, axis) in plan.origins.items()}},
    )


def _one_at_least(trace: Trace, gate: Value, batch: Dim) -> Value:
    """[B], f32: 1 where the gate asks for an image, or for the first alone where it asks for none, else 0."""
    images = trace.broadcast_to(np.ones(1, bool), (batch,))
    places = trace.reshape(trace.record("non_zero", [images], (1, batch), np.int64), (batch,))
    first = trace.astype(trace.equal(places, np.zeros(1, np.int64)), np.float32)
    gates = trace.astype(gate, np.float32)
    none = trace.subtract(np.ones(1, np.float32), trace.max(gates, axis=0, keepdims=True))
    return trace.maximum(gates, trace.multiply(first, none))


def _only(trace: Trace, gate: Value, value: Value, empty: int) -> Value:
    """The output, `empty` for the images that are not asked for."""
    shape = shape_of(value)
    gates = trace.reshape(gate, (shape[0], *[1] * (len(shape) - 1)))
    return trace.where(gates, value, np.full((1,) * len(shape), empty, value.dtype))


def _gathered(plan: Plan, trace: Trace, rows: Value, batch: Dim) -> dict[Value, Value]:
    """What the plan reads of the model and its inputs, by image: its rows of the images that are asked for, by the values."""
    computed = {value for node in plan.nodes for value in node.outputs}
    new = set(plan.inputs.values())
    gathered: dict[Value, Value] = {}
    for node in plan.nodes:
        for _, value in node.operands:
            if value in computed or value in gathered:
                continue
            if value not in new and (value.native is None or plan.graph.is_constant(value)):
                continue
            counted = [size for size in shape_of(value) if isinstance(size, Dim) and batch.names[0] in size.names]
            if not counted:
                _refuse_other_batch(plan.graph, value)
                continue  # it is the same for all images
            axes = [axis for axis, size in enumerate(shape_of(value)) if size == batch]
            if len(axes) == len(counted) == 1:
                gathered[value] = trace.take(value, rows, axis=axes[0])
                continue
            span = _images(plan.graph, value, batch)
            if span is None or len(counted) != 1:
                raise PlanError(
                    f"'{value.name}' holds the images in a way that none can be left out of: leave the gate out",
                    node=value.name,
                    options=("gate",),
                )
            gathered[value] = _taken(trace, value, rows, span, batch)
    return gathered


def _images(graph: Graph, value: Value, batch: Dim) -> Span | None:
    """Where a value holds the images of the inputs, as the frames of clips lie: image by image; None if unknown."""

    def followed(node: Node, operands: Mapping[int, Span | None]) -> list[Span | None]:
        spans = {None if span is None else follow(node, index, span) for index, span in operands.items()}
        return [spans.pop() if len(spans) == 1 else None] * len(node.outputs)

    inputs: dict[Value, Span | None] = {item: Span(0) for item in graph.inputs if (item.shape or ())[:1] == (batch,)}
    span = forward(graph.nodes, inputs, followed).get(value)
    return span if span is not None and span.outer == 1 and span.length(shape_of(value)) == batch else None


def _taken(trace: Trace, value: Value, rows: Value, span: Span, batch: Dim) -> Value:
    """The rows of a value whose axis holds several items of each image."""
    shape, axis = shape_of(value), span.axis
    apart = trace.reshape(value, (*shape[:axis], batch, span.inner, *shape[axis + 1 :]))
    taken = trace.take(apart, rows, axis=axis)
    return trace.reshape(taken, span.resized(shape, shape_of(rows)[0]))


def _refuse_other_batch(graph: Graph, value: Value) -> None:
    """Raise PlanError for what another input tells of images, where the model does not say that its batch is theirs."""
    is_open = any(isinstance(size, Dim) for size in shape_of(value))
    if is_open and (value in graph.inputs or between(graph, graph.inputs, value)):
        raise PlanError(
            f"'{value.name}' {text(value.shape)} comes of an input whose open size the model does not tie to the batch of the "
            "images: leave the gate out",
            node=value.name,
            options=("gate",),
        )


def _size_of_asked(size: Size, batch: str) -> Size:
    if not isinstance(size, Dim) or batch not in size.names:
        return size
    return Dim(size.factor, tuple(sorted(ASKED_FOR if name == batch else name for name in size.names)))


def _put_back(trace: Trace, value: Value, place: Value, batch: Dim, empty: int) -> Value:
    """The output for all images: its rows where they were asked for, what is `empty` elsewhere."""
    assert value.dtype is not None
    shape = (batch, *shape_of(value)[1:])
    others = trace.broadcast_to(np.full((1,) * len(shape), empty, value.dtype), shape)
    return trace.record("scatter_rows", [others, place, value], shape, value.dtype)
