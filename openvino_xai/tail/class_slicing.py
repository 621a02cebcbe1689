"""Class slicing: the last layers of the tail, computed for the explained classes alone.

After a linear layer y = x W + b, the logit of class k needs column k of W, item k of b, and nothing else. So the axis of
classes is followed back from the end of the tail, through every node that treats it index by index, to the layer whose weights
hold it. That layer reads the columns of the explained classes only. A softmax mixes the classes, and stops this.

If each image explains classes of its own, a linear layer multiplies the rows of an image by the columns of its classes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Size, product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.table import axes_of, operation_of
from openvino_xai.tail.masked import Rows
from openvino_xai.tail.target import Columns
from openvino_xai.tail.walk import inside, reverse


def class_axes(nodes: Sequence[Node], end: Value, start: Collection[Value], classes: int) -> dict[Value, int]:
    """For each value of the tail that can be computed for some classes alone, the axis that holds the classes.

    The end has `classes` classes on axis 1. No start value is among them: the model computes all of it. Nor is a value that
    some node reads for all classes.
    """
    computed, mixed = inside(nodes, start), set(start)

    def axes_of_operands(node: Node, outputs: Mapping[int, int | None]) -> Iterator[tuple[int, int | None]]:
        axis, axes = None if node.outputs[0] in mixed else outputs.get(0), axes_of(node)
        if axis is not None and (axes is None or len(node.outputs) > 1):
            return
        sources = axes[0][axis] if axes is not None and axis is not None else []
        if not sources or any(not source.exact for source in sources):
            mixed.add(node.outputs[0])  # the node mixes classes, so it computes all of them, and reads all
            sources = []
        # an operand of another size broadcasts over the classes, and has none of its own
        operand_axis = {s.operand: s.axis for s in sources if shape_of(node.operand(s.operand))[s.axis] == classes}
        yield from ((index, operand_axis.get(index)) for index, value in node.operands if value in computed)

    class_axis: dict[Value, int | None] = {end: 1}  # None: some node reads all classes
    axis_of = reverse(nodes, class_axis, axes_of_operands, lambda first, second: None if first is None else second)
    return {value: axis for value, axis in axis_of.items() if axis is not None and value not in mixed}


def can_differ(nodes: Sequence[Node], class_axis: Mapping[Value, int], *, by_channel: bool = False) -> bool:
    """Whether each image can have classes of its own: one linear layer, and behind it only what treats each score alone.

    For masks `by_channel`, a 1x1 convolution and pools of a map of each class are among these, too.
    """
    chosen = [node for node in nodes if node.outputs[0] in class_axis]
    layers = [node for node in chosen if not any(value in class_axis for _, value in node.operands)]
    if len(layers) != 1 or not (
        is_linear_layer(layers[0]) if by_channel else layers[0].kind == "matmul" and is_linear_layer(layers[0])
    ):
        return False
    computed = inside(nodes, ())
    return all(
        _treats_each_alone(node, pools=by_channel) and not _reads_all(node, computed, class_axis)
        for node in chosen
        if node is not layers[0]
    )


def _reads_all(node: Node, computed: Collection[Value], class_axis: Mapping[Value, int]) -> bool:
    """Whether a node takes the explained classes from a value of the tail that has all of them, as behind a softmax."""
    axis = class_axis[node.outputs[0]]
    others = [index for index, value in node.operands if value in computed and value not in class_axis]
    return any(class_axis_of(node, index, axis) is not None for index in others)


def _treats_each_alone(node: Node, *, pools: bool) -> bool:
    """Whether a node treats each class alone: each element, a change of layout, or (`pools`) what pools each class."""
    operation = operation_of(node)
    return operation.pointwise or operation.moves == "all" or (pools and operation.reduces is not None)


def is_linear_layer(node: Node) -> bool:
    """Whether a node multiplies channels, and nothing else, by weights: a linear layer, or a 1x1 convolution."""
    if node.kind == "matmul":
        return not node.attributes.get("transpose_a")
    return node.kind == "conv" and node.attributes["groups"] == 1 and is_1x1(node)


def class_axis_of(node: Node, index: int, axis: int) -> int | None:
    """The axis of operand `index` that becomes `axis` of the output, with something of every class; None if it has none."""
    axes = axes_of(node)
    assert axes is not None
    sources = [source.axis for source in axes[0][axis] if source.operand == index]
    return sources[0] if sources and shape_of(node.operand(index))[sources[0]] != 1 else None


def sliced_operands(
    trace: Trace,
    node: Node,
    class_axis: Mapping[Value, int],
    columns: Columns,
    rows: Mapping[int, Rows],
    sizes: tuple[Size, Size],
) -> dict[int, Value]:
    """The operands of `node` beside `rows` that hold something of every class, cut down to the explained classes.

    `sizes` are (B, N).
    """
    axis = class_axis[node.outputs[0]]
    axes = axes_of(node)
    assert axes is not None
    first = next(iter(rows.values()))
    slices = {}
    for source in axes[0][axis]:
        operand = node.operand(source.operand)
        if source.operand in rows or shape_of(operand)[source.axis] == 1:
            continue
        if not columns.of_each_image:
            slices[source.operand] = trace.take(operand, columns.ids, axis=source.axis)
        else:
            slices[source.operand] = _by_row(trace, operand, node, axis, columns, first, sizes)
    return slices


def _by_row(
    trace: Trace, operand: Value, node: Node, axis: int, columns: Columns, rows: Rows, sizes: tuple[Size, Size]
) -> Value:
    """[B * N, T, 1 ...]: a constant of each class, for the T classes of each row's image."""
    each = trace.take(trace.reshape(operand, (product(shape_of(operand)),)), columns.ids, axis=0)  # [B, T]
    batch, masks = sizes
    spread = trace.broadcast_to(trace.reshape(each, (batch, 1, columns.count)), (batch, masks, columns.count))
    trailing = [1] * (len(shape_of(node.outputs[0])) - axis - 1)
    return trace.reshape(spread, (rows.count, columns.count, *trailing))


