"""The sums of Grad-CAM's family as their papers write them."""

from __future__ import annotations

import numpy as np

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
                    elif method == "xgrad_cam" and total:
                        weight += a[cell] / total * g[cell]
                    elif method == "grad_cam_plus_plus" and g[cell]:
                        alpha = g[cell] ** 2 / (2 * g[cell] ** 2 + total * g[cell] ** 3)
                        weight += alpha * max(g[cell], 0) / len(cells)
                for cell in cells:
                    each = {"hires_cam": g[cell], "layer_cam": max(g[cell], 0)}.get(method, weight)
                    maps[(image, k, *cell)] += each * a[cell]
    return np.maximum(maps, 0)
