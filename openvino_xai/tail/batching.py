"""The batching rule: a node of the tail for B * N rows, where the model computes it for B images.

A node can be repeated if it treats the items of its batch alike. The rows then stand where the images stood, and the weights
stay as they are. A node that mixes items is refused by name. Row b * N + n reads what another input tells of image b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, quotient
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, fitting, follow, follow_each
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.resizing import resizes
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.tail.masked import Rows
from openvino_xai.tail.walk import refused

REPEATED = "repeated over rows"


def repeat_over_rows(
    graph: Graph,
    trace: Trace,
    node: Node,
    operands: Mapping[int, Rows],
    *,
    shape: Callable[[Value], Shape] = shape_of,
    replaced: Mapping[int, Value] = MappingProxyType({}),
) -> list[Rows]:
    """The outputs of `node` as rows, for the `operands` that are rows.

    `shape` gives the shape of an output before its images become rows. `replaced` has what to read instead of other operands.
    Raises PlanError, which names the node, if its shapes are not known, if it mixes the items of a batch, or if another operand
    depends on the input.
    """
    axes = axes_of(node)
    if axes is None:
        why = "its shapes are not known" if node.kind else "the operation is not one that is known to treat rows alike"
        raise refused(node, REPEATED, why)
    count = next(iter(operands.values())).count
    operands = {index: _refitted(trace, node, index, rows) for index, rows in operands.items()}
    spans = _row_spans(node, operands)
    shapes = [span.resized(shape(output), count) for span, output in zip(spans, node.outputs, strict=True)]
    if operation_of(node).takes_shape:  # the shape that the node reads has as many items as there are images
        return [Rows(trace.shaped(node.kind, operands[0].value, shapes[0]), spans[0])]
    inputs: list[Value | None] = []
    for index, value in enumerate(node.inputs):
        if index in operands or value is None:
            inputs.append(operands[index].value if index in operands else None)
        elif resizes(node) and index == node.attributes.get("sizes"):
            # these sizes may have the batch among them, and there are more rows than images
            inputs.append(_sizes(trace, [shapes[0][axis] for axis in node.attributes["along"]]))
        elif index in replaced:
            inputs.append(replaced[index])
        else:
            along = [source.axis for source in axes[0][spans[0].axis] if source.operand == index]
            beside = node.operand(index) if not along else _beside(graph, trace, node, index, along[0], operands)
            inputs.append(beside)
    return [Rows(value, span) for value, span in zip(trace.repeat(node, inputs, shapes), spans, strict=True)]


def _sizes(trace: Trace, shape: Sequence[Size]) -> Value:
    """[rank], i64: a shape as a value, for sizes that may be known only when the model runs."""
    return trace.concat([np.array([size]) if isinstance(size, int) else trace.size(size) for size in shape], axis=0)


def _beside(graph: Graph, trace: Trace, node: Node, index: int, axis: int, operands: Mapping[int, Rows]) -> Value:
    """An operand that does not depend on the cut and has its batch along `axis`, in a shape that fits beside rows.

    It does not depend on the image, which the cut separates from the scores. Another input may tell something of each image:
    then all rows of an image read what is told of it. Raises PlanError.
    """
    value, rows = node.operand(index), next(iter(operands.values()))
    shape = shape_of(value)
    if shape[axis] != 1 and (single_image := of_one_image(graph, trace, value, axis)) is not None:
        value, shape = single_image, shape_of(single_image)
    if shape[axis] == 1:
        is_stretched = not operation_of(node).equal_batches
        return value if is_stretched else trace.broadcast_to(value, (*shape[:axis], rows.count, *shape[axis + 1 :]))
    images = rows.span.length(shape_of(node.operand(next(iter(operands)))))
    copies = quotient(rows.count, images)
    # two inputs with an open batch have names of their own for it, and as many images where the model runs at all
    alike = shape[axis] == images or (isinstance(shape[axis], Dim) and isinstance(images, Dim))
    if not rows.span.pure or copies is None or not alike:
        raise refused(node, REPEATED, f"its operand '{value.name}' differs from image to image")
    ahead, behind = shape[: axis + 1], shape[axis + 1 :]
    spread = trace.broadcast_to(trace.reshape(value, (*ahead, 1, *behind)), (*ahead, copies, *behind))
    return trace.reshape(spread, (*shape[:axis], rows.count, *behind))


def of_one_image(graph: Graph, trace: Trace, value: Value, axis: int) -> Value | None:
    """The value with size 1 along its batch `axis`; None if it is not known to be the same for all images.

    Exporters repeat a class token or an attention mask for every image. This finds what they repeat: through broadcasts, and
    through pointwise operations on such values.
    """
    shape, node = shape_of(value), value.producer
    if shape[axis] == 1 and is_fixed(graph, value):
        return value
    if node is None or len(node.outputs) != 1:
        return None
    sizes = (*shape[:axis], 1, *shape[axis + 1 :])
    if node.kind == "broadcast":
        before = node.operand(0)
        batch_axis = axis - len(shape) + len(shape_of(before))
        # a negative axis is one that broadcasting adds
        if is_fixed(graph, before) and (batch_axis < 0 or shape_of(before)[batch_axis] == 1):
            return trace.broadcast_to(before, sizes)
        return None
    if not operation_of(node).pointwise:
        return None
    operands: list[Value | None] = []
    for operand in node.inputs:
        batch_axis = axis - len(shape) + (operand.rank or 0) if operand is not None else -1
        replacement = operand
        if operand is not None and batch_axis >= 0 and shape_of(operand)[batch_axis] != 1:
            replacement = of_one_image(graph, trace, operand, batch_axis)
        if operand is not None and (replacement is None or (replacement is operand and not is_fixed(graph, operand))):
            return None
        operands.append(replacement)
    return trace.repeat(node, operands, [sizes])[0]


def _refitted(trace: Trace, node: Node, index: int, rows: Rows) -> Rows:
    """The same rows, along another axis where the node does not treat those of theirs alike, and the model has one image.

    A single image fits into several axes, which hold the same in the same order: a reshape does not tell which one is meant.
    """
    operand = node.operand(index)
    if not rows.span.fits(shape_of(operand)) or rows.span.length(shape_of(operand)) != 1 or follow(node, index, rows.span):
        return rows
    of_one = rows.span.resized(shape_of(rows.value), 1)
    for span in sorted(fitting(of_one, of_one, rows.span), key=lambda span: not span.pure):
        if follow(node, index, span) is not None:
            return Rows(trace.reshape(rows.value, span.resized(of_one, rows.count)), span)
    return rows


def _row_spans(node: Node, operands: Mapping[int, Rows]) -> list[Span]:
    """Where each output holds the rows. Raises PlanError if the node mixes them, or has those of operands in two places."""
    first, *others = [follow_each(node, index, rows.span) for index, rows in operands.items()]
    spans = [span for span in first if span is not None]
    if len(spans) != len(first) or any(other != first for other in others):
        raise refused(node, REPEATED, "it mixes the items of a batch")
    return spans
