"""Tokens beside cells, as a class token: whether the cells among them matter, and which are cells by what a user says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import isqrt, prod

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Size, concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.integers import known_integers
from openvino_xai.operations.table import data_operands, operation_of

MOST_PREFIX = 16  # tokens ahead of the cells, where nobody says how many


@dataclass(frozen=True)
class TokenHint:
    """What a user says of tokens that the model does not tell: (H, W) of their grid, and how many are ahead of it."""

    grid: tuple[int, int] | None = None
    prefix: int | None = None

    def place(self, value: Value, batch: int = 0) -> Place | None:
        """The place of tokens [B, T, C], or [T, B, C] with the `batch` on axis 1; None if it cannot be."""
        shape, tokens = value.shape or (), 1 - batch
        fit = self.fit(shape[tokens]) if len(shape) == 3 else None
        return None if fit is None else Place(batch, (tokens,), *fit)

    def fit(self, length: Size) -> tuple[tuple[int, int], int] | None:
        """The grid of so many tokens, and how many are ahead of it; None if it cannot be.

        The number of tokens tells a prefix from a grid, and a square grid from a prefix.
        """
        if not isinstance(length, int):
            return None
        prefix = self.prefix if self.prefix is not None else length - prod(self.grid or ())
        if self.prefix is None and prefix > MOST_PREFIX:
            return None
        side = isqrt(max(length - prefix, 0))
        grid = self.grid or (side, side)
        if prefix < 0 or prefix + grid[0] * grid[1] > length or (self.grid is None and prefix + side * side != length):
            return None
        return grid, prefix


def hinted(graph: Graph, placed: Mapping[Value, Place], hint: TokenHint, batch: Size) -> dict[Value, Place]:
    """The places of cells where a user says which tokens these are: values [B, T, C] or [T, B, C], B being `batch`.

    Rows and columns of cells stay where they are, and tokens that are fewer or more than a user says have no place.
    """
    places = {value: place for value, place in placed.items() if len(place.cells) == 2}
    for node in graph.nodes:
        for value in node.outputs:
            place = None if value in places else _of_tokens(value, placed.get(value), hint, batch)
            if place is not None:
                places[value] = place
    return places


def _of_tokens(value: Value, place: Place | None, hint: TokenHint, batch: Size) -> Place | None:
    """The place of a value's tokens by what a user says, and what the model tells of where they are."""
    shape = value.shape or ()
    if place is not None and len(place.cells) != 1:
        return place
    axes = [axis for axis in (1, 0) if len(shape) == 3 and shape[1 - axis] == batch] if place is None else [place.cells[0]]
    for axis in axes:
        # behind a slice that leaves the prefix out, there are as many tokens as cells
        here = TokenHint(hint.grid, 0) if hint.grid and shape[axis] == prod(hint.grid) else hint
        fit = here.fit(shape[axis])
        if fit is not None:
            return Place(1 - axis, (axis,), *fit) if place is None else replace(place, grid=fit[0], prefix=fit[1])
    return place if hint.grid is None else None


def picked_tokens(graph: Graph, node: Node, span: Span) -> list[int] | None:
    """Which tokens, along `span` of its first operand, a node takes; None for a node that picks none, or unknown ones."""
    shape, a = shape_of(node.operand(0)), node.attributes
    length = shape[span.axis]
    if not span.pure or not isinstance(length, int):
        return None  # on a merged axis an index is no token
    if node.kind == "gather" and a["axis"] % len(shape) == span.axis:
        indices = known_integers(graph, node, 1)
        return None if indices is None else [index % length for index in indices]
    if "steps" in a and [axis % len(shape) for axis in a["axes"]] == [span.axis]:
        return list(range(length))[slice(a["starts"][0], a["ends"][0], a["steps"][0])]
    return None


def made_of_cells(graph: Graph, value: Value, placed: Mapping[Value, Place], varying: Collection[Value]) -> bool:
    """Whether the tokens ahead of a value's cells were joined to these as something made of the image, as their mean.

    `varying` are the values that depend on the image. Where tokens have met since, as in a block of attention, they have not;
    nor where they stood beside cells before, and were taken from there alone.
    """
    while (node := value.producer) is not None:
        operands = [operand for operand in data_operands(node) if operand in varying]
        with_tokens = [operand for operand in operands if operand in placed and len(placed[operand].cells) == 1]
        if operation_of(node).joins:
            others = [operand for operand in operands if operand not in with_tokens]
            return len(with_tokens) == 1 and any(_is_of_cells(graph, operand, placed, varying) for operand in others)
        if len(operands) != 1 or not with_tokens:
            return False
        (value,) = with_tokens
    return False


def _is_of_cells(graph: Graph, value: Value, placed: Mapping[Value, Place], varying: Collection[Value]) -> bool:
    """Whether a value is made of the image in another way than of tokens that stood beside cells."""
    ways = [value]
    for part in ways:  # which grows meanwhile, by what leads to those in it
        node = part.producer
        if node is None or part in placed:
            return True
        source = _beside_cells(graph, node, placed)
        if source is None:
            ways += [operand for operand in data_operands(node) if operand in varying and operand not in ways]
        elif made_of_cells(graph, source, placed, varying):
            return True
    return False


def _beside_cells(graph: Graph, node: Node, placed: Mapping[Value, Place]) -> Value | None:
    """What a node takes tokens of that stand beside the cells there; None where it takes others, or none."""
    source = next((operand for _, operand in node.operands), None)
    place = None if source is None else placed.get(source)
    if source is None or place is None or len(place.cells) != 1:
        return None
    outside, tokens = place.beside(shape_of(source)), picked_tokens(graph, node, Span(place.cells[0]))
    return source if outside is not None and tokens is not None and bool(outside.ravel()[tokens].all()) else None


def cells_reach(graph: Graph, value: Value, place: Place, end: Value) -> bool:
    """Whether the cells among the tokens of a value reach the end; False where all that is read are other tokens."""
    if any(isinstance(size, Dim) for size in place.grid):
        return True
    height, width = concrete(place.grid, value.name)
    cells = set(range(place.prefix, place.prefix + height * width))
    # where the tokens are in what their cells reach; None where cells have met other tokens, as by attention
    spans: dict[Value, set[Span | None]] = {value: {Span(place.cells[0])}}
    for node in graph.nodes:
        reached = [index for index, operand in node.operands if operand in spans and operand in data_operands(node)]
        before = spans.get(node.operand(0), set()) if 0 in reached else set()
        picked = [None if span is None else picked_tokens(graph, node, span) for span in before]
        if reached and not (picked and all(tokens is not None and cells.isdisjoint(tokens) for tokens in picked)):
            after = {_followed(node, index, span) for index in reached for span in spans[node.operand(index)]}
            spans.update((output, after) for output in node.outputs)
    return end in spans


def _followed(node: Node, index: int, span: Span | None) -> Span | None:
    """Where the items of an operand are in the outputs, None where they are not known to be apart."""
    return None if span is None else follow(node, index, span)
