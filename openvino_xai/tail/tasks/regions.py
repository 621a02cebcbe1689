"""Regions of pixels, explained: what a segmentation model makes of a class over the pixels of a mask.

The score is the mean of the class's logits over the region. Resizes behind the logits are linear: they are not carried out
again, but their weights are brought to the region, on the grid of the logits. The region is that of the image as it is, and
stays what it is while features are masked or the image changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from openvino_xai.contract import CLASS, MASK, WANTED
from openvino_xai.errors import PlanError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace, numpy_namespace
from openvino_xai.locate.tasks.regions import PixelScores
from openvino_xai.tail.target import AtRunTime, Columns, Ids, Pick, TopK, count_of, within

ABSENT = -1  # the class of a map where an image shows fewer classes


@dataclass(frozen=True)
class PixelClasses:
    """How an output tells the class of each pixel: by scores of `classes` on an `axis`, or itself, for None.

    Its `cells` are the axes of rows and columns.
    """

    classes: int
    axis: int | None
    cells: tuple[int, int]
    is_probability: bool

    @classmethod
    def of(cls, record: Mapping[str, str]) -> PixelClasses:
        """As a hook's record tells it."""
        axis, height, width = record["axes"].split(",")
        is_probability = record["output"] != "logit"
        return cls(int(record["classes"]), None if axis == "none" else int(axis), (int(height), int(width)), is_probability)

    @classmethod
    def of_output(cls, scores: PixelScores) -> PixelClasses:
        """As was located."""
        return cls(scores.classes, scores.output_axis, scores.output_cells, scores.is_probability)

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""
        axes = ",".join(map(str, ("none" if self.axis is None else self.axis, *self.cells)))
        return {"classes": str(self.classes), "axes": axes, "output": "softmax" if self.is_probability else "logit"}


