"""The heads that a detector's output is made of: the way back, by what moves, squashes, joins, multiplies and thins out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.locate.output_forms import squashes
from openvino_xai.operations.table import data_operands, operation_of

# the dialects' own names
CLOSED = ("RegionYolo",)  # they squash scores and boxes of anchors, in one
SUPPRESSIONS = ("NonMaxSuppression", "MatrixNms", "MulticlassNms", "DetectionOutput")  # their second operand is the scores
REGIONS = ("RoiAlign", "ROIAlign", "MaxRoiPool", "ROIPooling", "PSROIPooling", "ExperimentalDetectronROIFeatureExtractor")


@dataclass(frozen=True, eq=False)
class Leaf:
    """A head on the way back from an output, the node that squashes it, and the value that all of its level is joined in.

    Where scores are multiplied, `product` is the node, and `side` says which of its operands the head is made into. `rooted`
    scores have a square root drawn behind that.
    """

    head: Value
    squash: Node | None
    read: Value
    product: Node | None = None
    side: int = 0
    rooted: bool = False

    @property
    def end(self) -> Value:
        """Where its scores begin to be moved: behind what squashes them."""
        return self.head if self.squash is None else self.squash.outputs[0]

    @property
    def source(self) -> Value:
        """Where its scores begin to be moved to `read`, and nothing else: behind what squashes them, or in the product."""
        return self.end if self.product is None else self.product.operand(self.side)


@dataclass(frozen=True)
class _Step:
    """A value on the way back, and what lies behind it."""

    value: Value
    read: Value
    squash: Node | None = None
    product: Node | None = None
    side: int = 0
    rooted: bool = False

    def to(self, value: Value) -> _Step:
        return replace(self, value=value)


def followed_leaves(graph: Graph, output: Value) -> list[Leaf]:
    """The heads that an output is made of: those that are squashed, or all where none is; of products, both sides."""
    leaves = [_with_batch(leaf, output) for leaf in _leaves(graph, output)]
    leaves = [leaf for leaf in leaves if leaf.squash is not None] or leaves
    sides = {(leaf.product, leaf.side) for leaf in leaves}
    return [leaf for leaf in leaves if leaf.product is None or (leaf.product, 1 - leaf.side) in sides]


def _with_batch(leaf: Leaf, output: Value) -> Leaf:
    """A leaf whose head has the output's batch first: where one layer serves several decoders, what is taken of it has."""
    before, after = leaf.head.shape or (), output.shape or ()
    is_stacked = len(after) == 3 and len(before) == 4 and before[-2:] == after[-2:]
    return replace(leaf, head=output) if is_stacked and leaf.squash is None and leaf.read is output else leaf


def suppressed_scores(graph: Graph) -> Value | None:
    """The scores that the model's only suppression of boxes looks at."""
    nodes = [node for node in graph.nodes if node.op in SUPPRESSIONS]
    return nodes[0].operand(1) if len(nodes) == 1 else None


def stated_background(graph: Graph, classes: int) -> tuple[int | None] | None:
    """The class that stands for none, as the only suppression of boxes says; one of None where it says that there is none."""
    nodes = [node for node in graph.nodes if node.op in SUPPRESSIONS]
    if len(nodes) != 1 or "background" not in nodes[0].attributes:
        return None
    index = nodes[0].attributes["background"]
    return (index if 0 <= index < classes else None,)


def closing(graph: Graph) -> Node | None:
    """The operation that squashes scores and boxes in one, if one does."""
    return next((node for node in graph.nodes if node.op in CLOSED), None)


def proposing(graph: Graph) -> Node | None:
    """The operation that cuts features out for regions that the model proposes, if one does."""
    return next((node for node in graph.nodes if node.op in REGIONS), None)


def _leaves(graph: Graph, output: Value) -> list[Leaf]:
    carrying = carrying_data(graph)
    leaves: dict[_Step, Leaf] = {}
    visited = set()
    pending = [_Step(output, output)]
    while pending:
        step = pending.pop()
        node = step.value.producer
        if step in visited or node is None or step.value not in carrying:
            continue
        visited.add(step)
        if _is_head(carrying, node, scaled=step.squash is not None):
            leaves[step] = Leaf(step.value, step.squash, step.read, step.product, step.side, step.rooted)
        else:
            pending += _steps_back(carrying, node, step)
    return list(leaves.values())


