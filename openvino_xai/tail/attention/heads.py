"""What a model's head makes of the tokens behind each block, and how that moves with the block's attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.attention_blocks import entry_of
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.located import Location
from openvino_xai.locate.separators import paths_through
from openvino_xai.tail.attention.stack import AttentionStack


def tokens_between(location: Location, stack: AttentionStack, method: str) -> tuple[Value, ...]:
    """The tokens that enter each block, and at last those behind the last one, which the head reads.

    These are found where the last block ends as all others do. Raises PlanError, naming the layer, where blocks differ.
    """
    graph = location.graph
    separates = paths_through(graph, location.image, location.scores.read_at("logit"))
    ways = [value for node in graph.nodes for value in node.outputs if separates.get(value)]
    entries = [entry_of(node, separates) for node in stack.nodes]
    if len(entries) == 1:
        return (entries[0],)
    places = [ways.index(entry) for entry in entries]
    length = places[1] - places[0]
    ends = [ways[place + 1 : place + length + 1] for place in places]
    alike = [[(value.producer.kind if value.producer else "", value.shape) for value in way] for way in ends]
    for entry, way, following in zip(entries, alike, [*entries[1:], None], strict=True):
        if way != alike[0] or len(way) < length or (following is not None and ends[entries.index(entry)][-1] is not following):
            raise PlanError(
                f"{method} reads the tokens behind each block, and the one at '{layer_name(entry)}' is not built as the first: "
                "take chefer",
                node=layer_name(entry),
            )
    return (*entries, ends[-1][-1])


@dataclass(frozen=True)
class Tokens:
    """Tokens as what is differentiated."""

    read: Value
    squash: str = "logit"

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """Nothing squashes them."""
        return g


@dataclass(frozen=True, eq=False)
class Slopes:
    """K derivatives of scores [B * K, ...] by tokens, of each image, where a way back goes on from."""

    rows: Value
    count: int

    @property
    def inputs(self) -> Mapping[str, Value]:
        """None."""
        return {}

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Slopes:
        """These; nobody asks for them at copies of an image."""
        assert copies == 1
        return self

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: object) -> Value:
        """[B * K, ...]"""
        return xp.broadcast_to(self.rows, (rows, *shape_of(self.rows)[1:]))
