"""ViT-CX, slowly: groups as lists of channels, and a mask and its noise at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def unit(mask: np.ndarray) -> np.ndarray:
    return (mask - mask.min()) / (mask.max() - mask.min())


def slow_groups(masks: Sequence[np.ndarray]) -> list[list[int]]:
    """The masks of each group: the two nearest groups are joined while their farthest masks are less than 0.1 apart."""
    groups = [[index] for index in range(len(masks))]

    def apart(a: int, b: int) -> float:
        return 1 - float((masks[a] * masks[b]).sum() / np.sqrt((masks[a] ** 2).sum() * (masks[b] ** 2).sum()))

    while len(groups) > 1:
        pairs = [
            (max(apart(a, b) for a in first for b in second), i, j)
            for i, first in enumerate(groups)
            for j, second in enumerate(groups)
            if i < j
        ]
        distance, i, j = min(pairs)
        if distance >= 0.1:
            break
        groups[i] = groups[i] + groups.pop(j)
    return groups


def slow_vit_cx(score: Callable[[np.ndarray], float], image: np.ndarray, large: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """[H, W]: the map of an image [C, H, W], for channels that are enlarged to it."""
    rng = np.random.default_rng(seed)
    channels = [unit(channel) for channel in large if channel.max() > channel.min()]
    masks = [unit(sum(channels[index] for index in group)) for group in slow_groups(channels)]
    total = np.zeros(image.shape[1:])
    cover = sum(masks)
    for mask in masks:
        noise = rng.standard_normal(image.shape, np.float32) * 0.1 * image.std() * (1 - mask)
        weight = score(image * mask + noise) - score(image + noise) + score(image)
        total += weight * mask / np.where(cover > 0, cover, 1) / len(masks)
    return total
