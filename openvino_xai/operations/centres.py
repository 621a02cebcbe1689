"""Centres: where the items of an axis lie among those that they are made of.

A cell of a convolution lies in the middle of its window, and windows lie a stride apart. So without padding the first cell lies
behind the first pixel, and with more padding than half a window ahead of it. What is drawn of a map takes its cells for equal
parts of the image, which holds as long as both ends lie where such parts would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from openvino_xai.graph.model import Node
from openvino_xai.graph.sizes import Size, quotient
from openvino_xai.graph.trace import shape_of


@dataclass(frozen=True)
class Centres:
    """Items that are evenly apart, on the axis that they are made of.

    The first lies `ahead` items of that axis behind the first of these, the last lies `behind` items ahead of the last of them,
    and neighbours are `step` apart. Either end may lie outside, and is negative then.
    """

    ahead: float = 0.0
    behind: float = 0.0
    step: float = 1.0

    def on(self, below: Centres) -> Centres:
        """These items on the axis that those `below` lie on."""
        ahead, behind = (below.step * end for end in (self.ahead, self.behind))
        return Centres(below.ahead + ahead, below.behind + behind, below.step * self.step)

    def ending(self, before: Size, after: Size) -> Centres:
        """The same with the end that the number of items gives, where both numbers are known: windows leave a rest out, or end
        beyond the last item, but by less than a step."""
        if not isinstance(before, int) or not isinstance(after, int):
            return self
        behind = before - 1 - self.ahead - self.step * (after - 1)
        return Centres(self.ahead, behind, self.step) if abs(behind - self.behind) < max(self.step, 1) else self

    def shift(self, part: float) -> float:
        """How far an end lies from the middle of the first, or last, of equal parts as large as `part`."""
        return max(abs(end - (part - 1) / 2) for end in (self.ahead, self.behind))

    @property
    def mirrored(self) -> Centres:
        """The same items in the reverse order, on the axis as it was."""
        return Centres(self.behind, self.ahead, self.step)


def evenly(before: Size, after: Size) -> Centres:
    """Equal parts of an axis, from end to end, as blocks are; as many as there were, where only a run knows how many."""
    if isinstance(before, int) and isinstance(after, int):
        step = before / max(after, 1)
    else:
        larger, finer = quotient(before, after), quotient(after, before)
        step = float(larger) if isinstance(larger, int) else 1 / finer if isinstance(finer, int) and finer else 1.0
    return Centres((step - 1) / 2, (step - 1) / 2, step)


CentreRule: TypeAlias = Callable[[Node, int], Centres | None]  # along an axis of the first operand; None where it is even


def windows(node: Node, axis: int) -> Centres:
    """The middle of each window of a convolution or a pool."""
    a, place = node.attributes, axis - 2
    middle = (a["kernel"][place] - 1) * a["dilations"][place] / 2
    return Centres(middle - a["pads"][place], middle - a["pads"][place + len(a["kernel"])], a["strides"][place])


def spread_windows(node: Node, axis: int) -> Centres:
    """The middle of all windows of a transposed convolution that an item is written by."""
    a, place = node.attributes, axis - 2
    middle, stride = (a["kernel"][place] - 1) * a["dilations"][place] / 2, a["strides"][place]
    return Centres((a["pads"][place] - middle) / stride, (a["pads"][place + len(a["kernel"])] - middle) / stride, 1 / stride)


def padded(node: Node, axis: int) -> Centres:
    """Items with a border, or without one that was there."""
    pads = node.attributes["pads"]
    return Centres(-pads[axis], -pads[axis + len(pads) // 2])


def every_step(node: Node, axis: int) -> Centres | None:
    """Every step-th item."""
    a, rank = node.attributes, len(shape_of(node.operand(0)))
    steps = {along % rank: (start, step) for along, start, step in zip(a["axes"], a["starts"], a["steps"], strict=True)}
    start, step = steps.get(axis, (0, 1))
    return Centres(start, 0, step) if start >= 0 and step > 0 else None


def resized(node: Node, axis: int) -> Centres | None:
    """Items between others, where the ends are not those of equal parts."""
    before, after = (shape_of(value)[axis] for value in (node.operand(0), node.outputs[0]))
    coordinates = node.attributes.get("coordinates")  # none of means over windows that cover everything
    if not isinstance(before, int) or not isinstance(after, int) or before == after or after < 2:
        return None
    if coordinates == "align_corners":
        return Centres(step=(before - 1) / (after - 1))
    # the nearest of others below them is picked, where it is not between them: equal parts again
    return Centres(step=before / after) if coordinates == "asymmetric" and node.attributes["mode"] != "nearest" else None