@dataclass(frozen=True, eq=False)
class Regions:
    """K regions of each image: `classes` [K], or [B, K] where each image has its own, and `weights` [B, K, h, w] of logits.

    The weights of a region sum to 1, or are 0 where it holds no pixel. `absent` [B, K] is true for those; None where it tells
    nothing that a client does not know.
    """

    scores: PixelScores
    classes: Array
    weights: Value
    absent: Value | None = None
    inputs: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def count(self) -> int:
        """K."""
        count = shape_of(self.weights)[1]
        assert isinstance(count, int)
        return count

    def classes_of(self, xp: Trace, batch: Size) -> Value:
        """[B, K], i64."""
        if len(self.classes.shape) == 2:
            return xp.reshape(self.classes, (batch, self.count))
        return xp.broadcast_to(np.asarray(self.classes)[None], (batch, self.count))

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Regions:
        """These regions for a number of copies of each image."""
        if copies == 1:
            return self
        shape = shape_of(self.weights)[1:]
        spread = xp.broadcast_to(xp.reshape(self.weights, (batch, 1, *shape)), (batch, copies, *shape))
        classes = xp.reshape(self.classes_of(xp, batch), (batch, 1, self.count))
        return replace(
            self,
            classes=xp.reshape(xp.broadcast_to(classes, (batch, copies, self.count)), (batch * copies, self.count)),
            weights=xp.reshape(spread, (batch * copies, *shape)),
        )

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B * K, ...], in the axes of the logits: the weights at the region's own class, 0 at the others."""
        batch, total = shape_of(self.weights)[0], self.scores.classes
        height, width = shape_of(self.weights)[2:]
        own_class = xp.equal(xp.reshape(self.classes_of(xp, batch), (rows, 1, 1, 1)), np.arange(total).reshape(1, total, 1, 1))
        # chosen and not multiplied: OpenVINO 2026.4 merges a product by channel with a transposed convolution behind it, and
        # fails where the weights of that are dequantised
        seed = xp.where(own_class, xp.reshape(self.weights, (rows, 1, height, width)), np.float32(0))
        return xp.astype(xp.permute_dims(seed, _inverse(_by_class(self.scores))), dtype)


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """Classes over regions of the pixels: those that the model predicts for the class, or one that an input tells."""

    scores: PixelScores
    pick: Pick

    @property
    def read(self) -> Value:
        """The logits of pixels."""
        return self.scores.value

    @property
    def squash(self) -> str:
        """Nothing: logits are read."""
        return "logit"

    @property
    def scale(self) -> str:
        """Logits."""
        return "logit"

    @property
    def count(self) -> int:
        """K, the number of regions of each image."""
        return count_of(self.pick, self.scores.classes)

    def as_probability(self) -> RegionTarget:
        """The same: the mean of logits over a region has no other scale."""
        return self

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""
        return {
            "task": "regions",
            "score": "logit",
            "scores": self.scores.name,
            "targets": str(self.pick),
            "pixels": "x".join(map(str, self.scores.size)),
            **PixelClasses.of_output(self.scores).record(),
        }

    def selection(self, xp: Trace, batch: Size) -> Regions:
        """The regions that are picked, for `batch` images."""
        scores, total = self.scores, self.scores.classes
        if isinstance(self.pick, AtRunTime):
            label = Value(WANTED, (batch,), np.dtype(np.int64))
            mask = Value(MASK, (batch, *scores.size), np.dtype(np.bool_))
            masks = xp.reshape(mask, (batch, 1, *scores.size))
            weights, _ = _weights(xp, scores, masks)
            nearest = xp.reshape(within(xp, label, total)[0], (batch, 1))
            return Regions(scores, nearest, weights, inputs={WANTED: label, MASK: mask})
        predicted = predictions(xp, PixelClasses.of_output(scores), scores.output)  # [B, 1, H, W]
        match self.pick:
            case TopK(k):
                each = xp.equal(predicted, np.arange(total).reshape(1, total, 1, 1))
                areas = xp.sum(xp.astype(each, np.float32), axis=(2, 3))
                classes: Array = xp.top_k(areas, k, axis=1)
                places = xp.reshape(classes, (batch, k, 1, 1))
            case Ids(ids):
                classes = np.array(ids, np.int64)
                places = classes.reshape(1, -1, 1, 1)
            case _:
                classes = np.arange(total)
                places = classes.reshape(1, -1, 1, 1)
        weights, empty = _weights(xp, scores, xp.equal(predicted, places))
        return Regions(scores, classes, weights, absent=empty if isinstance(self.pick, TopK) else None)

    def outputs(self, xp: Trace, selection: Regions) -> dict[str, Value]:
        """The classes of maps, -1 where an image shows fewer, where no client knows them."""
        if selection.absent is None:
            return {}
        return {CLASS: xp.where(selection.absent, np.int64(ABSENT), selection.classes)}

    def slice(self, selection: Regions) -> Columns | None:
        """The classes that a tail may compute alone, where all images have the same, on the axis where slicing looks."""
        if isinstance(self.pick, Ids) and self.scores.axis == 1:
            return Columns(self.scores.classes, np.array(self.pick.ids, np.int64))
        return None

    def scores_of(self, xp: Trace, y: Value, selection: Regions, sizes: tuple[Size, Size], *, is_slice: bool = False) -> Value:
        """[B, N, K], f32: the mean logit of each region's class, of the end's value [B * N, ...] or of a slice."""
        batch, masks = sizes
        count = selection.count
        total = count if is_slice else self.scores.classes
        height, width = shape_of(selection.weights)[2:]
        laid = xp.permute_dims(xp.astype(y, np.float32), _by_class(self.scores))
        logits = xp.reshape(laid, (batch, masks * total, height * width))
        weights = xp.permute_dims(xp.reshape(selection.weights, (batch, count, height * width)), (0, 2, 1))
        means = xp.reshape(xp.matmul(logits, weights), (batch, masks, total, count))  # of each class over each region
        if is_slice:
            classes = xp.broadcast_to(np.arange(count).reshape(1, 1, 1, count), (batch, masks, 1, count))
        else:
            classes = xp.reshape(selection.classes_of(xp, batch), (batch, 1, 1, count))
            classes = xp.broadcast_to(classes, (batch, masks, 1, count))
        return xp.reshape(xp.take_along_axis(means, classes, axis=2), (batch, masks, count))

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """The same: nothing squashes the logits."""
        return g

    def reference(self, y: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, C], f64: the mean logit of each class over its own region; or [B, 1], of the class and mask in `beside`."""
        scores, logits = self.scores, self._enlarged(y)
        if isinstance(self.pick, AtRunTime):
            masks = beside[MASK][: len(y), None]
            logits = np.take_along_axis(logits, beside[WANTED][: len(y)].reshape(-1, 1, 1, 1), axis=1)
        else:
            masks = self._predicted(beside) == np.arange(scores.classes).reshape(1, -1, 1, 1)
        return np.asarray((logits * masks).sum(axis=(2, 3)) / np.maximum(masks.sum(axis=(2, 3)), 1))

    def disagreement(self, y: np.ndarray, outputs: Mapping[str, np.ndarray]) -> float:
        """The share of pixels, in [0, 1], whose class is not that of the largest of the logits `y`, enlarged as the model does.

        It is 0 but for rounding, where nothing squashes the logits before they are enlarged; there it is 0 and tells nothing.
        """
        if self.scores.is_probability and self.scores.rows is not None:
            return 0.0
        logits = self._enlarged(y)
        expected = logits.argmax(axis=1) if self.scores.classes > 1 else (logits[:, 0] > 0).astype(np.int64) - 1
        return float((expected != self._predicted(outputs)[:, 0]).mean())

    def _enlarged(self, y: np.ndarray) -> np.ndarray:
        """[B, C, H, W], f64: the logits of all pixels of the output, of the end's value."""
        logits = y.astype(np.float64).transpose(_by_class(self.scores))
        for weights, axis in ((self.scores.rows, 2), (self.scores.columns, 3)):
            if weights is not None:
                logits = np.moveaxis(np.tensordot(logits, weights, axes=(axis, 1)), -1, axis)
        return logits

    def examples(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of every other image the class with the largest region and half of its pixels; of the others, any class and pixel."""
        if not isinstance(self.pick, AtRunTime):
            return {}
        predicted = self._predicted(outputs)[:, 0]
        rng = np.random.default_rng(5)
        labels = np.array([self._areas(image).argmax() for image in predicted])
        masks = (predicted == labels[:, None, None]) & (rng.random(predicted.shape) < 0.5)
        for image in range(1, len(masks), 2):
            labels[image] = rng.integers(self.scores.classes)
            masks[image] = False
            masks[(image, *(rng.integers(size) for size in self.scores.size))] = True
        return {WANTED: labels.astype(np.int64), MASK: masks}

    def explained(
        self, outputs: Mapping[str, np.ndarray], hooked: Mapping[str, np.ndarray], beside: Mapping[str, np.ndarray]
    ) -> list[list[tuple[int, int]]]:
        """For each image the maps as (index, class), the largest regions ahead. Raises VerificationError for other regions."""
        if isinstance(self.pick, AtRunTime):
            return [[(0, 0)] for _ in outputs[self.scores.name]]
        predicted = self._predicted(outputs)
        areas = np.stack([self._areas(image) for image in predicted])
        ids: Iterable[Iterable[int]] = [range(self.scores.classes)] * len(areas)
        if isinstance(self.pick, (Ids, TopK)):
            ids = hooked[CLASS] if isinstance(self.pick, TopK) else [self.pick.ids] * len(areas)
        pairs = [[(index, int(k)) for index, k in enumerate(row) if k != ABSENT] for row in ids]
        if isinstance(self.pick, TopK):
            for row, image in zip(pairs, areas, strict=True):
                largest = [area for area in np.sort(image)[::-1][: self.pick.k] if area]
                ids_of_row = {k for _, k in row} & set(range(self.scores.classes))
                if [image[k] for _, k in row if k in ids_of_row] != largest or len(ids_of_row) < len(row):
                    raise VerificationError(f"'{CLASS}' does not tell the classes with the largest predicted regions")
        return [sorted(row, key=lambda pair: -areas[image, pair[1]]) for image, row in enumerate(pairs)]

    def _areas(self, predicted: np.ndarray) -> np.ndarray:
        """[C]: how many pixels are taken for each class."""
        return np.bincount(predicted[predicted >= 0], minlength=self.scores.classes)

    def _predicted(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, 1, H, W]: the class of each pixel that the model returned."""
        pixels = PixelClasses.of_output(self.scores)
        return np.asarray(predictions(numpy_namespace(), pixels, outputs[self.scores.name]))

    def alone(self, columns: Sequence[int]) -> Pick:
        """Some classes over their own regions; or the one that is told."""
        return self.pick if isinstance(self.pick, AtRunTime) else Ids(tuple(columns))

    def terms(self, column: int) -> Sequence[int]:
        """The region itself."""
        return [column]


def predictions(xp: Namespace, pixels: PixelClasses, output: Array) -> Array:
    """[B, 1, H, W], i64: the class of each pixel, of what the model returns.

    Of a single class, 0 where its probability is above a half, and -1 elsewhere.
    """
    if pixels.axis is None:
        return xp.reshape(xp.astype(output, np.int64), (output.shape[0], 1, *(output.shape[a] for a in pixels.cells)))
    laid = xp.permute_dims(output, (0, pixels.axis, *pixels.cells))
    if pixels.classes > 1:
        return xp.top_k(xp.astype(laid, np.float32), 1, axis=1)
    level = np.float32(0.5 if pixels.is_probability else 0)
    return xp.subtract(xp.astype(xp.greater(xp.astype(laid, np.float32), level), np.int64), np.int64(1))


def _weights(xp: Trace, scores: PixelScores, masks: Value) -> tuple[Value, Value]:
    """[B, K, h, w], f32, and [B, K]: what logits weigh in means over masks [B, K, H, W], and which masks are empty."""
    mask = xp.astype(masks, np.float32)
    areas = xp.sum(mask, axis=(2, 3), keepdims=True)
    shares = xp.divide(mask, xp.maximum(areas, np.float32(1)))
    if scores.rows is not None:
        shares = xp.matmul(np.ascontiguousarray(scores.rows.T, np.float32), shares)
    if scores.columns is not None:
        shares = xp.matmul(shares, np.ascontiguousarray(scores.columns, np.float32))
    return shares, xp.equal(xp.reshape(areas, shape_of(masks)[:2]), np.float32(0))


def _by_class(scores: PixelScores) -> tuple[int, int, int, int]:
    """The axes of logits as [B, C, h, w]. Raises PlanError where the batch is elsewhere."""
    if scores.place.batch != 0:
        raise PlanError(f"output '{scores.name}' has its batch on axis {scores.place.batch}; axis 0 is expected")
    height, width = scores.place.cells
    return 0, scores.axis, height, width


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.argsort(axes))
