"""ViT-CX: groups of channels that are alike mask the image, and weigh what the class keeps, less what noise does to it.

Xie, Li, Cao and Zhang, "ViT-CX: Causal explanation of vision transformers", 2023, with the numbers of the authors' program.
Channels are enlarged to the image and min-max scaled; those that are constant are left out. They are put in groups until two
groups hold channels whose cosine distance is 0.1 or more (complete linkage), and a group's mask M is the sum of its channels,
min-max scaled. With noise Z of its own, a mask's score is

    p(image * M + Z * (1 - M)) - p(image + Z * (1 - M)) + p(image)

and a pixel's is the sum of score * M over the sum of M, over the number of masks. The authors' noise has a deviation of 0.1 for
images that are normalised; here that is a share of the image's own deviation.

It is made for the patches of transformers, and takes any layer with cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, enlarged, enlargement, in_chunks

APART = 0.1  # the cosine distance of channels that are in no group together
NOISE = 0.1  # of the image's deviation


def vit_cx(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels: the mean score of the masks that are at a pixel; 0 where no mask is."""
    rng, size = np.random.default_rng(settings.seed), (image.shape[2], image.shape[3])
    groups = group_masks(model.features(image)[0], size)
    total, cover = np.zeros((len(classes), *size)), np.zeros(size)
    of_image, deviation = model.scores(image)[0, classes], np.float32(NOISE * image.std())
    for chunk in in_chunks(len(groups), max(1, model.batch // 2), settings.progress):
        masks = np.clip(enlarged(groups[chunk], size), 0, 1)
        noise = rng.standard_normal((len(masks), *image.shape[1:]), np.float32) * deviation * (1 - masks[:, None])
        scores = model.scores(np.concatenate([image * masks[:, None] + noise, image + noise]))[:, classes]
        kept_less_noise = scores[: len(masks)] - scores[len(masks) :] + of_image
        total += np.einsum("nk,nhw->khw", kept_less_noise, masks)
        cover += masks.sum(axis=0, dtype=np.float64)
    return np.asarray(total / np.where(cover > 0, cover, 1) / max(len(groups), 1), np.float32)


def group_masks(channels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[G, h, w], f64: masks of groups of channels [C, h, w], which are in [0, 1] when they are enlarged to a size."""
    masks = scaled(channels.astype(np.float64), size)
    labels = grouped(cosine_distances(masks, size))
    return scaled(np.array([masks[labels == label].sum(axis=0) for label in np.unique(labels)]), size)


def scaled(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Those of maps [N, h, w] that vary, so scaled that they span 0 to 1 when they are enlarged to a size."""
    large = (enlarged(plane[None], size) for plane in maps)  # one at a time, of many
    ends = np.array([(plane.min(), plane.max()) for plane in large], np.float64).reshape(-1, 2)
    low, high = ends[ends[:, 0] < ends[:, 1]].T[..., None, None]
    return np.asarray((maps[ends[:, 0] < ends[:, 1]] - low) / (high - low))


def cosine_distances(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[N, N], f64: the cosine distances of masks [N, h, w] when they are enlarged to a size, without enlarging them."""
    down, across = (enlargement(cells, pixels) for cells, pixels in zip(masks.shape[1:], size, strict=True))
    mixed = (down.T @ down) @ masks @ (across.T @ across)
    products = np.einsum("nhw,mhw->nm", mixed, masks, optimize=True)
    lengths = np.sqrt(np.diag(products))
    return np.asarray(1 - products / (lengths[:, None] * lengths))


def grouped(distances: np.ndarray) -> np.ndarray:
    """[N], i64: the group of each of N items, which are joined, the nearest first, while all of a group are less apart."""
    apart = distances.copy()
    np.fill_diagonal(apart, np.inf)
    labels = np.arange(len(apart))
    while len(apart) and apart.min() < APART:
        first, second = sorted(divmod(int(apart.argmin()), len(apart)))
        farther = np.maximum(apart[first], apart[second])
        apart[first] = apart[:, first] = farther
        apart[second] = apart[:, second] = apart[first, first] = np.inf
        labels[labels == second] = first
    return labels
