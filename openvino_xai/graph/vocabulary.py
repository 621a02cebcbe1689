"""`xp`: the words that hooks and plans are written in.

A subset of the Python array-API standard (names and meaning as there), and a few words it lacks. `Trace` records them as
neutral nodes, which a dialect emits; `numpy_namespace()` computes them, so that a hook run on arrays is its own reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.graph.sizes import Shape

Array: TypeAlias = Any  # a Value while a plan is traced, a numpy array in the reference
Axis: TypeAlias = "int | tuple[int, ...]"


class Namespace(Protocol):
    """Every word: what a dialect must be able to emit, and no more."""

    def add(self, a: Array, b: Array, /) -> Array: ...
    def subtract(self, a: Array, b: Array, /) -> Array: ...
    def multiply(self, a: Array, b: Array, /) -> Array: ...
    def divide(self, a: Array, b: Array, /) -> Array: ...
    def equal(self, a: Array, b: Array, /) -> Array: ...
    def greater(self, a: Array, b: Array, /) -> Array: ...
    def maximum(self, a: Array, b: Array, /) -> Array: ...
    def minimum(self, a: Array, b: Array, /) -> Array: ...
    def where(self, condition: Array, a: Array, b: Array, /) -> Array: ...
    def exp(self, x: Array, /) -> Array: ...
    def log(self, x: Array, /) -> Array: ...
    def sqrt(self, x: Array, /) -> Array: ...
    def tanh(self, x: Array, /) -> Array: ...
    def sin(self, x: Array, /) -> Array: ...
    def cos(self, x: Array, /) -> Array: ...
    def round(self, x: Array, /) -> Array: ...
    def astype(self, x: Array, dtype: Any, /) -> Array: ...
    def max(self, x: Array, /, *, axis: Axis, keepdims: bool = False) -> Array: ...
    def min(self, x: Array, /, *, axis: Axis, keepdims: bool = False) -> Array: ...
    def mean(self, x: Array, /, *, axis: Axis, keepdims: bool = False) -> Array: ...
    def sum(self, x: Array, /, *, axis: Axis, keepdims: bool = False) -> Array: ...
    def matmul(self, a: Array, b: Array, /) -> Array: ...
    def reshape(self, x: Array, /, shape: Shape) -> Array: ...
    def permute_dims(self, x: Array, /, axes: tuple[int, ...]) -> Array: ...
    def broadcast_to(self, x: Array, /, shape: Shape) -> Array: ...
    def concat(self, arrays: Sequence[Array], /, *, axis: int) -> Array: ...
    def take(self, x: Array, indices: Array, /, *, axis: int) -> Array: ...
    def take_along_axis(self, x: Array, indices: Array, /, *, axis: int) -> Array: ...

    # beyond the standard
    def sigmoid(self, x: Array, /) -> Array:
        """1 / (1 + exp(-x))"""

    def erf(self, x: Array, /) -> Array:
        """The integral of 2 / sqrt(pi) exp(-t^2) from 0 to x"""

    def softmax(self, x: Array, /, *, axis: int) -> Array:
        """exp(x) over its sum along `axis`"""

    def top_k(self, x: Array, k: int, /, *, axis: int, ordered: bool = True) -> Array:
        """The indices of the `k` largest along `axis`, i64: the largest first, or in any order; of equals, any"""

    def scatter_add(self, x: Array, indices: Array, updates: Array, /, *, axis: int) -> Array:
        """`x` with each of `updates` added at its index along `axis`; `indices`, i64, have the shape of the updates"""

    def conv(
        self,
        x: Array,
        weights: Array,
        /,
        *,
        strides: Sequence[int],
        pads: Sequence[int],
        dilations: Sequence[int],
        groups: int,
    ) -> Array:
        """A convolution of x [B, C, ...] by `weights` [O, C / groups, *kernel], [B, O, ...].

        Weights of more groups than one are laid out as the dialect's own convolutions read them, as in `conv_transpose`.
        """

    def conv_transpose(
        self,
        x: Array,
        weights: Array,
        /,
        *,
        strides: Sequence[int],
        pads: Sequence[int],
        dilations: Sequence[int],
        groups: int,
        output_padding: Sequence[int],
    ) -> Array:
        """A convolution by `weights` [O, C / groups, *kernel], turned around: x is [B, O, ...], and [B, C, ...] is made of it.

        Weights of more groups than one are laid out as the dialect's own convolutions read them: so, or by group, [groups,
        O / groups, C / groups, *kernel]. `pads` are all begins, then all ends.
        """


JOIN = "join"  # how the names of nodes end that the model's own nodes read

WORDS = tuple(name for name in vars(Namespace) if not name.startswith("_"))


def numpy_namespace() -> SimpleNamespace:
    """The vocabulary on numpy arrays."""
    functions = {
        "sigmoid": _sigmoid,
        "erf": np.vectorize(math.erf, otypes=[np.float64]),
        "softmax": _softmax,
        "top_k": _top_k,
        "scatter_add": _scatter_add,
        "conv": _conv,
        "conv_transpose": _conv_transpose,
    }
    return SimpleNamespace(**{word: functions.get(word) or getattr(np, word) for word in WORDS})


def _sigmoid(x: np.ndarray, /) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _softmax(x: np.ndarray, /, *, axis: int) -> np.ndarray:
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))


def _top_k(x: np.ndarray, k: int, /, *, axis: int, ordered: bool = True) -> np.ndarray:
    return np.take(np.argsort(-x, axis=axis, kind="stable"), np.arange(k), axis=axis)


def _scatter_add(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, /, *, axis: int) -> np.ndarray:
    result = x.copy()
    places: list[np.ndarray] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    np.add.at(result, tuple(places), updates)
    return result


def _conv(
    x: np.ndarray,
    weights: np.ndarray,
    /,
    *,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> np.ndarray:
    """The sum over the kernel of what lies under it, times its weights."""
    n = x.ndim - 2
    kernel = weights.shape[-n:]
    by_group = weights.reshape(groups, -1, weights.shape[-n - 1], *kernel)
    padded = np.pad(x, [(0, 0), (0, 0), *((pads[i], pads[i + n]) for i in range(n))])
    sizes = [
        (size - (k - 1) * d - 1) // s + 1 for size, k, d, s in zip(padded.shape[2:], kernel, dilations, strides, strict=True)
    ]
    grouped = padded.reshape(len(x), groups, -1, *padded.shape[2:])
    output = np.zeros((len(x), groups, by_group.shape[1], *sizes), x.dtype)
    steps = list(zip(dilations, sizes, strides, strict=True))
    for offset in np.ndindex(*kernel):
        there = [slice(i * d, i * d + (size - 1) * s + 1, s) for i, (d, size, s) in zip(offset, steps, strict=True)]
        output += np.einsum("bgc...,goc->bgo...", grouped[(..., *there)], by_group[(..., *offset)])  # type: ignore[arg-type]
    return output.reshape(len(x), -1, *sizes)


def _conv_transpose(
    x: np.ndarray,
    weights: np.ndarray,
    /,
    *,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    output_padding: Sequence[int],
) -> np.ndarray:
    """Each element of x, times the kernel, added where the kernel read from."""
    n = x.ndim - 2
    kernel = weights.shape[-n:]
    by_group = weights.reshape(groups, -1, weights.shape[-n - 1], *kernel)
    padded = [
        (size - 1) * s + (k - 1) * d + 1 + o
        for size, s, k, d, o in zip(x.shape[2:], strides, kernel, dilations, output_padding, strict=True)
    ]
    output = np.zeros((len(x), groups, by_group.shape[2], *padded), x.dtype)
    grouped = x.reshape(len(x), groups, -1, *x.shape[2:])
    steps = list(zip(dilations, x.shape[2:], strides, strict=True))
    for offset in np.ndindex(*kernel):
        there = [slice(i * d, i * d + (size - 1) * s + 1, s) for i, (d, size, s) in zip(offset, steps, strict=True)]
        output[(..., *there)] += np.einsum("bgo...,goc->bgc...", grouped, by_group[(..., *offset)])  # type: ignore[arg-type]
    inner = [slice(pads[i], size - pads[i + n]) for i, size in enumerate(padded)]
    return output.reshape(len(x), -1, *padded)[(..., *inner)]  # type: ignore[arg-type]
