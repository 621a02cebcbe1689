"""Numbers of a detector's rows, out of what its outputs hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.graph.sizes import product
from openvino_xai.graph.vocabulary import Array, Namespace


def gathered(xp: Namespace, arrays: Sequence[Array], places: np.ndarray) -> Array:
    """[B, A, n], f32: elements `places` [A, n] of arrays [B, ...], counted one array after the other."""
    first, shape = xp.astype(arrays[0], np.float32), tuple(arrays[0].shape)
    if len(arrays) == 1 and len(shape) == 3:  # runtimes copy columns much faster than single elements
        if (columns := columns_of(places, shape)) is not None:
            return xp.take(first, columns, axis=2)
        if (columns := columns_of(places.T, shape, transposed=True)) is not None:
            return xp.permute_dims(xp.take(first, columns, axis=1), (0, 2, 1))
    batch = shape[0]
    flat = [xp.astype(xp.reshape(array, (batch, product(array.shape[1:]))), np.float32) for array in arrays]
    everything = xp.concat(flat, axis=1) if len(flat) > 1 else flat[0]
    return xp.reshape(xp.take(everything, places.reshape(-1), axis=1), (batch, *places.shape))


def columns_of(places: np.ndarray, shape: Sequence[object], *, transposed: bool = False) -> np.ndarray | None:
    """The columns that hold the places [A, n] of [B, A, X], where they do for all rows; or those [n, A] of [B, X, A]."""
    _, rows, columns = shape
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    if not transposed:
        first = places[0]
        fits = places.shape[0] == rows and np.array_equal(places, np.arange(rows)[:, None] * columns + first)
        return first if fits and first.max() < columns else None
    first = places[:, 0]
    fits = places.shape[1] == columns and np.array_equal(places, first[:, None] + np.arange(columns))
    return first // columns if fits and not (first % columns).any() else None


def rows_at(xp: Namespace, values: Array, index: Array) -> Array:
    """[B, M, n]: the rows at `index` [B, M] of values [B, A, n], each image's own."""
    batch, _, width = values.shape
    count = index.shape[1]
    if batch == 1:
        return xp.take(values, xp.reshape(index, (count,)), axis=1)
    spread = xp.broadcast_to(xp.reshape(index, (batch, count, 1)), (batch, count, width))
    return xp.take_along_axis(values, spread, axis=1)
