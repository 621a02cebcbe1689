"""Only the classes that are asked for: the tail's last layers, computed for those alone.

Where every score is a function of its own column of the weights, as after a linear layer, the columns of other classes need
not be touched. A softmax needs them all, and stops this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from openvino_xai.graph.axes import UNARY, axes_of
from openvino_xai.graph.neutral import Node, Value
from openvino_xai.graph.sizes import Size, product
from openvino_xai.graph.vocabulary import Array, Trace, shape_of
from openvino_xai.surgery.values import Rows

EACH_ALONE = UNARY | {"add", "divide", "multiply", "subtract", "reshape", "squeeze", "unsqueeze"}


@dataclass(frozen=True)
class Selection:
    """`count` of all `classes`: `ids` [k], the same for all images, or [B, k] for each its own (`of_each_image`)."""

    ids: Array
    count: int
    classes: int
    of_each_image: bool = False


def class_axes(nodes: Sequence[Node], end: Value, start: Collection[Value], classes: int) -> dict[Value, int]:
    """The values of the tail that can be computed for some classes alone, and the axis that holds the classes."""
    inside = {value for node in nodes for value in node.outputs} | set(start)
    held = {end: 1}
    for node in reversed(nodes):
        axis = held.get(node.outputs[0])
        axes = axes_of(node)
        if axis is None or axes is None or len(node.outputs) > 1:
            continue
        sources = axes[0][axis]
        if not sources or any(not source.exact for source in sources):
            del held[node.outputs[0]]  # the classes are mixed here: the output is whole, and they are picked from it
            continue
        for source in sources:
            operand = node.operand(source.operand)
            if operand in inside and shape_of(operand)[source.axis] == classes:
                held[operand] = source.axis
    return _closed(nodes, held, start)


def _closed(nodes: Sequence[Node], held: dict[Value, int], start: Collection[Value]) -> dict[Value, int]:
    """Without the values that something else reads whole, and all that depends on them being so."""
    for value in start:
        held.pop(value, None)
    changed = True
    while changed:
        changed = False
        for node in nodes:
            whole = node.outputs[0] not in held
            for _, value in node.operands:
                if whole and value in held:
                    del held[value]
                    changed = True
    return held


def can_differ(nodes: Sequence[Node], held: Mapping[Value, int]) -> bool:
    """Whether classes can be chosen for each image: one linear layer, and then only what treats each score alone."""
    chosen = [node for node in nodes if node.outputs[0] in held]
    linear = [node for node in chosen if not any(value in held for _, value in node.operands)]
    if len(linear) != 1 or linear[0].kind != "matmul" or linear[0].attributes.get("transpose_a"):
        return False
    return all(node.kind in EACH_ALONE for node in chosen if node is not linear[0])


def picked(
    trace: Trace, node: Node, held: Mapping[Value, int], selection: Selection, rows: Rows, sizes: tuple[Size, Size]
) -> dict[int, Value]:
    """The operands of `node` that hold something of every class, cut down to the classes asked for; `sizes` are (B, N)."""
    axis = held[node.outputs[0]]
    axes = axes_of(node)
    assert axes is not None
    found = {}
    for source in axes[0][axis]:
        operand = node.operand(source.operand)
        if operand in held or shape_of(operand)[source.axis] == 1:
            continue
        if not selection.of_each_image:
            found[source.operand] = trace.take(operand, selection.ids, axis=source.axis)
        else:
            found[source.operand] = _by_row(trace, operand, node, axis, selection, rows, sizes)
    return found


def _by_row(
    trace: Trace, operand: Value, node: Node, axis: int, selection: Selection, rows: Rows, sizes: tuple[Size, Size]
) -> Value:
    """[B * N, k, 1 ...]: a constant of each class, for the classes of each row's image."""
    each = trace.take(trace.reshape(operand, (product(shape_of(operand)),)), selection.ids, axis=0)  # [B, k]
    batch, masks = sizes
    spread = trace.broadcast_to(trace.reshape(each, (batch, 1, selection.count)), (batch, masks, selection.count))
    trailing = [1] * (len(shape_of(node.outputs[0])) - axis - 1)
    return trace.reshape(spread, (rows.count, selection.count, *trailing))


def linear_by_image(trace: Trace, node: Node, rows: Rows, selection: Selection, sizes: tuple[Size, Size]) -> Value:
    """[B * N, k]: a linear layer with, for each image, the columns of its own classes."""
    attributes, weights = node.attributes, node.operand(1)
    (batch, masks), depth = sizes, shape_of(rows.value)[-1]
    columns = 0 if attributes.get("transpose_b") else 1
    each = trace.take(weights, selection.ids, axis=columns)  # [B, k, C] or [C, B, k]
    order = (0, 2, 1) if columns == 0 else (1, 0, 2)
    y = trace.matmul(trace.reshape(rows.value, (batch, masks, depth)), trace.permute_dims(each, order))
    y = y if attributes.get("alpha", 1.0) == 1 else trace.multiply(y, attributes["alpha"])
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        addend = node.operand(2)
        if product(shape_of(addend)) != 1:
            flat = trace.take(trace.reshape(addend, (product(shape_of(addend)),)), selection.ids, axis=0)
            addend = trace.reshape(flat, (batch, 1, selection.count))
        y = trace.add(y, addend if attributes["beta"] == 1 else trace.multiply(addend, attributes["beta"]))
    return trace.reshape(y, (rows.count, selection.count))