def _steps_back(carrying: set[Value], node: Node, step: _Step) -> list[_Step]:
    """What a node makes its output of, where it is followed."""
    operation = operation_of(node)
    first = node.operand(0)
    keeps_order = step.squash is None or operation_of(step.squash).pointwise
    if keeps_order and thins(carrying, node):
        return [_Step(first, first)] if step.product is None and not step.rooted else []
    if (masked := _masked(carrying, node)) is not None:  # as the peaks of a map of scores
        return [_Step(masked, masked)] if step.squash is None and step.product is None and not step.rooted else []
    if step.squash is None:
        if squashes(node):
            return [replace(step, value=first, squash=node)]
        if node.kind == "sqrt" and step.product is None:
            return [replace(step, value=first, rooted=True)]
        if operation_of(node).multiplies:
            inside = [(index, value) for index, value in node.operands if value in carrying]
            if len(inside) == 1:
                return [step.to(inside[0][1])]
            if step.product is None:
                return [replace(step, value=value, product=node, side=index) for index, value in inside]
            return []
    if operation.moves is not None or operation.joins or operation.splits:
        return [step.to(operand) for index, operand in node.operands if not operation.tells(index)]
    return []


def carrying_data(graph: Graph) -> set[Value]:
    """The values that hold data of an input: a constant that is laid out as a shape of data says holds none."""
    reached = set(graph.inputs)
    for node in graph.nodes:
        if not reached.isdisjoint(data_operands(node)):
            reached.update(node.outputs)
    return reached


def _is_head(carrying: set[Value], node: Node, *, scaled: bool) -> bool:
    """Whether a node is a convolution or a linear layer, or adds a constant or another one to what one makes.

    Or, if `scaled`, whether it scales that.
    """
    operation = operation_of(node)
    if operation.weights is not None:
        return node.operand(operation.weights) not in carrying
    inside = [(index, operand) for index, operand in node.operands if operand in carrying]
    adds = all(i in operation.addends for i in (0, 1))
    if not operation.pointwise or len(node.inputs) != 2 or not inside:
        return False
    if len(inside) == 2:  # scores of what is there, and of how well it is boxed
        makers = [value.producer for _, value in inside]
        return adds and all(maker is not None and _is_head(carrying, maker, scaled=False) for maker in makers)
    index, producer = inside[0][0], inside[0][1].producer
    if producer is None or not (adds or (scaled and frozenset({index}) in operation.factors)):
        return False
    return operation_of(producer).weights is not None or (scaled and _is_head(carrying, producer, scaled=True))


def thins(carrying: set[Value], node: Node) -> bool:
    """Whether a node picks rows, or classes of rows, by what they hold."""
    operation = operation_of(node)
    by_content = any(index in operation.selectors and value in carrying for index, value in node.operands)
    return node.kind == "top_k" or operation.reduces == "max" or (operation.moves == "some" and by_content)


def _masked(carrying: set[Value], node: Node) -> Value | None:
    """The only operand of a node that is not left out, or set to a constant, by a mask made of other data."""
    if not operation_of(node).pointwise:
        return None
    data = [value for _, value in node.operands if value in carrying]
    masks = [value for value in data if _is_mask(value)]
    others = [value for value in data if value not in masks]
    return others[0] if masks and len(others) == 1 and others[0].dtype == node.outputs[0].dtype else None


def _is_mask(value: Value) -> bool:
    """Whether a value says yes or no, as numbers or not."""
    node = value.producer
    if value.dtype == np.bool_ or node is None:
        return value.dtype == np.bool_
    operands = [operand for _, operand in node.operands]
    return operation_of(node).pointwise and len(operands) == 1 and operands[0].dtype == np.bool_


def laid_out(read: Value, batch: int) -> Value:
    """What scores are before they are taken apart or flattened to be picked from: a value of images, rows and classes."""
    while (node := read.producer) is not None and operation_of(node).moves is not None:
        shape = read.shape or ()
        if len(shape) > 2 and (shape[0] == batch or not isinstance(shape[0], int)):
            break
        read = node.operand(0)
    return read


def begun(laid: Value) -> Value:
    """What a value is moved from, as far back as that is a single value of images, rows and classes."""
    full = laid
    while (node := full.producer) is not None and operation_of(node).moves is not None and len(node.operand(0).shape or ()) > 2:
        full = node.operand(0)
    return full
