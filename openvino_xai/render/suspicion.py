"""Maps that a person should look at: definitions with their thresholds, of maps alone. A finding is a doubt, and no verdict.

A map's *mass* is its values, min-max scaled, over their sum: how much of the map lies where. The *excess* of a region is
(mass - area) / (1 - area), with the mass in it and its share of the map's area: 0 for a map that is even, 1 where all mass lies
in the region, and below 0 where less does than an even map puts there. Sizes of regions and of grids cancel out so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from openvino_xai.render.overlay import Box, stretch

Kind: TypeAlias = Literal["constant", "same", "border", "padding", "off_box", "corner"]

EVEN = 1e-6  # a map is constant whose values span no more of their largest magnitude
LIKE = 0.98  # correlation from which two maps are nearly the same
BORDER = 0.5  # excess of the outermost cells
CORNER = 0.25  # excess of a corner of a third of each side: a third of the mass in a ninth of the area
BAND = 1 / 7  # how wide the border is at least, as a share of a side: one cell, or this
PHOTOS = 5  # of a class, before its mean map says anything
LEAST = 0.02  # of the area: less padding is none
MOST = 0.9  # of the area: a box of more cannot be missed

TITLES: Mapping[Kind, str] = {
    "constant": "constant map",
    "same": "same map for all",
    "border": "on the border",
    "padding": "beside the photo",
    "off_box": "off its box",
    "corner": "one corner for a class",
}
DEFINITIONS: Mapping[Kind, str] = {
    "constant": f"The highest and the lowest value of a map differ by at most {EVEN:g} of the largest magnitude.",
    "same": f"Any two maps of a photo, of its classes or of boxes that do not meet, correlate by at least {LIKE:g} (Pearson).",
    "border": f"The outermost cells of a class's map, a seventh of a side or more, have an excess of at least {BORDER:g}.",
    "padding": f"What lies beside the photo, {LEAST:.0%} or more of what the model saw, has an excess of at least 0.",
    "off_box": "All but the box and one cell around it has an excess of at least 0: no more of the map than of an even one is "
    "in the box.",
    "corner": f"In the mean map of {PHOTOS} or more photos that are taken for a class, and in the photo's own, the same corner "
    f"of a third of each side has an excess of at least {CORNER:g}: is there a watermark, or a logo?",
}
LETTERS = 60  # of a label
CORNERS = ("top left", "top right", "bottom left", "bottom right")


@dataclass(frozen=True)
class Suspicion:
    """What is strange of a map: why, in words, and how much, in [0, 1], from the threshold to the worst that there is.

    `target` is the index of the map among those of its photo, None where it is about all of them.
    """

    kind: Kind
    severity: float
    text: str
    target: int | None = None


class Region(NamedTuple):
    """How much of each row [h] and column [w] of a map a rectangle covers, in [0, 1]."""

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, box: Box, shape: tuple[int, ...], around: float = 0.0) -> Region:
        """A box (x0, y0, x1, y1), in shares of what the model saw, with so many cells around it."""
        x0, y0, x1, y1 = box
        height, width = shape
        return cls(
            _cover(y0 * height - around, y1 * height + around, height), _cover(x0 * width - around, x1 * width + around, width)
        )

    @property
    def area(self) -> float:
        """Its share of the map's area."""
        return float(self.rows.mean() * self.columns.mean())

    def mass(self, saliency: np.ndarray) -> float:
        """Its share of a map [h, w] of mass 1."""
        return float(self.rows @ saliency @ self.columns)


def mass(saliency: np.ndarray) -> np.ndarray | None:
    """A map [h, w], min-max scaled, over its sum, f64; None where it is constant."""
    values = saliency.astype(np.float64)
    if values.max() - values.min() <= EVEN * np.abs(values).max():
        return None
    scaled = stretch(saliency).astype(np.float64)
    return np.asarray(scaled / scaled.sum())


def excess(share: float, area: float) -> float:
    """How much more of the mass lies in a region than its area is, at most 1, and 0 for a map that is even."""
    return (share - area) / (1 - area) if area < 1 else 0.0


def inner(shape: tuple[int, ...]) -> Region:
    """All of a map but its border."""
    height, width = shape
    down, across = max(1 / height, BAND), max(1 / width, BAND)
    return Region.of((across, down, 1 - across, 1 - down), shape)


def corner_shares(distribution: np.ndarray) -> np.ndarray:
    """[4]: the mass in the corners of a map of mass 1, in the order of `CORNERS`."""
    low, high = (0.0, 1 / 3), (2 / 3, 1.0)
    boxes = [(x[0], y[0], x[1], y[1]) for y in (low, high) for x in (low, high)]
    return np.array([Region.of(box, distribution.shape).mass(distribution) for box in boxes])


def least_likeness(maps: Sequence[np.ndarray], boxes: Sequence[Box] | None = None) -> float | None:
    """The least Pearson correlation of maps [h, w] of any two classes, or of any two boxes that do not meet.

    None where there are no two, or a map is constant.
    """
    distributions = [mass(saliency) for saliency in maps]
    rows = [distribution.ravel() for distribution in distributions if distribution is not None]
    if len(rows) < max(2, len(maps)):
        return None
    pairs = np.triu_indices(len(rows), 1)
    correlations = np.corrcoef(np.stack(rows))[pairs]
    if boxes is not None:
        apart = [not _meet(boxes[i], boxes[j]) for i, j in np.transpose(pairs).tolist()]
        correlations = correlations[apart]
    return float(correlations.min()) if correlations.size else None


