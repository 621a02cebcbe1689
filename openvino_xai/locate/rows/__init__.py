"""The rows of a detector: the scores that it gives anchor by anchor, and the element of the network that each one is made of.

A detector ends in A rows (anchors, cells or queries) of C classes, put together of several levels: one convolution a level, or
one for each of several anchors of a cell. Between these heads and the output, scores are squashed, moved and joined, and in
some models multiplied with an objectness or thinned out. What is moved is told by running: the heads are given numbers of
their own, and the output is read (`provenance`). `search` looks at all outputs, and `table` lays rows out by level and cell.
"""

from openvino_xai.locate.rows.record import WAY_OUT, Factor, Head, Rows
from openvino_xai.locate.rows.search import find_rows

__all__ = ["WAY_OUT", "Factor", "Head", "Rows", "find_rows"]
