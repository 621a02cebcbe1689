"""Pools over the windows of all masks: means are products with shares, and a maximum reads the rest where there is no item."""

from __future__ import annotations

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace
from openvino_xai.tail.windowed.convolution import Over
from openvino_xai.tail.windowed.reach import Pair, summed


def means(xp: Trace, node: Node, x: Value, before: Pair, after: Pair, over: Over) -> Value | None:
    """[B, C, Q, Q']: the means of items [B, C, P, P'], 0 beyond them; None where runtimes count padding differently."""
    inside = bool(node.attributes["exclude_pad"])
    if node.attributes["ceil"] and not inside:
        return None
    down, across = (before[i].means_in(after[i], over[i], inside=inside) for i in (0, 1))
    return summed(xp, x, down, across)


def read_by(after: Pair, over: Over) -> Pair:
    """The reach of all cells that the items of another reach are made of."""
    return after[0].read_over(over[0]), after[1].read_over(over[1])


def maxima(xp: Trace, x: Value, before: Pair, after: Pair, over: Over) -> Value:
    """[B, C, Q, Q']: the maxima of items [B, C, P, P'] that hold all that is read, for columns and then for rows."""
    for i in (1, 0):
        reads = over[i].reads[after[i].cells]  # [Q, kernel]
        some = np.take_along_axis(reads, (reads >= 0).argmax(axis=1)[:, None], axis=1)
        reads = np.where(reads >= 0, reads, some)  # padding is never the largest: what is read twice changes nothing
        ahead = np.cumsum(before[i].lengths) - before[i].lengths - before[i].start
        x = xp.max(xp.take(x, reads + ahead[after[i].masks][:, None], axis=2 + i), axis=3 + i)
    return x