def linear_layer_by_image(trace: Trace, node: Node, rows: Rows, columns: Columns, sizes: tuple[Size, Size]) -> Value:
    """[B * N, T, ...]: a linear layer, or a 1x1 convolution, with, for each image, the weights of its own classes."""
    (batch, masks), weights = sizes, _weights(trace, node, columns)  # [B, T, C]
    _, channels, *others = shape_of(rows.value)
    if node.kind == "matmul":
        x = trace.reshape(rows.value, (batch, masks, channels))
        y = trace.matmul(x, trace.permute_dims(weights, (0, 2, 1)))
    else:
        x = trace.reshape(rows.value, (batch, masks, channels, product(others)))
        y = trace.matmul(trace.reshape(weights, (batch, 1, columns.count, channels)), x)
    return _with_addend(trace, node, y, columns, sizes, others)


def linear_layer_of_channels(
    trace: Trace, node: Node, value: Value, channel_masks: Value, columns: Columns, sizes: tuple[Size, Size]
) -> Value:
    """[B * M, T, ...]: a linear layer, or a 1x1 convolution, on copies of `value` [B, C, ...] masked by `channel_masks`.

    `channel_masks` are [B, M, C]. The sum over c of mask_mc w_kc v_c is a product of the masks with w_kc v_c, so no copy is
    ever made.
    """
    batch, _ = sizes
    _, channels, *others = shape_of(value)
    # T * C products an image, where masked copies of the features would be M * C numbers an image
    weights = _weights(trace, node, columns)
    each = trace.multiply(
        trace.reshape(weights, (*shape_of(weights), 1)), trace.reshape(value, (batch, 1, channels, product(others)))
    )  # [B, T, C, ...]
    laid = trace.reshape(trace.permute_dims(each, (0, 2, 1, 3)), (batch, channels, columns.count * product(others)))
    y = trace.matmul(trace.astype(channel_masks, value.dtype), laid)
    return _with_addend(trace, node, y, columns, sizes, others)


def _weights(trace: Trace, node: Node, columns: Columns) -> Value:
    """[B, T, C], or [1, T, C] where all images have the same classes."""
    weights = node.operand(1)
    if node.kind == "conv":
        weights = trace.reshape(weights, shape_of(weights)[:2])
    elif not node.attributes.get("transpose_b"):
        weights = trace.permute_dims(weights, (1, 0))
    each = trace.take(weights, columns.ids, axis=0)
    return each if columns.of_each_image else trace.reshape(each, (1, *shape_of(each)))


def _with_addend(
    trace: Trace, node: Node, y: Value, columns: Columns, sizes: tuple[Size, Size], others: Sequence[Size]
) -> Value:
    """[B * N, T, ...]: a product [B, N, T ...], times alpha, with what the node adds for each class."""
    (batch, masks), a = sizes, node.attributes
    y = trace.reshape(y, (batch, masks, columns.count, product(others)))
    y = y if a.get("alpha", 1.0) == 1 else trace.multiply(y, a["alpha"])
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        addend = node.operand(2)
        if product(shape_of(addend)) != 1:  # a single number is the same for all classes
            flat = trace.take(trace.reshape(addend, (product(shape_of(addend)),)), columns.ids, axis=0)
            addend = trace.reshape(flat, (batch if columns.of_each_image else 1, 1, columns.count, 1))
        y = trace.add(y, addend if a.get("beta", 1.0) == 1 else trace.multiply(addend, a["beta"]))
    return trace.reshape(y, (batch * masks, columns.count, *others))
