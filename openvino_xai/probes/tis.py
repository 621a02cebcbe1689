"""TIS: clusters of a transformer's activations say which tokens are kept, and a token counts by the scores that it is kept for.

Englebert, Stassin, Nanfack, Mahmoudi, Siebert, Cornu and De Vleeschouwer, "Explaining through transformer input sampling",
2023. Behind each of the L blocks a channel holds a number for every patch. These L * D vectors are put in clusters by k-means,
1024 of them in the paper. A cluster's mask M keeps the half of the patches where its centre is largest. The class token and
these patches, with their positions, are all that enters the first block, and p(M) is what the class has then. The map of a
patch is the mean of p(M) over the masks that keep it.

The authors' program gives the encoder fewer tokens. In a deployed file their number is fixed: nobody attends to a token that is
dropped, which makes the same scores and is no faster. Where k-means begins, at vectors drawn by `seed`, is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.probes.classifier import Classifier, Settings, in_chunks

CLUSTERS = 1024
SHARE = 0.5  # of the patches that a mask keeps
TURNS = 100  # of k-means at most


def tis(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, h, w], f32, on the patches: the mean score of the masks that keep a patch; 0 where none does.

    There are as many clusters as `masks`, and no more than 1024.
    """
    activations = model.activations(image)
    grid, vectors = activations.shape[1:], activations.reshape(len(activations), -1)
    masks = token_masks(cluster_centres(vectors, min(settings.masks, CLUSTERS), settings.seed))
    total = np.zeros((len(classes), masks.shape[1]))
    for chunk in in_chunks(len(masks), model.batch, settings.progress):
        scores = model.token_scores(image, masks[chunk].reshape(-1, *grid))[:, classes]
        total += scores.T @ masks[chunk]
    maps = total / np.maximum(masks.sum(axis=0), 1)
    return np.asarray(maps.reshape(len(classes), *grid), np.float32)


def cluster_centres(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """[G, N], f64: the centres of clusters of vectors [D, N], of which there are `count`, or as many as vectors that differ.

    Lloyd's algorithm, from vectors on that differ: each vector is put to the nearest centre, and each centre in the mean of its
    vectors, until none changes its cluster. One that is left without stays where it is.
    """
    vectors = vectors.astype(np.float64)
    unlike = np.unique(vectors, axis=0)
    centres = unlike[np.random.default_rng(seed).permutation(len(unlike))[:count]]
    before = np.full(len(vectors), -1)
    for _ in range(TURNS):
        labels = ((centres**2).sum(axis=1) - 2 * vectors @ centres.T).argmin(axis=1)
        if (labels == before).all():
            break
        before, sums = labels, np.zeros_like(centres)
        np.add.at(sums, labels, vectors)
        sizes = np.bincount(labels, minlength=len(centres))[:, None]
        centres = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres)
    return np.asarray(centres)


def token_masks(centres: np.ndarray) -> np.ndarray:
    """[G, N], bool: true for the tokens that are kept, the half, rounded down, where each of centres [G, N] is largest.

    Of equal ones these are the first.
    """
    largest = np.argsort(-centres, axis=1, kind="stable")[:, : int(SHARE * centres.shape[1])]
    masks = np.zeros(centres.shape, bool)
    np.put_along_axis(masks, largest, values=True, axis=1)
    return masks
