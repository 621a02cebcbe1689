"""One value of a sorted row, without sorting the row."""

from __future__ import annotations

from openvino_xai.graph.vocabulary import Array, Namespace

LANES = 16  # rows sorted side by side, where sizes are fixed: OpenVINO's TopK is vectorised over the axes behind the sorted one


def largest(xp: Namespace, x: Array, rank: int) -> Array:
    """[B, R, 1]: in each row of [B, R, C] the value that comes at `rank` (1 is the largest) when it is sorted.

    A row is cut into bunches, and only those whose maxima are the `rank` largest are gone through: if a value of another bunch
    were above the limit, so would be `rank` maxima. Not for an open batch, where OpenVINO cannot pick the best way to sort when
    it compiles: it keeps a heap row by row, whose price is by `rank`, and two of them cost more than one.
    """
    batch, rows, columns = x.shape
    bunch = min((size for size in range(1, columns + 1) if columns % size == 0), key=lambda g: columns // g + rank * g)
    if isinstance(batch, int) and bunch > 1 and columns // bunch > rank:
        parts = xp.reshape(x, (batch, rows, bunch, columns // bunch))
        best = xp.reshape(_best(xp, xp.max(parts, axis=2), rank), (batch, rows, 1, rank))
        indices = xp.broadcast_to(best, (batch, rows, bunch, rank))
        x = xp.reshape(xp.take_along_axis(parts, indices, axis=3), (batch, rows, bunch * rank))
    return xp.min(xp.take_along_axis(x, _best(xp, x, rank), axis=2), axis=2, keepdims=True)


def _best(xp: Namespace, x: Array, rank: int) -> Array:
    """[B, R, rank]: where in each row of [B, R, C] its largest values are, in any order."""
    batch, rows, columns = x.shape
    if rows % LANES or not isinstance(batch, int):
        return xp.top_k(x, rank, axis=2, ordered=False)
    blocks = rows // LANES
    aside = xp.permute_dims(xp.reshape(x, (batch, blocks, LANES, columns)), (0, 1, 3, 2))
    order = xp.permute_dims(xp.top_k(aside, rank, axis=2, ordered=False), (0, 1, 3, 2))
    return xp.reshape(order, (batch, rows, rank))
