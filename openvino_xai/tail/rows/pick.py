"""Which rows of a detector are explained, and the probabilities that they are ranked by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size, concrete, product
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import Array
from openvino_xai.locate.row_table import RowTable
from openvino_xai.locate.rows import Rows
from openvino_xai.tail.masked import tapped

MOST = 300  # rows of an image that are explained


@dataclass(frozen=True)
class TopBoxes:
    """The `count` best boxes of each image, as a detector's own suppression keeps them."""

    count: int

    def __str__(self) -> str:
        return f"boxes:{self.count}"


@dataclass(frozen=True)
class RowsAtRunTime:
    """`count` rows of each image, which inputs tell, each with its class."""

    count: int

    def __str__(self) -> str:
        return f"asked:{self.count}"


@dataclass(frozen=True)
class EveryClass:
    """A map for every class, of all rows at once."""

    def __str__(self) -> str:
        return "all"


RowPick: TypeAlias = "TopBoxes | RowsAtRunTime | EveryClass"


def parse_row_pick(targets: str) -> RowPick:
    """A pick from `boxes:D`, `asked`, `asked:D` or `all`. Raises InputError."""
    if targets == "all":
        return EveryClass()
    match = re.fullmatch(r"(boxes|asked)(?::([1-9]\d{0,3}))?", targets)
    if match is None or (match[1] == "boxes" and match[2] is None) or int(match[2] or 1) > MOST:
        raise InputError(
            f"targets '{targets[:80]}' are not understood of a detector: "
            f"boxes:D or asked:D for D up to {MOST}, or all is expected"
        )
    return TopBoxes(int(match[2])) if match[1] == "boxes" else RowsAtRunTime(int(match[2] or 1))


def count_of(targets: str) -> int:
    """D, the number of rows of each image that are explained; 0 where classes are. Raises InputError."""
    pick = parse_row_pick(targets)
    return 0 if isinstance(pick, EveryClass) else pick.count


def is_of_rows(targets: str) -> bool:
    """Whether targets can be those of a detector alone."""
    return targets.startswith(("boxes", "asked:"))


def probabilities(xp: Array, rows: Rows, read: Mapping[str, Array]) -> Array:
    """[B, A, C] in [0, 1]: the probability of every row and class, of what was `read` by the names of `rows.read`."""
    arrays = [xp.astype(read[name], np.float32) for name in rows.read]
    flat = [(array, tuple(array.shape)) for array in arrays]
    p = _moved(xp, flat, rows.places)
    if rows.of_classes.squash == "logit":
        p = xp.sigmoid(p)
    if rows.objectness is not None:
        objectness = _moved(xp, flat, rows.objectness.reshape(-1, 1))
        p = xp.multiply(p, xp.sigmoid(objectness) if rows.factors[1].squash == "logit" else objectness)
    return p


def best_of(xp: Array, rows: Rows, table: RowTable) -> Array | None:
    """[B, A] in [0, 1]: the probability of each row's best class, of the heads; None where only a softmax tells it.

    A sigmoid keeps the order of logits, so the largest logit of a row tells its best class.
    """
    if rows.of_classes.squash == "softmax":
        return None
    parts, where = [], []
    for index, level in enumerate(table.levels):
        p = None
        for head in level.heads:
            slots, classes = head.channels.shape
            batch = shape_of(head.value)[0]
            count, height, width = concrete(shape_of(head.value)[1:], f"head '{head.value.name}'")
            x = xp.astype(tapped(xp, head.value), np.float32)
            if not np.array_equal(head.channels.reshape(-1), np.arange(count)):
                x = xp.take(x, head.channels.reshape(-1), axis=1)
            x = xp.reshape(x, (batch, slots, classes, height * width))
            best = xp.sigmoid(xp.max(x, axis=2) if classes > 1 else xp.reshape(x, (batch, slots, height * width)))
            p = best if p is None else xp.multiply(p, best)
        parts.append(xp.reshape(p, (batch, slots * height * width)))
        slot = table.levels[index].heads[0].slot
        place = slot * height * width + table.row * width + table.column
        where.append(np.where(table.level == index, place, 0))
    starts = np.cumsum([0, *(int(np.prod(level.grid)) * len(level.heads[0].channels) for level in table.levels)])
    order = np.array([where[level][row] + starts[level] for row, level in enumerate(table.level)])
    everything = xp.concat(parts, axis=1) if len(parts) > 1 else parts[0]
    return everything if np.array_equal(order, np.arange(int(starts[-1]))) else xp.take(everything, order, axis=1)


