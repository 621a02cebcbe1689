"""SLIC, LIME and Shapley values, slowly: a pixel, a mask and an order of superpixels at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

Place = tuple[int, int]
Score = Callable[[np.ndarray], float]  # of superpixels [M] of which some are kept


def slow_slic(image: np.ndarray, count: int) -> np.ndarray:
    """[H, W]: the superpixels of an image [C, H, W], by the paper's loop over centres and the pixels around them."""
    _, height, width = image.shape
    colours = image.astype(float) * 100 / float(image.max() - image.min())
    rows = max(1, min(round(math.sqrt(count * height / width)), count, height))
    columns = max(1, min(round(count / rows), width))
    tall, wide = height / rows, width / columns
    centres: list[tuple[np.ndarray, float, float, float, float]] = []  # colour, place, and the middle of the window
    for row in range(rows):
        for column in range(columns):
            y, x = (row + 0.5) * tall, (column + 0.5) * wide
            centres.append((colours[:, int(y), int(x)], y, x, y, x))
    labels = np.zeros((height, width), int)
    for h, w in np.ndindex(height, width):
        labels[h, w] = int((h + 0.5) / tall) * columns + int((w + 0.5) / wide)
    for _ in range(10):
        for h, w in np.ndindex(height, width):
            nearest = math.inf
            for label, (colour, y, x, down, right) in enumerate(centres):
                distance = float(((colours[:, h, w] - colour) ** 2).sum())
                distance += 10**2 * ((h + 0.5 - y) ** 2 + (w + 0.5 - x) ** 2) / (tall * wide)
                near = int(down - tall) <= h <= int(down + tall) and int(right - wide) <= w <= int(right + wide)
                if near and distance < nearest:
                    nearest, labels[h, w] = distance, label
        for label in range(len(centres)):
            pixels = [place for place in np.ndindex(height, width) if labels[place] == label]
            if pixels:
                colour = sum(colours[:, h, w] for h, w in pixels) / len(pixels)
                y, x = (sum(place[axis] + 0.5 for place in pixels) / len(pixels) for axis in (0, 1))
                centres[label] = (colour, y, x, y, x)
    return joined(labels)


def around(place: Place) -> Iterator[Place]:
    h, w = place
    yield from ((h - 1, w), (h + 1, w), (h, w - 1), (h, w + 1))


def joined(labels: np.ndarray) -> np.ndarray:
    """Labels from 0 on, of which each keeps its largest piece; what is left goes to a neighbour, ring by ring."""
    label_at: dict[Place, int] = {place: int(labels[place]) for place in np.ndindex(labels.shape)}
    largest: dict[int, set[Place]] = {}
    for place, label in label_at.items():
        piece: set[Place] = set()
        front = [place]
        while front:
            at = front.pop()
            piece.add(at)
            front += [near for near in around(at) if label_at.get(near) == label and near not in piece]
        if len(piece) > len(largest.get(label, ())):
            largest[label] = piece
    owner = {place: label for label, piece in largest.items() for place in piece}
    while len(owner) < labels.size:
        owner |= {
            place: next(owner[near] for near in around(place) if near in owner)
            for place in label_at
            if place not in owner and any(near in owner for near in around(place))
        }
    names = sorted(set(owner.values()))
    return np.array([[names.index(owner[h, w]) for w in range(labels.shape[1])] for h in range(labels.shape[0])])


def slow_lime(score: Score, count: int, masks: int, seed: int) -> np.ndarray:
    """[M]: the weights of the ridge regression that equation 2 asks for, as least squares of more rows."""
    rng, rows, wanted = np.random.default_rng(seed), [], []
    for index in range(masks):
        mask = [True] * count if index == 0 else [bool(rng.random() < 0.5) for _ in range(count)]
        z = np.array(mask, float)
        cosine = z.sum() / (math.sqrt(z.sum()) * math.sqrt(count)) if z.any() else 0
        weight = math.sqrt(math.exp(-((1 - cosine) ** 2) / 0.25**2))
        rows.append(math.sqrt(weight) * np.array([1, *z]))
        wanted.append(math.sqrt(weight) * score(np.array(mask)))
    penalty = np.eye(count + 1)[1:]
    return np.linalg.lstsq(np.array([*rows, *penalty]), np.array([*wanted, *[0] * count]))[0][1:]


def slow_shapley(score: Score, count: int) -> np.ndarray:
    """[M]: what each superpixel adds when it comes, the mean over all orders in which they may."""
    values, orders = np.zeros(count), list(permutations(range(count)))
    for order in orders:
        mask = np.zeros(count, bool)
        before = score(mask)
        for superpixel in order:
            mask[superpixel] = True
            after = score(mask)
            values[superpixel] += (after - before) / len(orders)
            before = after
    return values
