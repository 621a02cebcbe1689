"""What a value of the tail is under masks.

A hook scores N masked copies of each of B images, so each value of the tail stands for B * N items. Each class here is one way
to hold these items. `Rows` has all of them. The others have one value for each image, and a formula for item (b, n).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import FIRST, Span
from openvino_xai.tail.windowed.reach import Reach


@dataclass(frozen=True)
class Rows:
    """All items, computed: copy n of image b is item b * N + n along `span`."""

    value: Value
    span: Span = FIRST

    @property
    def count(self) -> Size:
        """B * N."""
        return self.span.length(shape_of(self.value))


@dataclass(frozen=True)
class MaskedCells:
    """Copy n of image b is `rest + m[n] (value - rest)`: for a mask m of 0 and 1, `value` where it keeps a cell, else `rest`.

    The axes of cells in `place` are those that m is for, and so that of the channels where channels are masked. Tokens that
    are no cells, as a class token, are `value` in every copy.
    `rest` is the same for all images, and has size 1 along the batch. It has size 1 along the cells, too, unless it depends on
    the position. None stands for 0.
    """

    value: Value
    rest: Value | None
    place: Place

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images and the cells are."""
        return spans_of(self.place)


@dataclass(frozen=True)
class Unmasked:
    """The same for all copies of an image: `value`, as the model computes it, with the images along `span`."""

    value: Value
    span: Span = FIRST


@dataclass(frozen=True)
class FlattenedCells:
    """Masked cells whose axes but the batch a reshape has merged: `value` is [B, everything else], as the model computes it.

    It `is_own` where it holds the features as they are, in their order. Gated cells have values that are nowhere in the model.
    """

    features: MaskedCells
    value: Value
    is_own: bool


def spans_of(place: Place) -> tuple[Span, ...]:
    """Where the images and the cells are, as spans."""
    return tuple(Span(axis) for axis in (place.batch, *place.cells))


def tapped(trace: Trace, value: Value) -> Value:
    """The same value, permuted by a new node instead of the model's own.

    A runtime fuses a permutation only if it has a single reader. OpenVINO's CPU plugin (2026.4) sums in another order if a
    transpose ahead of a mean has a second one, and the model's own scores would change.
    """
    node = value.producer
    if value.native is None or node is None or node.kind != "transpose":
        return value
    return trace.permute_dims(tapped(trace, node.operand(0)), tuple(node.attributes["perm"]))


@dataclass(frozen=True, eq=False)
class CellTokens:
    """Cells as tokens along a sub-axis, with others beside them: copy n is `value` where it keeps a token, and else `rest`.

    `index` says of each token which mask keeps it, or that all do (-1), or that each copy has its own (-2). These stand ahead,
    in `ahead`: along `tokens`, and for B * N copies along `batch`. The rest has size 1 along what it is the same for.
    """

    value: Value
    rest: Value | None
    batch: Span
    tokens: Span
    index: tuple[int, ...]
    ahead: Rows | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images and the tokens are."""
        return self.batch, self.tokens


@dataclass(frozen=True, eq=False)
class MaskedWindows:
    """Masked cells of which each mask reaches a window: copy n is an item of `value` where it reaches a cell, and else `rest`.

    `value` is [B, C, P, P'] with the items of `reach`, of rows and of columns. `rest` is the same for all images. It has size 1
    along rows and columns, or that of the cells where it depends on the position. None stands for 0.
    """

    value: Value
    rest: Value | None
    reach: tuple[Reach, Reach]

    @property
    def sizes(self) -> tuple[int, int]:
        """(H, W) of the cells."""
        return self.reach[0].size, self.reach[1].size

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images and the cells are."""
        return FIRST, Span(2), Span(3)


Masked: TypeAlias = "Rows | MaskedCells | MaskedWindows | FlattenedCells | CellTokens | Unmasked"
Start: TypeAlias = "MaskedCells | Rows"
