"""Whether predictions rest on what their maps show: the model is asked again, with parts of the image covered.

The deletion of Petsiuk et al., "RISE", 2018, at one share of the image, beside what any other part of that size does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from openvino_xai.contract import cells_at, cells_shown
from openvino_xai.errors import InputError
from openvino_xai.explanation.classes import Explanation
from openvino_xai.explanation.emptiness import NO_CLASS, NOTHING, are_alike, emptiness
from openvino_xai.explanation.map_check import MapCheck

SHARE = 0.2  # of the cells that are covered
DRAWS = 8  # of random cells
COARSE = 14  # cells a side, at most: single pixels that are covered here and there hide nothing
NO_REASON = "what the map points at does not matter more to the score than other places"


class ClassNetwork(Protocol):
    """A network that explains classes. Images are [N, C, H, W], as it sees them."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """[N, K]: probabilities."""

    def prepare(self, photo: np.ndarray) -> np.ndarray:
        """The image [1, C, H, W] of a photo [H, W, 3]."""

    def maps(self, images: np.ndarray, classes: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [N, K], and a map [N, h, w] of a class for each."""

    def label(self, k: int) -> str:
        """The label of a class."""


def checked(network: ClassNetwork, explanation: Explanation) -> Explanation:
    """The explanation with a check of each of its maps: ten inferences for each, and the map of another class."""
    sample = network.prepare(explanation.image)
    scores = network.predict(sample)[0]
    other = _other(network, sample, scores, [target.id for target in explanation.targets])
    checks = []
    for target, saliency in zip(explanation.targets, explanation.maps, strict=True):
        covers = _covers(saliency, explanation.record, sample.shape[2:], np.random.default_rng(target.id))
        after = target.score_of(network.predict(np.where(covers, np.float32(0), sample)))
        before = float(target.score_of(scores[None])[0])
        check = MapCheck(float(covers[0].mean()), before, float(after[0]), float(after[1:].mean()))
        checks.append(replace(check, notes=tuple(_notes(check, saliency, other, explanation.record))))
    return replace(explanation, checks=tuple(checks))


def _covers(saliency: np.ndarray, record: Mapping[str, str], size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """[1 + DRAWS, 1, H, W], bool: what is covered: the largest cells of a map, and as many random ones each time.

    What the network crops off the image is not among them.
    """
    there = cells_shown(record, saliency)
    height, width = (min(side, COARSE) for side in there.shape)
    cells = cv2.resize(there.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA).reshape(-1)
    count = max(1, round(SHARE * cells.size))
    picks = [np.argsort(-cells, kind="stable")[:count], *(rng.permutation(cells.size)[:count] for _ in range(DRAWS))]
    covers = np.zeros((len(picks), cells.size), np.uint8)
    for cover, pick in zip(covers, picks, strict=True):
        cover[pick] = 1
    grids = covers.reshape(-1, height, width)
    sides = cells_at(record, saliency.shape, size)
    if sides is None:
        large = [cv2.resize(cover, (size[1], size[0]), interpolation=cv2.INTER_NEAREST) for cover in grids]
        return np.stack(large)[:, None].astype(bool)
    rows, columns = (side * few // many for side, few, many in zip(sides, (height, width), there.shape, strict=True))
    inside = (rows >= 0)[:, None] & (columns >= 0)
    return np.asarray((grids[:, rows][:, :, columns].astype(bool) & inside)[:, None])


def _other(
    network: ClassNetwork, sample: np.ndarray, scores: np.ndarray, explained: Sequence[int]
) -> tuple[str, np.ndarray] | None:
    """The label and the map of the least probable class that is not explained, where the hook explains it."""
    ids = [int(k) for k in np.argsort(scores, kind="stable") if int(k) not in explained]
    try:
        return (network.label(ids[0]), network.maps(sample, [ids[0]])[1][0]) if ids else None
    except InputError:
        return None  # a hook of some of the classes


def _notes(check: MapCheck, saliency: np.ndarray, other: tuple[str, np.ndarray] | None, record: Mapping[str, str]) -> list[str]:
    """What a map does not tell, in sentences."""
    cells = cells_shown(record, saliency)
    notes = emptiness(cells, record.get("precision", "f32"))
    if NOTHING in notes:
        return notes
    if other is not None and are_alike(cells, cells_shown(record, other[1])):
        notes.append(NO_CLASS.format(other[0]))
    if check.covered >= check.random - 1e-6 * max(check.score, 1e-6):
        notes.append(NO_REASON)
    return notes
