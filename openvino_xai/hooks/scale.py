"""How saliency leaves the model: as scores, in [0, 1], or in bytes.

Saliency comes as [B, N, K], the masks of an image before its classes: so laid out, runtimes reduce and divide along memory.
Maps that are made box by box come as [B, D, N], with N on axis 2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from openvino_xai.graph.vocabulary import Array, Axis, Namespace

SMALLEST = 1.1754944e-38  # the smallest normal number of f32: a map that is spread less than this is constant


MANY = 256  # masks: from here on ONNX Runtime takes a third of the time for extremes in two steps, and OpenVINO no more


def over_largest(xp: Namespace, maps: Array, *, axis: Axis) -> Array:
    """Maps of 0 or more, each divided by the largest of its values along `axis`; a map of zeros stays one."""
    return xp.divide(maps, xp.maximum(xp.max(maps, axis=axis, keepdims=True), SMALLEST))


def unit(xp: Namespace, saliency: Array, axis: int = 1) -> Array:
    """[B, N, K] in [0, 1]: (y - min) / (max - min) over the masks of each class, along `axis`; a constant map is 0."""
    low, high = _extremes(xp, saliency, axis)
    spread = xp.subtract(high, low)
    return xp.divide(xp.subtract(saliency, low), xp.maximum(spread, SMALLEST))


def _extremes(xp: Namespace, saliency: Array, axis: int) -> tuple[Array, Array]:
    """The least and the largest over the masks along `axis`: of many on axis 1 by parts, and then of these."""
    batch, masks, others = saliency.shape
    parts, ends = 1, (saliency, saliency)
    if axis == 1 and isinstance(masks, int) and masks >= MANY:
        parts = next(n for n in range(isqrt(masks), 0, -1) if masks % n == 0)
    if parts > 1:
        split = xp.reshape(saliency, (batch, parts, masks // parts, others))
        ends = xp.min(split, axis=2), xp.max(split, axis=2)
    return xp.min(ends[0], axis=axis, keepdims=True), xp.max(ends[1], axis=axis, keepdims=True)


def u8(xp: Namespace, saliency: Array, axis: int = 1) -> Array:
    """[B, N, K] in 0..255, bytes: `unit`, times 255, rounded to even."""
    return xp.astype(xp.round(xp.multiply(unit(xp, saliency, axis), 255.0)), "uint8")


def none(xp: Namespace, saliency: Array, axis: int = 1) -> Array:
    """[B, N, K] as it is: raw scores."""
    return saliency


SCALES: dict[str, Callable[..., Array]] = {"unit": unit, "u8": u8, "none": none}
