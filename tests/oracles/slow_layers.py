"""A small network in f64, by loops, and the joined Layer-CAM maps of its layers; its slopes are differences of scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from family import slow_family

STEP = 1e-5
BODY = (
    "c1 = Conv<pads=[1,1,1,1]>(image, k1) a = Relu(c1) p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(a) "
    "c2 = Conv<pads=[1,1,1,1]>(p, k2) f = Relu(c2) g = GlobalAveragePool(f) v = Flatten(g) logits = MatMul(v, w)"
)
WEIGHTS: dict[str, tuple[int, ...]] = {"k1": (4, 3, 3, 3), "k2": (6, 4, 3, 3), "w": (6, 5)}


def conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[O, H, W]: a 3x3 convolution of x [C, H, W], with zeros around it."""
    _, height, width = x.shape
    around = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    shifted = [(kernel[:, :, r, c], around[:, r : r + height, c : c + width]) for r in range(3) for c in range(3)]
    return np.asarray(sum(np.tensordot(weights, part, 1) for weights, part in shifted))


def steps_of(weights: Mapping[str, np.ndarray]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What `BODY` does, by the value that a step computes of the one before it."""
    k1, k2, w = (weights[name].astype(np.float64) for name in WEIGHTS)
    return {
        "a": lambda image: np.maximum(conv(image, k1), 0),
        "p": lambda a: a.reshape(len(a), a.shape[1] // 2, 2, a.shape[2] // 2, 2).max(axis=(2, 4)),
        "f": lambda p: np.maximum(conv(p, k2), 0),
        "logits": lambda f: f.mean(axis=(1, 2)) @ w,
    }


def slow_slopes(scores: Callable[[np.ndarray], np.ndarray], features: np.ndarray, k: int) -> np.ndarray:
    """The derivative of score k by features [C, H, W], an element at a time."""
    slopes = np.zeros_like(features)
    for element in np.ndindex(features.shape):
        step = np.zeros_like(features)
        step[element] = STEP
        slopes[element] = (scores(features + step)[k] - scores(features - step)[k]) / (2 * STEP)
    return slopes


def slow_enlarged(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """[height, width] of a map: at each place the values of the cells around it, by how near their centres are."""
    rows, columns = cells.shape
    large = np.zeros((height, width))
    for h, w in np.ndindex(height, width):
        y = min(max((h + 0.5) * rows / height - 0.5, 0), rows - 1)
        x = min(max((w + 0.5) * columns / width - 0.5, 0), columns - 1)
        for r, c in np.ndindex(rows, columns):
            large[h, w] += max(1 - abs(y - r), 0) * max(1 - abs(x - c), 0) * cells[r, c]
    return large


def slow_joined(maps: Sequence[np.ndarray], height: int, width: int, method: str = "layer_cam") -> np.ndarray:
    """[height, width]: of the maps of layers, the largest at each place; ahead of that each over its own largest value.

    Of `layer_cam` that is equation 9 of the paper.
    """
    shares = [cells / cells.max() if cells.max() > 0 else cells for cells in maps]
    scaled = [np.tanh(2 * cells) if method == "layer_cam" else cells for cells in shares]
    return np.max([slow_enlarged(cells, height, width) for cells in scaled], axis=0)


def slow_map(method: str, weights: Mapping[str, np.ndarray], image: np.ndarray, name: str, k: int) -> np.ndarray:
    """[H, W]: what a method of one layer makes of it, for an image [C, H, W] and a class."""
    steps, x = steps_of(weights), image.astype(np.float64)
    names = list(steps)
    for step in names[: names.index(name) + 1]:
        x = steps[step](x)

    def scores(features: np.ndarray) -> np.ndarray:
        for step in names[names.index(name) + 1 :]:
            features = steps[step](features)
        return features

    if method == "activation_map":
        return np.asarray(x.mean(axis=0))
    return slow_family(method, x[None], slow_slopes(scores, x, k)[None, None])[0, 0]


def slow_maps(method: str, weights: Mapping[str, np.ndarray], image: np.ndarray, names: Sequence[str], k: int) -> np.ndarray:
    """[H, W]: the joined map of layers of `BODY` for an image [C, H, W] and a class."""
    of_one = "hires_cam" if method == "zoom_cam" else method
    maps = [slow_map(of_one, weights, image, name, k) for name in names]
    return slow_joined(maps, max(m.shape[0] for m in maps), max(m.shape[1] for m in maps), method)
