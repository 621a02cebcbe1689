"""Resizes that treat each axis by itself, as matrices: which elements an element is made of, and in which shares.

Both dialects tell a resize in the same words. `mode` is nearest, linear, cubic or area. `coordinates` is ONNX's name for where
an element lies among those before. `rounding` is ONNX's name for which of two neighbours is the nearest, or simple: down where
it enlarges, else up. `factors` go with `axes`; where they are absent, they follow from the sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from openvino_xai.graph.model import Node
from openvino_xai.graph.trace import shape_of

Unscaled: TypeAlias = Callable[[np.ndarray], np.ndarray]  # lengths after, as lengths before


@dataclass(frozen=True)
class Axis:
    """One axis of a resize: its sizes, and the factor between them that runtimes calculate with."""

    before: int
    after: int
    factor: float


def resizes(node: Node) -> bool:
    """Whether a node is a resize, of which the attributes say what `weights_along` reads."""
    return node.kind == "resize"


def weights_along(node: Node, axis: int) -> np.ndarray | None:
    """What a resize multiplies its operand by along an axis [after, before], f64: the identity where it leaves the axis alone.

    None where that is not known: sizes that are open or 0, modes and coordinates without a rule, antialiasing, and elements
    that lie so exactly between two others that the arithmetic of a runtime decides.
    """
    a = node.attributes
    before, after = (shape_of(value)[axis] for value in (node.operand(0), node.outputs[0]))
    axis %= len(shape_of(node.operand(0)))
    if not isinstance(before, int) or not isinstance(after, int) or not before or not after:
        return None
    if axis not in a["axes"]:
        return np.eye(before) if before == after else None
    if a["mode"] == "area":
        return _area(before, after)
    factor = a["factors"][a["axes"].index(axis)] if "factors" in a else after / before
    if before == after and factor != 1:  # one runtime resizes, and the other copies
        return None
    if a["antialias"] or a["coordinates"] not in COORDINATES:
        return None
    along = Axis(before, after, factor)
    if a["mode"] == "nearest":
        return _nearest(along, a["coordinates"], a["rounding"])
    return _linear(along, a["coordinates"]) if a["mode"] == "linear" else None


def repetition(weights: np.ndarray) -> int | None:
    """How often each element is repeated, one after the other, where that is all that is done; else None."""
    after, before = weights.shape
    count, rest = divmod(after, before)
    return count if not rest and np.array_equal(weights, np.repeat(np.eye(before), count, axis=0)) else None


def _area(before: int, after: int) -> np.ndarray:
    """Means over windows that cover everything, and overlap where the sizes are no multiples."""
    starts = np.arange(after) * before // after
    ends = -(-(np.arange(after) + 1) * before // after)
    places = np.arange(before)
    inside = (places >= starts[:, None]) & (places < ends[:, None])
    return np.asarray(inside / (ends - starts)[:, None])


def _linear(along: Axis, coordinates: str) -> np.ndarray:
    """Shares of the two neighbours; beyond the ends those have all."""
    (places, *_) = _places(along, coordinates)
    places = np.clip(places, 0, along.before - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(along.before))))


def _nearest(along: Axis, coordinates: str, rounding: str) -> np.ndarray | None:
    """One for each element: None where runtimes that calculate otherwise pick another."""
    if rounding == "simple":
        rounding = "ceil" if along.factor < 1 else "floor"
    if rounding not in ROUNDINGS:
        return None
    picks = [np.clip(ROUNDINGS[rounding](places), 0, along.before - 1) for places in _places(along, coordinates)]
    if any(not np.array_equal(pick, picks[0]) for pick in picks):
        return None
    return np.asarray(picks[0][:, None] == np.arange(along.before), np.float64)


def _places(along: Axis, coordinates: str) -> Iterator[np.ndarray]:
    """Where each element lies among those before [after]: in f64, and in f32 as runtimes divide, or multiply by the inverse."""
    place, single = COORDINATES[coordinates], np.float32(along.factor)
    yield place(along, np.arange(along.after, dtype=np.float64), lambda x: x / along.factor)
    yield place(along, np.arange(along.after, dtype=np.float32), lambda x: x / single)
    yield place(along, np.arange(along.after, dtype=np.float32), lambda x: x * (np.float32(1) / single))


def _half_pixel(along: Axis, x: np.ndarray, unscaled: Unscaled) -> np.ndarray:
    return np.asarray(unscaled(x + x.dtype.type(0.5)) - x.dtype.type(0.5))


def _half_pixel_symmetric(along: Axis, x: np.ndarray, unscaled: Unscaled) -> np.ndarray:
    """As if the rest that a factor leaves were cut off at both ends."""
    cut = along.before / 2 * (1 - along.after / (along.factor * along.before))
    return np.asarray(_half_pixel(along, x, unscaled) + x.dtype.type(cut))


def _pytorch_half_pixel(along: Axis, x: np.ndarray, unscaled: Unscaled) -> np.ndarray:
    return _half_pixel(along, x, unscaled) if along.after > 1 else np.zeros_like(x)


def _align_corners(along: Axis, x: np.ndarray, unscaled: Unscaled) -> np.ndarray:
    return np.asarray(x * x.dtype.type(along.before - 1) / x.dtype.type(max(along.after - 1, 1)))


COORDINATES: dict[str, Callable[[Axis, np.ndarray, Unscaled], np.ndarray]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda along, x, unscaled: unscaled(x),
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "tf_half_pixel_for_nn": lambda along, x, unscaled: unscaled(x + x.dtype.type(0.5)),
}
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + x.dtype.type(0.5)),
    "round_prefer_floor": lambda x: np.ceil(x - x.dtype.type(0.5)),
}
