"""The likeness of vectors, explained: how much a model's vector has in common with one of each image, which an input tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openvino_xai.contract import VECTOR, Measure
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace, numpy_namespace
from openvino_xai.locate.tasks.vector import Vector
from openvino_xai.tail.target import Columns, Likeness, Pick


@dataclass(frozen=True, eq=False)
class Vectors:
    """One vector of each image, `value` [B, E], of an input."""

    value: Value
    input: Value
    count: int = 1

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The input, by its name."""
        return {VECTOR: self.input}

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Vectors:
        """These vectors for a number of copies of each image, [B * copies, E]."""
        if copies == 1:
            return self
        length = shape_of(self.value)[1]
        spread = xp.broadcast_to(xp.reshape(self.value, (batch, 1, length)), (batch, copies, length))
        return replace(self, value=xp.reshape(spread, (batch * copies, length)))

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B, E]: the vectors, which are the derivative of a product with them."""
        return xp.astype(self.value, dtype)


@dataclass(frozen=True, eq=False)
class VectorTarget:
    """The likeness of the vector of a model to others: the product of the two, or of both at length 1, which is the cosine.

    A vector of zeros has likeness 0 to all.
    """

    scores: Vector
    pick: Likeness

    @property
    def measure(self) -> Measure:
        """`cosine` or `dot`."""
        return self.pick.measure

    @property
    def read(self) -> Value:
        """The vector, ahead of what rounds it."""
        return self.scores.value

    @property
    def squash(self) -> str:
        """`cosine` for what brings vectors to length 1, `logit` for nothing."""
        return "cosine" if self.measure == "cosine" else "logit"

    @property
    def scale(self) -> str:
        """The measure."""
        return self.measure

    @property
    def count(self) -> int:
        """1: there is one likeness of each image."""
        return 1

    def as_probability(self) -> VectorTarget:
        """The same: there is no other scale."""
        return self

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""
        return {"task": "vector", "score": self.measure, "scores": self.scores.name, "targets": str(self.pick)}

    def selection(self, xp: Trace, batch: Size) -> Vectors:
        """The vectors of an input [B, E]."""
        vectors = Value(VECTOR, (batch, self.scores.classes), np.dtype(np.float32))
        return Vectors(vectors, vectors)

    def outputs(self, xp: Trace, selection: Vectors) -> dict[str, Value]:
        """None: who asks knows."""
        return {}

    def slice(self, selection: Vectors) -> Columns | None:
        """None: all of a vector is needed."""
        return None

    def scores_of(self, xp: Trace, y: Value, selection: Vectors, sizes: tuple[Size, Size], *, is_slice: bool = False) -> Value:
        """[B, N, 1], f32: the likeness of the end's value [B * N, E, ...] to the vector of its image; `sizes` are (B, N)."""
        vectors = xp.reshape(xp.astype(y, np.float32), (*sizes, self.scores.classes))
        others = xp.reshape(selection.value, (sizes[0], self.scores.classes, 1))
        if self.measure == "cosine":
            vectors, others = _at_length_1(xp, vectors, axis=2), _at_length_1(xp, others, axis=1)
        return xp.matmul(vectors, others)

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """[R, E, ...]: the derivative by the end's value y, for vectors `g`.

        Of the cosine it is (g / |g| - cos y / |y|) / |y|.
        """
        axes = tuple(range(1, len(shape_of(y))))
        wide, other = xp.astype(y, np.float32), _at_length_1(xp, xp.astype(g, np.float32), axis=axes)
        direction = _at_length_1(xp, wide, axis=axes)
        cosine = xp.sum(xp.multiply(direction, other), axis=axes, keepdims=True)
        across = xp.subtract(other, xp.multiply(cosine, direction))
        return xp.astype(xp.divide(across, _length(xp, wide, axis=axes)), y.dtype)

    def reference(self, y: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, 1], f64: the likeness of what a run returned as the end's value [B, E, ...], to the vectors in `beside`."""
        vectors = y.reshape(len(y), -1).astype(np.float64)
        return likeness(vectors, beside[VECTOR][: len(y)].astype(np.float64), self.measure)[:, None]

    def examples(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Vectors that are between those of other images and noise of the same length: neither near nor across."""
        returned = outputs[self.scores.name]
        vectors = returned.reshape(len(returned), -1).astype(np.float64)
        noise = np.random.default_rng(4).standard_normal(vectors.shape)
        lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True) / (noise**2).sum(axis=1, keepdims=True))
        return {VECTOR: (np.roll(vectors, 1, axis=0) + lengths * noise).astype(np.float32)}

    def explained(
        self, outputs: Mapping[str, np.ndarray], hooked: Mapping[str, np.ndarray], beside: Mapping[str, np.ndarray]
    ) -> list[list[tuple[int, int]]]:
        """The only map of each image."""
        return [[(0, 0)] for _ in outputs[self.scores.name]]

    def alone(self, columns: Sequence[int]) -> Pick:
        """The same pick: there is but one column."""
        return self.pick

    def terms(self, column: int) -> Sequence[int]:
        """The likeness itself."""
        return [column]


def likeness(vectors: np.ndarray, others: np.ndarray, measure: Measure) -> np.ndarray:
    """[B]: the likeness of each of `vectors` [B, E] to its one of `others` [B, E]; the cosine is in [-1, 1]."""
    xp = numpy_namespace()
    if measure == "cosine":
        vectors, others = _at_length_1(xp, vectors, axis=1), _at_length_1(xp, others, axis=1)
    return np.asarray((vectors * others).sum(axis=1))


def _length(xp: Namespace, x: Array, *, axis: int | tuple[int, ...]) -> Array:
    """The length of vectors along some axes, 1 for those of zeros, which nothing is divided by."""
    # the largest item is taken out first: its square may be more than f32 holds
    largest = _one_for_zero(xp, xp.max(xp.maximum(x, xp.multiply(x, -1.0)), axis=axis, keepdims=True))
    scaled = xp.divide(x, largest)
    return _one_for_zero(xp, xp.multiply(largest, xp.sqrt(xp.sum(xp.multiply(scaled, scaled), axis=axis, keepdims=True))))


def _one_for_zero(xp: Namespace, x: Array) -> Array:
    return xp.where(xp.equal(x, 0.0), 1.0, x)


def _at_length_1(xp: Namespace, x: Array, *, axis: int | tuple[int, ...]) -> Array:
    return xp.divide(x, _length(xp, x, axis=axis))
