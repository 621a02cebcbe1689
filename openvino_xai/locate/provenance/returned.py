"""The list of boxes that a model makes of its rows by itself: in which columns of its outputs scores and classes stand.

It is found by running: heads are given random scores, and those columns are taken that hold, of each box on the list, the
probability of one row and one class. What picks the rows, be it a suppression, a loop or a sort, is not looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.vocabulary import Array, Namespace

CLOSE = 1e-5  # probabilities that are one
MEDIAN = 5e-7  # of the distances of scores on a list to the nearest probability: what is a number by chance lies farther
SHIFTS = (0, 1, -1)  # of classes on a list against those of the scores: files count, or leave out, what stands for none
FEWEST = 2  # boxes on a list that tell what its columns are


@dataclass(frozen=True, eq=False)
class Columns:
    """Some columns of an output [..., N, n] that lists N boxes of each image; `indices` of None are an output [..., N]."""

    value: Value
    indices: tuple[int, ...] | None

    def within(self, values: Mapping[Value, Value]) -> Columns:
        """The same in a twin of the model."""
        return replace(self, value=values[self.value])

    @property
    def by_image(self) -> bool:
        """Whether the output has an axis of images, as many as a run has."""
        shape = self.value.shape or ()
        return len(shape) > (1 if self.indices is None else 2) and not isinstance(shape[0], int)

    def of(self, xp: Namespace, array: Array, batch: Size) -> Array:
        """[B, N, columns], f32, of what the output holds."""
        shape = tuple(array.shape)
        if self.indices is None:
            return xp.reshape(xp.astype(array, np.float32), (batch, shape[-1], 1))
        taken = xp.astype(array, np.float32)
        if len(self.indices) != shape[-1]:
            taken = xp.take(taken, np.array(self.indices), axis=len(shape) - 1)
        return xp.reshape(taken, (batch, shape[-2], len(self.indices)))


@dataclass(frozen=True, eq=False)
class OwnRows:
    """The list of a model, best first or not: `count` boxes of each image, None where only a run knows how many.

    `scores` are a column, beside one of `labels`, which are classes plus `shift`; or, without labels, a column of each class,
    the first of which is of class -`shift`.
    """

    scores: Columns
    labels: Columns | None
    shift: int
    count: int | None

    @property
    def values(self) -> tuple[Value, ...]:
        """The outputs that are read."""
        return (self.scores.value,) if self.labels is None else (self.scores.value, self.labels.value)

    def within(self, values: Mapping[Value, Value]) -> OwnRows:
        """The same in a twin of the model."""
        labels = None if self.labels is None else self.labels.within(values)
        return replace(self, scores=self.scores.within(values), labels=labels)

    def listed(self, xp: Namespace, array_of: Callable[[Value], Array], batch: Size) -> tuple[Array, Array]:
        """[B, N], f32, and [B, N], f32: the score of each box on the list, 0 where there is none, and its class."""
        scores = self.scores.of(xp, array_of(self.scores.value), batch)
        if self.labels is None:
            labels = xp.astype(xp.top_k(scores, 1, axis=2), np.float32)
        else:
            labels = self.labels.of(xp, array_of(self.labels.value), batch)
        return xp.max(scores, axis=2), xp.subtract(xp.max(labels, axis=2), np.float32(self.shift))


def own_rows(
    graph: Graph, results: Mapping[Value, np.ndarray], probabilities: np.ndarray, batch: Size, background: int | None
) -> OwnRows | None:
    """The list among the outputs, of what these hold while rows have probabilities [B, A, C]; None where they hold all rows.

    Raises ModelError where there is none, or it is one for all images of a batch together.
    """
    objects = probabilities.copy()
    if background is not None:
        objects[:, :, background] = 0
    tables = list(_tables(graph, results, len(probabilities)))
    for _, table in tables:
        if any(_are_all(form, p) for form in (table, table.swapaxes(1, 2)) for p in (objects, probabilities)):
            return None
    for columns, table in tables:
        if (listing := _of_columns(columns, table, tables, objects)) is not None:
            if not isinstance(batch, int) and not all(part.by_image for part in (listing.scores, listing.labels) if part):
                raise ModelError(
                    f"'{listing.scores.value.name}' lists the boxes of all images of a batch together: "
                    "give the model a batch of 1",
                    node=listing.scores.value.name,
                )
            return listing
    raise ModelError(
        "the model returns some of its rows, and which of them is not told: no outputs hold their scores and classes "
        f"({', '.join(map(repr, graph.outputs))})",
        node=next(iter(graph.outputs)),
    )


def _tables(graph: Graph, results: Mapping[Value, np.ndarray], images: int) -> Iterator[tuple[Columns, np.ndarray]]:
    """What outputs hold as lists [B, N, n], each in all ways that it can be one."""
    for value in graph.outputs.values():
        array = results[value]
        if array.dtype.kind not in "fiu":
            continue
        if array.ndim > 1 and int(np.prod(array.shape[:-2])) == images and array.shape[-2] >= FEWEST:
            yield Columns(value, tuple(range(array.shape[-1]))), array.reshape(images, *array.shape[-2:])
        if array.ndim and int(np.prod(array.shape[:-1])) == images and array.shape[-1] >= FEWEST:
            yield Columns(value, None), array.reshape(images, -1, 1)


def _are_all(table: np.ndarray, objects: np.ndarray) -> bool:
    """Whether a column of [B, A, n] holds the best probability of each row, or that of its first class, in order."""
    if table.shape[1] != objects.shape[1]:
        return False
    numbers = (objects.max(axis=2, keepdims=True), objects[:, :, :1])
    return any(bool((np.abs(table - column) < CLOSE).all(axis=(0, 1)).any()) for column in numbers)


def _of_columns(
    columns: Columns, table: np.ndarray, tables: Sequence[tuple[Columns, np.ndarray]], objects: np.ndarray
) -> OwnRows | None:
    """The list with scores in one of these columns, or with those of all classes, if there is one."""
    classes = objects.shape[2]
    first = columns.value.shape or ()
    axis = -1 if columns.indices is None else -2
    size = first[axis] if len(first) >= -axis else None
    count = size if isinstance(size, int) else None
    for start in range(table.shape[2] - classes + 1):
        part = table[:, :, start : start + classes]
        if classes > 1 and _hold_all_classes(part, objects):
            return OwnRows(_some(columns, range(start, start + classes)), None, 0, count)
    for column in range(table.shape[2]):
        scores = table[:, :, column].astype(np.float64)
        if not ((scores >= 0) & (scores <= 1)).all():
            continue
        for others, labels, shift in _labels(table.shape[1], tables):
            if (others.value, others.indices) != (columns.value, (column,)) and _hold(scores, labels - shift, objects):
                return OwnRows(_some(columns, [column]), others, shift, count)
        (used,) = np.flatnonzero(objects.any(axis=(0, 1)))[:1]
        if int(objects.any(axis=(0, 1)).sum()) == 1 and _hold(scores, np.full_like(scores, used), objects):
            return OwnRows(_some(columns, [column]), None, -int(used), count)
    return None


def _some(columns: Columns, indices: Sequence[int]) -> Columns:
    return columns if columns.indices is None else replace(columns, indices=tuple(indices))


def _labels(count: int, tables: Sequence[tuple[Columns, np.ndarray]]) -> Iterator[tuple[Columns, np.ndarray, int]]:
    """Columns [B, N] that may hold classes, and what they have more than those."""
    for shift in SHIFTS:
        for columns, table in tables:
            for column in range(table.shape[2]) if table.shape[1] == count else ():
                labels = table[:, :, column].astype(np.float64)
                if (labels == np.rint(labels)).all():
                    yield _some(columns, [column]), labels, shift


def _hold(scores: np.ndarray, labels: np.ndarray, objects: np.ndarray) -> bool:
    """Whether scores [B, N] are probabilities that rows have of the classes `labels`, where there is a box."""
    there = scores > 0
    if len(np.unique(scores[there])) < FEWEST or not ((labels >= 0) & (labels < objects.shape[2]))[there].all():
        return False
    distances = []
    for image, of_image in enumerate(objects):
        for label in np.unique(labels[image][there[image]]).astype(int):
            chosen = scores[image][there[image] & (labels[image] == label)]
            distances.append(nearest(np.sort(of_image[:, label]), chosen))
    gaps = np.concatenate(distances)
    return bool(gaps.max() < CLOSE and np.median(gaps) < MEDIAN)


def _hold_all_classes(part: np.ndarray, objects: np.ndarray) -> bool:
    """Whether a table [B, N, C] holds the probabilities of rows, of all classes."""
    label = part.argmax(axis=2)
    return _hold(part.max(axis=2).astype(np.float64), label.astype(np.float64), objects) and all(
        np.abs(of_image[np.abs(of_image[:, label[image, i]] - row[label[image, i]]).argmin()] - row).max() < CLOSE
        for image, of_image in enumerate(objects)
        for i, row in enumerate(part[image][: 4 * FEWEST])
    )


def nearest(ascending: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """How far each number is from the nearest of some `ascending` ones."""
    place = np.searchsorted(ascending, numbers)
    before, behind = (ascending[np.clip(place + step, 0, len(ascending) - 1)] for step in (-1, 0))
    return np.asarray(np.minimum(np.abs(numbers - before), np.abs(numbers - behind)))
