"""Superpixels: SLIC, k-means of pixels by colour and place.

Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", 2012, with m = 10 and 10 rounds. Colours are
the channels as the model sees them, scaled so that the image spans 100, as lightness does in the paper. Centres begin in the
middle of their cells, where the paper moves them to the least gradient beside it. A piece apart from the largest of its
superpixel goes to neighbours.
"""

from __future__ import annotations

import cv2
import numpy as np

COMPACTNESS = 10.0  # m: how much the place counts against the colour
RANGE = 100.0  # of lightness
ROUNDS = 10


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """[H, W], i64: the superpixel of each pixel of an image [1, C, H, W], from 0 on; they are about `count`, each in one piece.

    A constant image is cut as a grid.
    """
    colours = image[0].astype(np.float64)  # [C, H, W]
    colours *= RANGE / (np.ptp(colours) or 1)
    height, width = colours.shape[1:]
    rows = max(1, min(round((count * height / width) ** 0.5), count, height))
    columns = max(1, min(round(count / rows), width))
    reach = tall, wide = np.array([height / rows, width / columns])  # of a cell of the grid
    y, x = np.indices((height, width)) + 0.5
    points = np.concatenate([colours, [y, x]])
    factors = np.ones((len(points), 1, 1))  # of squares in the paper's D^2: 1 of colours, m^2 / S^2 of places
    factors[-2:] = COMPACTNESS**2 / (tall * wide)
    labels = (y // tall * columns + x // wide).astype(np.int64)
    middles = [((row + 0.5) * tall, (column + 0.5) * wide) for row in range(rows) for column in range(columns)]
    centres = np.array([[*colours[:, int(down), int(right)], down, right] for down, right in middles])
    for _ in range(ROUNDS):
        nearest = np.full((height, width), np.inf)
        for label, centre in enumerate(centres):
            (top, left), (bottom, right) = centre[-2:] - reach, centre[-2:] + reach
            near = np.s_[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
            distances = ((points[:, *near] - centre[:, None, None]) ** 2 * factors).sum(axis=0)
            nearer = distances < nearest[near]
            nearest[near][nearer] = distances[nearer]
            labels[near][nearer] = label
        pixels = np.bincount(labels.ravel(), minlength=len(centres))
        sums = np.stack([np.bincount(labels.ravel(), row.ravel(), len(centres)) for row in points], axis=1)
        centres[pixels > 0] = sums[pixels > 0] / pixels[pixels > 0, None]
    return np.unique(_in_one_piece(labels), return_inverse=True)[1].reshape(height, width)


def _in_one_piece(labels: np.ndarray) -> np.ndarray:
    """Labels [H, W], of which each keeps its largest piece; the rest is taken over by neighbours, a ring of pixels a time."""
    owners = np.full_like(labels, -1)
    for label in np.unique(labels):
        _, pieces, sizes, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8), connectivity=4)
        owners[pieces == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax()] = label
    while (owners < 0).any():
        around = np.pad(owners, 1, constant_values=-1)
        for neighbours in (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]):
            owners = np.where(owners < 0, neighbours, owners)
    return owners
