"""The maps of Grad-CAM's family, as loops over the sums that the papers write."""

from __future__ import annotations

import numpy as np

COPIES = 5  # noisy images of Smooth Grad-CAM++
FAMILY = ("grad_cam", "grad_cam_plus_plus", "xgrad_cam", "layer_cam", "hires_cam")


def slow_family(method: str, features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Maps [B, K, H, W] of features [B, C, H, W] and slopes [B, K, C, H, W], one image, class and cell at a time."""
    batch, classes, channels, height, width = slopes.shape
    maps = np.zeros((batch, classes, height, width))
    cells = list(np.ndindex(height, width))
    for image in range(batch):
        for k in range(classes):
            for c in range(channels):
                a, g = features[image, c], slopes[image, k, c]
                total = sum(a[cell] for cell in cells)
                weight = 0.0
                for cell in cells:
                    if method == "grad_cam":
                        weight += g[cell] / len(cells)
                    elif method == "lift_cam":
                        weight += a[cell] * g[cell]
                    elif method == "xgrad_cam" and total:
                        weight += a[cell] / total * g[cell]
                    elif method == "grad_cam_plus_plus" and g[cell]:
                        alpha = g[cell] ** 2 / (2 * g[cell] ** 2 + total * g[cell] ** 3)
                        weight += alpha * max(g[cell], 0) / len(cells)
                for cell in cells:
                    each = {"hires_cam": g[cell], "layer_cam": max(g[cell], 0)}.get(method, weight)
                    maps[(image, k, *cell)] += each * a[cell]
    return np.maximum(maps, 0)


def slow_abs(features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The first phase of Abs-CAM, maps [B, K, H, W]."""
    maps = np.zeros((*slopes.shape[:2], *slopes.shape[3:]))
    for image, k, h, w in np.ndindex(maps.shape):
        for c in range(features.shape[1]):
            maps[image, k, h, w] += np.mean([abs(slope) for slope in slopes[image, k, c].flat]) * features[image, c, h, w]
    return np.maximum(maps, 0)


def slow_smooth(features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Smooth Grad-CAM++, maps [B, K, H, W] divided by the number of cells, for slopes [B, S, K, C, H, W] at noisy copies."""
    batch, copies, classes, channels, height, width = slopes.shape
    maps = np.zeros((batch, classes, height, width))
    for image, k, c in np.ndindex(batch, classes, channels):
        a, weight = features[image, c], 0.0
        for cell in np.ndindex(height, width):
            first, second, third = (
                sum(slopes[(image, s, k, c, *cell)] ** p for s in range(copies)) / copies for p in (1, 2, 3)
            )
            below = 2 * second + a.sum() * third
            weight += (second / below * max(first, 0) if below else 0) / (height * width)
        maps[image, k] += weight * a
    return np.maximum(maps, 0)


def slow_groups(features: np.ndarray) -> np.ndarray:
    """FD-CAM's group of each channel, as booleans [B, C, C]: cosine similarities above the 95 % quantile of the channel."""
    batch, channels = features.shape[:2]
    groups = np.zeros((batch, channels, channels), bool)
    for image in range(batch):
        flat = features[image].reshape(channels, -1)
        for c in range(channels):
            lengths = [np.linalg.norm(flat[c]) * np.linalg.norm(other) for other in flat]
            alike = [flat[c] @ other / length if length else 0.0 for other, length in zip(flat, lengths, strict=True)]
            groups[image, c] = np.array(alike) > np.quantile(alike, 0.95)
    return groups


def slow_fd(features: np.ndarray, slopes: np.ndarray, on: np.ndarray, off: np.ndarray, everything: np.ndarray) -> np.ndarray:
    """FD-CAM, maps [B, K, H, W].

    `on` are the scores [B, C, K] with the group of each channel alone, `off` those without it, and `everything` [B, K] those
    with all channels.
    """
    batch, classes, channels, height, width = slopes.shape
    maps = np.zeros((batch, classes, height, width))
    for image, k in np.ndindex(batch, classes):
        alpha = [slopes[image, k, c].mean() for c in range(channels)]
        switched = [(on[image, c, k] + everything[image, k] - off[image, c, k]) / 2 for c in range(channels)]
        for c in range(channels):
            weight = scaled(alpha)[c] * np.exp(scaled(switched)[c]) - 0.5
            maps[image, k] += weight * features[image, c]
    return np.maximum(maps, 0)


def scaled(numbers: list[float]) -> list[float]:
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) if high > low else 0.0 for number in numbers]
