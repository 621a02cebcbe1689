"""Which rows of a detector are explained, and the probabilities that they are ranked by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from openvino_xai.boxes.gathering import columns_of, rows_at
from openvino_xai.errors import InputError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import Array
from openvino_xai.locate.rows import Rows
from openvino_xai.locate.rows.table import HeadTable, RowTable
from openvino_xai.operations.table import operation_of
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
    return rows.probabilities(xp, [read[name] for name in rows.read])


def by_slot(xp: Array, head: HeadTable, value: Array) -> Array:
    """[B, S, C, h, w], f32: what a head's `value` [B, C', h, w] holds for each of S anchors of a cell."""
    batch, count, height, width = value.shape
    taken, channels = xp.astype(value, np.float32), head.channels.reshape(-1)
    if not np.array_equal(channels, np.arange(count)):
        taken = xp.take(taken, channels, axis=1)
    return xp.reshape(taken, (batch, *head.channels.shape, height, width))


def best_of(xp: Array, graph: Graph, rows: Rows, table: RowTable) -> Array | None:
    """[B, A] in [0, 1]: the probability of each row's best class, of the heads; None where only a softmax tells it.

    A sigmoid keeps the order of logits, so the largest logit of a row tells its best class.
    """
    if rows.of_classes.squash == "softmax":
        return None
    parts, where = [], []
    for index, level in enumerate(table.levels):
        p = None
        for head in level.heads:
            best = _best_of_cells(xp, graph, head)
            p = best if p is None else xp.multiply(p, best)
        parts.append(p)
        (height, width), slot = level.grid, level.heads[0].slot
        place = slot * height * width + table.row * width + table.column
        where.append(np.where(table.level == index, place, 0))
    starts = np.cumsum([0, *(int(np.prod(level.grid)) * len(level.heads[0].channels) for level in table.levels)])
    order = np.array([where[level][row] + starts[level] for row, level in enumerate(table.level)])
    everything = xp.concat(parts, axis=1) if len(parts) > 1 else parts[0]
    return everything if np.array_equal(order, np.arange(int(starts[-1]))) else xp.take(everything, order, axis=1)


def _best_of_cells(xp: Array, graph: Graph, head: HeadTable) -> Array:
    """[B, S * h * w]: the largest probability of a class, of each of S anchors of the cells of a head.

    Of the model's own sigmoids, where it has them: a runtime fuses those with the head as long as nothing else reads that.
    """
    squashed = [node.outputs[0] for node, _ in graph.consumers[head.value] if operation_of(node).name == "sigmoid"]
    is_squashed = bool(squashed) and head.value.dtype == np.float32
    value = tapped(xp, squashed[0] if is_squashed else head.value)
    batch, channels, height, width = shape_of(value)
    slots, classes = head.channels.shape
    if slots == 1 and head.channels[0].tolist() == [*range(classes)] and classes == channels:
        best = xp.max(xp.astype(value, np.float32), axis=1) if classes > 1 else xp.astype(value, np.float32)
    else:
        best = xp.max(by_slot(xp, head, value), axis=2)
    best = xp.reshape(best, (batch, slots * (height * width)))
    return best if is_squashed else xp.sigmoid(best)


def probabilities_of(xp: Array, rows: Rows, read: Mapping[str, Array], index: Array) -> Array:
    """[B, M, C] in [0, 1]: the probabilities of the rows at `index` [B, M], each image's own."""
    arrays = [read[name] for name in rows.read]
    shape = tuple(arrays[0].shape)
    if len(arrays) > 1 or len(shape) != 3 or columns_of(rows.places, shape) is None:
        return rows_at(xp, probabilities(xp, rows, read), index)
    width, places = int(shape[2]), np.arange(index.shape[1])
    few = replace(
        rows,
        places=rows.places[0] + places[:, None] * width,
        objectness=None if rows.objectness is None else rows.objectness[0] + places * width,
    )
    return probabilities(xp, few, dict.fromkeys(rows.read, rows_at(xp, arrays[0], index)))


def wanted_rows(batch: Size, count: int, names: tuple[str, str]) -> tuple[Value, Value]:
    """The two inputs [B, D], i64, that tell rows and their classes."""
    index, label = (Value(name, (batch, count), np.dtype(np.int64)) for name in names)
    return index, label


def batch_of(rows: Rows) -> Size:
    """B."""
    return shape_of(next(iter(rows.read.values())))[0]
