"""Which element of which head each number of a value is, and what rows that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Node, Value
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.leaves import (
    Leaf,
)
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.locate.rows.record import Factor, Head, Rows, cell_axes


@dataclass(frozen=True, eq=False)
class _Origin:
    """For each element of `read`, of one image: the leaf that it comes from, -1 for none, and the element of its head."""

    leaf: np.ndarray
    element: np.ndarray

    @classmethod
    def of(cls, probe: Probe, leaves: Sequence[Leaf], read: Value, ones: Sequence[Value]) -> _Origin:
        """Told by running: numbers of their own are put in behind what squashes, and in turn ahead of it."""
        sources = sorted({leaf.source for leaf in leaves}, key=lambda value: value.name)
        source_of, place = probe.followed(sources, read, ones=ones, rooted=any(leaf.rooted for leaf in leaves))
        leaf_of, element = np.full(place.shape, -1), np.full(place.shape, -1)
        for index, source in enumerate(sources):
            there = source_of == index
            indices = np.array([i for i, leaf in enumerate(leaves) if leaf.source is source])
            inner = cls._in_source(probe, [leaves[i] for i in indices], source)
            leaf = inner.leaf[place[there]]
            leaf_of[there], element[there] = np.where(leaf < 0, -1, indices[leaf]), inner.element[place[there]]
        return cls(leaf_of, element)

    @classmethod
    def _in_source(cls, probe: Probe, leaves: Sequence[Leaf], source: Value) -> _Origin:
        """The same for the elements of a value that leads to `read`."""
        ends = list(dict.fromkeys(leaf.end for leaf in leaves))
        end_of, place = probe.followed(ends, source)
        leaf_of, element = np.full(place.shape, -1), np.full(place.shape, -1)
        for index, end in enumerate(ends):
            there = end_of == index
            indices = np.array([i for i, leaf in enumerate(leaves) if leaf.end is end])
            heads, squash = [leaves[i].head for i in indices], leaves[indices[0]].squash
            if squash is None or (len(heads) == 1 and heads[0] is squash.operand(0)):
                leaf_of[there], element[there] = indices[0], place[there]
            else:
                head_of, inner = probe.followed(heads, squash.operand(0))
                head, element[there] = head_of[place[there]], inner[place[there]]
                leaf_of[there] = np.where(head < 0, -1, indices[head])
        return cls(leaf_of, element)

    def shaped(self, shape: tuple[int, ...]) -> _Origin:
        return _Origin(self.leaf.reshape(shape), self.element.reshape(shape))

    def by_row(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Leaves and elements, [A, columns] each."""
        size = self.leaf.shape[axis]
        return np.moveaxis(self.leaf, axis, -1).reshape(-1, size), np.moveaxis(self.element, axis, -1).reshape(-1, size)


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where each element of `read`, of one image, comes from; and the `objectness` that it is multiplied with, if it is."""

    leaves: Sequence[Leaf]
    origin: _Origin
    objectness: _Origin | None
    probabilities: np.ndarray
    read: Value
    shapes: Mapping[Value, tuple[int, ...]]

    @classmethod
    def of(cls, probe: Probe, leaves: Sequence[Leaf], read: Value) -> Provenance:
        """Told by running. Raises ModelError where a value has no batch."""
        heads = list(dict.fromkeys(leaf.head for leaf in leaves))
        probabilities, *arrays = probe.run({}, read, *heads)
        for value, array in ((read, probabilities), *zip(heads, arrays, strict=True)):
            if array.ndim < 2 or len(array) != probe.batch:
                raise ModelError(f"'{value.name}' {list(array.shape)} has no batch of its own on axis 0")
            if not array.size:
                raise ModelError(f"'{value.name}' {list(array.shape)} holds nothing")
        narrow = _narrow_sides(probe, leaves)
        others = [leaf for leaf in leaves if leaf.product is not None and (leaf.product, leaf.side) in narrow]
        wide = [leaf for leaf in leaves if leaf not in others]
        shape = probabilities.shape[1:]
        ones = [list(dict.fromkeys(leaf.source for leaf in part)) for part in (wide, others)]
        origin = _Origin.of(probe, wide, read, ones[1]).shaped(shape)
        objectness = _Origin.of(probe, others, read, ones[0]).shaped(shape) if others else None
        if objectness is not None:
            objectness = replace(objectness, leaf=np.where(objectness.leaf < 0, -1, objectness.leaf + len(wide)))
        shapes = {value: array.shape[1:] for value, array in zip(heads, arrays, strict=True)}
        return cls([*wide, *others], origin, objectness, probabilities[0], read, shapes)

    def rows(self, name: str, placed: Mapping[Value, Place]) -> Rows:
        """The rows and their factors. Raises ModelError where they are not laid out as rows and classes."""
        axis, columns = self._class_axis(placed)
        leaf, element = self.origin.by_row(axis)
        flat = np.moveaxis(np.arange(self.origin.leaf.size).reshape(self.origin.leaf.shape), axis, -1).reshape(leaf.shape)
        if len(leaf) == 1 and not any(item.head in placed for item in self.leaves):
            raise ModelError("it is a single row, as a classifier gives, of which targets are all, top:K, ids or asked")
        groups = self._groups(leaf, columns)
        classes = groups[-1]
        factors = [self._factor(leaf[:, group], element[:, group], placed) for group in groups[::-1]]
        objectness = flat[:, groups[0][0]] if len(groups) == 2 else None
        if len(groups) == 1 and self._is_first_objectness(factors[0], axis, columns):
            factors = [self._factor(leaf[:, g], element[:, g], placed) for g in (classes[1:], classes[:1])]
            objectness, classes = flat[:, classes[0]], classes[1:]
        self._hold_softmax(factors[0], leaf[:, classes])
        if self.objectness is not None:
            if len(factors) > 1:
                raise ModelError("its scores are products of more than a class and an objectness")
            leaf, element = self.objectness.by_row(axis)
            factors.append(self._factor_of_products(leaf[:, classes], element[:, classes], placed))
        probabilities = np.moveaxis(self.probabilities, axis, -1).reshape(leaf.shape)[:, classes]
        # beside an objectness, no class stands for none
        background = _background(probabilities) if factors[0].squash == "softmax" and len(factors) == 1 else None
        return Rows({name: self.read}, flat[:, classes], flat.size, tuple(factors), background, objectness)

    def _hold_softmax(self, factor: Factor, leaf: np.ndarray) -> None:
        """Hold a softmax to be among the classes that are scores. Raises ModelError."""
        for index in np.unique(leaf):
            squash = self.leaves[index].squash
            shape = None if squash is None else squash.outputs[0].shape
            if squash is not None and factor.squash == "softmax" and shape is not None:
                size = shape[squash.attributes["axes"][0]]
                if isinstance(size, int) and size != leaf.shape[1]:
                    raise ModelError(f"its softmax is among {size} classes, and {leaf.shape[1]} of them are in it")

    def _class_axis(self, placed: Mapping[Value, Place]) -> tuple[int, list[int]]:
        """The axis, without the batch, along which the classes of one row lie, and which of its indices are scores."""
        fitting = []
        for axis in range(self.origin.leaf.ndim):
            leaf, _ = self.origin.by_row(axis)
            columns = np.flatnonzero((leaf >= 0).all(axis=0))
            if not columns.size or (leaf >= 0).any(axis=0).sum() != columns.size:
                continue
            cells = np.moveaxis(self._cells(placed), axis, -1).reshape(leaf.shape)[:, columns]
            if (cells == cells[:, :1]).all():
                fitting.append((axis, columns.tolist()))
        if not fitting:
            unplaced = next(
                (leaf.head for leaf in self.leaves if leaf.head not in placed and len(self.shapes[leaf.head]) == 3), None
            )
            if unplaced is not None:
                raise ModelError(
                    f"which part of the image a cell of '{unplaced.name}' stands for is not told: what the model does to the "
                    "image first, as taking it out of its batch, is not followed"
                )
            raise ModelError("its scores are not laid out as rows of classes")
        # of a single class, the axis of classes is one of size 1, or that beside which there are boxes
        return max(fitting, key=lambda item: (len(item[1]), -self.origin.leaf.shape[item[0]], item[0]))

    def _cells(self, placed: Mapping[Value, Place]) -> np.ndarray:
        """For each element, a number of the level and cell that it belongs to; a query is a cell."""
        cells = np.full(self.origin.leaf.shape, -1)
        levels: dict[tuple[int, ...], int] = {}
        for index, leaf in enumerate(self.leaves):
            there = self.origin.leaf == index
            shape, axes = self.shapes[leaf.head], cell_axes(self.shapes[leaf.head], placed.get(leaf.head))
            grid = tuple(shape[a] for a in axes)
            level = levels.setdefault(grid, len(levels))
            where = np.unravel_index(np.maximum(self.origin.element[there], 0), shape)
            cells[there] = level * 2**32 + np.ravel_multi_index([where[a] for a in axes], grid)
        return cells

    def _groups(self, leaf: np.ndarray, columns: Sequence[int]) -> list[list[int]]:
        """The columns that are made of the same heads, an objectness first."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for column in columns:
            groups.setdefault(tuple(np.unique(leaf[:, column])), []).append(column)
        # scores stand side by side; what does not is of points beside a box, as whether they are seen
        parts = [group for group in groups.values() if group[-1] - group[0] == len(group) - 1]
        parts = sorted(parts, key=lambda group: (len(group), group[0]))
        if not parts:
            raise ModelError("no scores stand side by side in it")
        if len(parts) > 2 or (len(parts) == 2 and len(parts[0]) > 1):
            raise ModelError(f"its columns are scores of {len(parts)} sorts, and classes with one objectness are expected")
        return parts

    def _factor(self, leaf: np.ndarray, element: np.ndarray, placed: Mapping[Value, Place]) -> Factor:
        used = [int(index) for index in np.unique(leaf)]
        level = np.searchsorted(used, leaf[:, 0])
        squashes = {self.leaves[index].squash for index in used}
        kinds = {"logit" if node is None else node.kind for node in squashes}
        heads = tuple(Head(self.leaves[index].head, placed.get(self.leaves[index].head)) for index in used)
        if len(kinds) != 1:
            raise ModelError(f"its levels are squashed in different ways: {', '.join(sorted(kinds))}")
        return Factor(kinds.pop(), heads, level, element)

    def _factor_of_products(self, leaf: np.ndarray, element: np.ndarray, placed: Mapping[Value, Place]) -> Factor:
        """The objectness that scores [A, C] are multiplied with. Raises ModelError unless each row has one."""
        if (leaf < 0).any() or (leaf != leaf[:, :1]).any() or (element != element[:, :1]).any():
            raise ModelError("its scores are multiplied with what is not an objectness of each row")
        return self._factor(leaf[:, :1], element[:, :1], placed)

    def _is_first_objectness(self, factor: Factor, axis: int, columns: Sequence[int]) -> bool:
        """Whether one convolution makes boxes, an objectness and classes, as in YOLOv3 to v7."""
        beside = self.origin.leaf.shape[axis] - len(columns)
        if factor.squash != "sigmoid" or beside < 4 or columns[0] != beside:
            return False
        channels = [_channels(self.shapes[head.value], head.place) for head in factor.heads]
        cells = [np.unique(factor.element[factor.level == i][:, 0]).size for i in range(len(factor.heads))]
        grids = [head.place.grid if head.place else None for head in factor.heads]
        if any(grid is None for grid in grids):
            return False
        anchors = [count // (grid[0] * grid[1]) for count, grid in zip(cells, grids, strict=True)]  # type: ignore[index,operator]
        return all(count == anchors[i] * self.origin.leaf.shape[axis] for i, count in enumerate(channels))


def _narrow_sides(probe: Probe, leaves: Sequence[Leaf]) -> set[tuple[Node, int]]:
    """Of each product, the operand with an element for each row: that with fewer, or the one that repeats them."""
    narrow = set()
    for product in {leaf.product for leaf in leaves if leaf.product is not None}:
        pair = [product.operand(side) for side in (0, 1)]
        sizes = [probe.distinct(value, [leaf.end for leaf in leaves if leaf.source is value]) for value in pair]
        narrow.add((product, int(np.argmin(sizes))))
    return narrow


def _channels(shape: tuple[int, ...], place: Place | None) -> int:
    axes = cell_axes(shape, place)
    return int(np.prod([size for axis, size in enumerate(shape) if axis not in axes]))


def _background(probabilities: np.ndarray) -> int | None:
    """The first or the last class, where it is what most rows of noise hold."""
    best = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    index = int(best.argmax())
    return index if index in (0, len(best) - 1) and best[index] > len(probabilities) / 2 else None