def probabilities_of(xp: Array, rows: Rows, read: Mapping[str, Array], index: Array) -> Array:
    """[B, M, C] in [0, 1]: the probabilities of the rows at `index` [B, M], each image's own."""
    (batch, count), arrays = index.shape, [read[name] for name in rows.read]
    shape = tuple(arrays[0].shape)
    by_row = len(arrays) == 1 and len(shape) == 3 and _columns(rows.places, shape, 2) is not None
    if not by_row:
        everything = probabilities(xp, rows, read)
        spread = xp.broadcast_to(xp.reshape(index, (batch, count, 1)), (batch, count, rows.classes))
        return xp.take_along_axis(everything, spread, axis=1)
    if batch == 1:
        taken = xp.take(arrays[0], xp.reshape(index, (count,)), axis=1)
    else:
        spread = xp.broadcast_to(xp.reshape(index, (batch, count, 1)), (batch, count, shape[2]))
        taken = xp.take_along_axis(arrays[0], spread, axis=1)
    width = int(shape[2])
    objectness = None if rows.objectness is None else np.arange(count) * width + rows.objectness[0]
    few = replace(rows, places=rows.places[0] + np.arange(count)[:, None] * width, objectness=objectness)
    return probabilities(xp, few, dict.fromkeys(rows.read, taken))


def _moved(xp: Array, flat: list[tuple[Array, tuple[Size, ...]]], places: np.ndarray) -> Array:
    """[B, A, n]: elements `places` [A, n] of arrays, counted one after the other."""
    if len(flat) == 1:
        value, shape = flat[0]
        if len(shape) == 3 and (columns := _columns(places, shape, 2)) is not None:
            return xp.take(value, columns, axis=2)
        if len(shape) == 3 and (columns := _columns(places.T, shape, 1)) is not None:
            return xp.permute_dims(xp.take(value, columns, axis=1), (0, 2, 1))
    batch = flat[0][1][0]
    joined = [xp.reshape(value, (batch, product(shape[1:]))) for value, shape in flat]
    everything = xp.concat(joined, axis=1) if len(joined) > 1 else joined[0]
    return xp.reshape(xp.take(everything, places.reshape(-1), axis=1), (batch, *places.shape))


def _columns(places: np.ndarray, shape: tuple[Size, ...], axis: int) -> np.ndarray | None:
    """The indices along the last axis (2) or the middle one (1) that hold the places, where they do for all rows."""
    if not isinstance(shape[1], int) or not isinstance(shape[2], int):
        return None
    rows, columns = shape[1], shape[2]
    if axis == 2:
        first = places[0]
        fits = places.shape[0] == rows and np.array_equal(places, np.arange(rows)[:, None] * columns + first)
        return first if fits and first.max() < columns else None
    first = places[:, 0]
    fits = places.shape[1] == columns and np.array_equal(places, first[:, None] + np.arange(columns))
    return first // columns if fits and not (first % columns).any() else None


def wanted_rows(batch: Size, count: int, names: tuple[str, str]) -> tuple[Value, Value]:
    """The two inputs [B, D], i64, that tell rows and their classes."""
    index, label = (Value(name, (batch, count), np.dtype(np.int64)) for name in names)
    return index, label


def batch_of(rows: Rows) -> Size:
    """B."""
    return shape_of(next(iter(rows.read.values())))[0]