def suspicions(
    maps: Sequence[np.ndarray],
    photo: Box,
    *,
    boxes: Sequence[Box] | None = None,
    shown: Sequence[np.ndarray] | None = None,
) -> list[Suspicion]:
    """What is strange of the maps [h, w] of one photo, each kind once, at its worst.

    `photo` is where the photo (x0, y0, x1, y1) is in what the model saw, in shares of that: beyond [0, 1] where it was cut off,
    within where it was padded. `boxes`, in the same shares, are what each map should point at: a detector's own, or a person's.
    `shown` are the cells of maps where these have other places beside them, which are alike in all.
    """
    doubts: list[Suspicion] = []
    for index, saliency in enumerate(maps):
        distribution = mass(saliency)
        if distribution is None:
            doubts.append(Suspicion("constant", 1.0, "The map is the same everywhere: it tells nothing.", index))
            continue
        doubts += _of_regions(distribution, photo, None if boxes is None else boxes[index], index)
    likeness = least_likeness(maps if shown is None else shown, boxes)
    if likeness is not None and likeness >= LIKE:
        what = f"the {len(maps)} classes" if boxes is None else "boxes that do not meet"
        text = f"The maps of {what} are nearly the same: they correlate by {likeness:.3f} or more."
        doubts.append(Suspicion("same", _beyond(likeness, LIKE), text))
    worst: dict[Kind, Suspicion] = {}
    for doubt in sorted(doubts, key=lambda doubt: -doubt.severity):
        worst.setdefault(doubt.kind, doubt)
    return list(worst.values())


def _of_regions(distribution: np.ndarray, photo: Box, box: Box | None, index: int) -> list[Suspicion]:
    doubts = []

    def doubt(kind: Kind, rest: Region, threshold: float, text: str) -> None:
        share, area = 1 - rest.mass(distribution), 1 - rest.area
        if excess(share, area) >= threshold:
            words = text.format(share=share, area=area, inside=1 - share, box=1 - area)
            doubts.append(Suspicion(kind, _beyond(excess(share, area), threshold), words, index))

    if box is None:  # a box may well lie at the border
        text = "{share:.0%} of the map lies in its outermost cells, {area:.0%} of what the model saw."
        doubt("border", inner(distribution.shape), BORDER, text)
    inside = Region.of(photo, distribution.shape)
    if 1 - inside.area >= LEAST:
        doubt("padding", inside, 0.0, "{share:.0%} of the map lies beside the photo, {area:.0%} of what the model saw.")
    if box is not None and (place := Region.of(box, distribution.shape, around=1.0)).area <= MOST:
        text = "The box, with a cell around it, has {inside:.0%} of its map: an even map puts {box:.0%} there."
        doubt("off_box", place, 0.0, text)
    return doubts


@dataclass
class Corners:
    """The corners of maps, class by class: the mass in a corner of their mean map is the mean of their own."""

    _shares: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, photo: int, label: int, saliency: np.ndarray) -> None:
        """The map of the class that a photo is taken for; a constant one counts as none."""
        distribution = mass(saliency)
        if distribution is not None:
            self._shares[label].append((photo, corner_shares(distribution)))

    def suspicions(self, labels: Mapping[int, str]) -> dict[int, Suspicion]:
        """By photo, what is strange of its class, and of it."""
        doubts = {}
        for label, photos in self._shares.items():
            means = np.mean([shares for _, shares in photos], axis=0)
            corner = int(means.argmax())
            if len(photos) < PHOTOS or excess(float(means[corner]), 1 / 9) < CORNER:
                continue
            for photo, shares in photos:
                if excess(float(shares[corner]), 1 / 9) >= CORNER:
                    text = (
                        f"The mean map of the {len(photos)} photos that are taken for {labels[label][:LETTERS]} has "
                        f"{means[corner]:.0%} in its {CORNERS[corner]} corner, 11% of what the model saw; this one has "
                        f"{shares[corner]:.0%}."
                    )
                    doubts[photo] = Suspicion("corner", _beyond(excess(float(shares[corner]), 1 / 9), CORNER), text, 0)
        return doubts


def _cover(start: float, stop: float, cells: int) -> np.ndarray:
    """[cells]: how much of each cell lies between two places, in cells."""
    edges = np.arange(cells)
    return np.asarray(np.clip(np.minimum(stop, edges + 1) - np.maximum(start, edges), 0, 1))


def _meet(first: Box, second: Box) -> bool:
    return max(first[0], second[0]) < min(first[2], second[2]) and max(first[1], second[1]) < min(first[3], second[3])


def _beyond(value: float, threshold: float) -> float:
    """In [0, 1]: how far a value in [threshold, 1] is beyond its threshold."""
    return min(1.0, max(0.0, (value - threshold) / (1 - threshold)))
