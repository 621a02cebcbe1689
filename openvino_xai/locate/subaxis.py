"""Sub-axes: where the items of an axis are, once reshapes have merged that axis with its neighbours.

A reshape of [B, H, W, C] to [B, H * W, C] keeps the H rows of an image on axis 1, with W elements inside each. A `Span` says
so, and is followed from node to node, forward and back.
"""

from __future__ import annotations

from dataclasses import dataclass

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import Shape, Size, at_one, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.axes import Axes, Source
from openvino_xai.operations.table import axes_of, operation_of


@dataclass(frozen=True)
class Span:
    """Item i of n is at [:, i, :] of `axis`, if that axis is seen as (outer, n, inner)."""

    axis: int
    outer: Size = 1
    inner: Size = 1

    @property
    def pure(self) -> bool:
        """Whether the items have the axis for themselves."""
        return self.outer == 1 and self.inner == 1

    def length(self, shape: Shape) -> Size:
        """How many items there are, for a shape that `fits`."""
        items = quotient(shape[self.axis], self.outer * self.inner)
        assert items is not None
        return items

    def fits(self, shape: Shape) -> bool:
        """Whether the axis is known to hold whole items: sizes that only a run knows may hide it."""
        return quotient(shape[self.axis], self.outer * self.inner) is not None

    def resized(self, shape: Shape, items: Size) -> Shape:
        """The shape with another number of items."""
        return (*shape[: self.axis], self.outer * self.inner * items, *shape[self.axis + 1 :])


FIRST = Span(0)


def follow(node: Node, index: int, span: Span) -> Span | None:
    """Where the items of operand `index` are in the outputs of a node; None unless the node treats each of them alike, and all
    outputs have them in one place.
    """
    spans = set(follow_each(node, index, span))
    return spans.pop() if len(spans) == 1 else None


def follow_each(node: Node, index: int, span: Span) -> list[Span | None]:
    """Where the items of operand `index` are in each output of a node; None unless the node treats each of them alike."""
    axes = axes_of(node)
    if axes is None:
        return [None] * len(node.outputs)
    # a reshape merges and splits axes, so its items are found by how many elements lie ahead of them
    if operation_of(node).lays_out:  # the other operand of a reshape is a shape
        return [laid_out(shape_of(node.operand(0)), shape_of(node.outputs[0]), span) if index == 0 else None]
    return [_target(of_output, index, span) for of_output in axes]


def _target(axes: Axes, index: int, span: Span) -> Span | None:
    """Where the items of operand `index` are in an output with these axes."""
    targets = [target for target, sources in enumerate(axes) if Source(index, span.axis) in sources]
    return Span(targets[0], span.outer, span.inner) if len(targets) == 1 else None


def trace_back(node: Node, index: int, span: Span) -> Span | None:
    """Where the items of the outputs are in operand `index` of a node; None unless the node treats each of them alike."""
    axes = axes_of(node)
    if axes is None:
        return None
    if operation_of(node).lays_out:
        return laid_out(shape_of(node.outputs[0]), shape_of(node.operand(0)), span) if index == 0 else None
    # where a source is not exact, as under a window, an item is made of its neighbours, too
    sources = [source.axis for source in axes[0][span.axis] if source.operand == index and source.exact]
    return Span(sources[0], span.outer, span.inner) if len(sources) == 1 else None


def laid_out(before: Shape, after: Shape, span: Span) -> Span | None:
    """Where a reshape puts the items: they keep their number, and that of the elements ahead; None if it splits them."""
    # a single item fits into several axes: it is where the least of an axis lies ahead of it
    return min(fitting(before, after, span), key=lambda candidate: at_one(candidate.outer), default=None)


def fitting(before: Shape, after: Shape, span: Span) -> list[Span]:
    """Where a reshape may put the items: in one place, or a single item in several, which hold the same in the same order."""
    if not span.fits(before):
        return []
    items = span.length(before)
    ahead = product(before[: span.axis]) * span.outer
    spans = []
    for axis, size in enumerate(after):
        outer = quotient(ahead, product(after[:axis]))
        inner = None if outer is None else quotient(size, outer * items)
        if outer is not None and inner is not None:
            spans.append(Span(axis, outer, inner))
    return spans
