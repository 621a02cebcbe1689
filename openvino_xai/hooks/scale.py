"""How maps leave the model: as scores, in [0, 1], or in bytes."""

from __future__ import annotations

from collections.abc import Callable

from openvino_xai.graph.vocabulary import Array, Namespace


def unit(xp: Namespace, maps: Array) -> Array:
    """Maps [B, K, H, W] in [0, 1]: (y - min) / (max - min) over the cells of each map; a constant map is 0."""
    low = xp.min(maps, axis=(2, 3), keepdims=True)
    spread = xp.subtract(xp.max(maps, axis=(2, 3), keepdims=True), low)
    return xp.divide(xp.subtract(maps, low), xp.where(xp.greater(spread, 0.0), spread, 1.0))


def u8(xp: Namespace, maps: Array) -> Array:
    """Maps [B, K, H, W] in 0..255, bytes: `unit`, times 255, rounded to even."""
    return xp.astype(xp.round(xp.multiply(unit(xp, maps), 255.0)), "uint8")


def none(xp: Namespace, maps: Array) -> Array:
    """Maps [B, K, H, W] as they are: raw scores."""
    return maps


SCALES: dict[str, Callable[[Namespace, Array], Array]] = {"unit": unit, "u8": u8, "none": none}
