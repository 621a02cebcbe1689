"""AISE: Gaussian masks that a global search puts where they tell most, each weighed with what it tells.

"AISE: Adaptive Input Sampling for Explanation of Black-box Models", as OpenVINO XAI 1.1 has it. For each target and each width
of a Gaussian, DIRECT (Jones, Perttunen and Stuckman, "Lipschitzian optimization without the Lipschitz constant", 1993) looks
for the centre of the best mask, and so asks most where it matters. The map is a kernel density: the sum of a width's masks,
each times its value, over the largest of that sum, and of this the mean over the widths.

A mask's value is the score of the image under it; of classes also what the score loses where the mask is left out. Its peak is
1. Centres and widths are shares of the image's sides.

OpenVINO XAI's value for classes is less by the score of the image. Then masks that tell nothing count against where they are,
and where no small mask keeps a class all values are negative: the map is where few masks were put.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openvino_xai.probes.classifier import Scorer, Settings, in_chunks
from openvino_xai.probes.d_rise import BoxScorer
from openvino_xai.probes.direct import Plane, Point, search_all

WIDTHS = (0.1, 0.175, 0.25)  # standard deviations of the Gaussians of classes
DIVISORS = (7, 4, 1)  # of the shorter side of a box: the standard deviations of its Gaussians
MARGIN = 0.5  # of a box's sides, all around: centres lie in it, too
EPSILON, BOX_EPSILON = 0.1, 0.05


@dataclass(frozen=True)
class Search:
    """Masks of one width that are put where score `k` is large."""

    k: int
    width: float
    plane: Plane


def aise(model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [K, H, W], f32, in the image's pixels, at most 1: where a class is kept, and lost where it is left out.

    Raises InputError where SciPy is not installed.
    """
    anywhere = Plane((0, 0), (1, 1), EPSILON)
    searches = [[Search(k, width, anywhere) for width in WIDTHS] for k in classes]
    return sampled(searches, Questions(model, image, with_rest=True), settings)


def aise_of_boxes(model: BoxScorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
    """Maps [D, H, W], f32, in the image's pixels, in [0, 1]: what is left of each box under masks in it and around it.

    The map of a box without area, or outside the image, is 0. Raises InputError where SciPy is not installed.
    """
    height, width = image.shape[2:]
    shares = model.boxes.astype(np.float64) / (width, height, width, height)
    return sampled([searches_of(d, shares[d]) for d in classes], Questions(model, image, with_rest=False), settings)


def searches_of(d: int, box: np.ndarray) -> list[Search]:
    """The searches for detection `d`, of a box [4] in shares of the image; none where its surroundings hold no pixel."""
    sides = box[2:] - box[:2] if np.isfinite(box).all() else np.zeros(2)
    low, high = np.maximum(box[:2] - MARGIN * sides, 0), np.minimum(box[2:] + MARGIN * sides, 1)
    if not ((sides > 0).all() and (low < high).all()):
        return []
    around = Plane((low[0], low[1]), (high[0], high[1]), BOX_EPSILON)
    return [Search(d, sides.min() / divisor, around) for divisor in DIVISORS]


@dataclass(frozen=True)
class Questions:
    """What is asked about masks [N, H, W]: the image [1, C, H, W] under each, and `with_rest` without what it keeps."""

    model: Scorer
    image: np.ndarray
    with_rest: bool

    @cached_property
    def _of_image(self) -> np.ndarray:
        """[K]: the scores of the image."""
        return np.asarray(self.model.scores(self.image)[0])

    @property
    def at_once(self) -> int:
        """The number of masks that fill a batch."""
        return max(1, self.model.batch // (2 if self.with_rest else 1))

    def values(self, masks: np.ndarray, ks: Sequence[int]) -> np.ndarray:
        """[N], f64: the value of each mask for score `k` of its own."""
        under = np.concatenate([masks, 1 - masks]) if self.with_rest else masks
        scores = self.model.scores(self.image * under[:, None])
        columns = np.asarray(scores[np.arange(len(under)), np.resize(ks, len(under))])
        return columns[: len(ks)] + self._of_image[list(ks)] - columns[len(ks) :] if self.with_rest else columns


def sampled(searches: Sequence[Sequence[Search]], questions: Questions, settings: Settings) -> np.ndarray:
    """[T, H, W], f32: for each target the mean density of its searches, 0 where it has none.

    As many searches go side by side as fill a batch.
    """
    size = questions.image.shape[2:]
    maps = np.zeros((len(searches), *size), np.float32)
    jobs = [(target, search) for target, of_target in enumerate(searches) for search in of_target]
    for chunk in in_chunks(len(jobs), questions.at_once):
        some = [search for _, search in jobs[chunk]]
        sums = np.zeros((len(some), *size))
        count = chunk.start * settings.evaluations

        def values_of(centers: Mapping[int, Point], some: list[Search] = some, sums: np.ndarray = sums) -> dict[int, float]:
            nonlocal count
            masks = np.stack([gaussian(center, some[index].width, size) for index, center in centers.items()])
            values = questions.values(masks, [some[index].k for index in centers])
            sums[list(centers)] += values[:, None, None] * masks
            count += len(centers)
            settings.progress(count, len(jobs) * settings.evaluations)
            return dict(zip(centers, values.tolist(), strict=True))

        search_all([search.plane for search in some], settings.evaluations, values_of)
        for (target, _), masks in zip(jobs[chunk], sums, strict=True):
            maps[target] += masks / (masks.max() if masks.max() > 0 else 1) / len(searches[target])
    return maps


def gaussian(center: Point, width: float, size: tuple[int, ...]) -> np.ndarray:
    """A mask [H, W], f32, in [0, 1] and 1 at its largest, around a center (x, y), by shares of the sides."""
    sides = []
    for middle, pixels in zip(center[::-1], size, strict=True):
        exponents = -((((np.arange(pixels) + 0.5) / pixels - middle) / width) ** 2) / 2
        sides.append(np.exp(exponents - exponents.max()))  # so that one between pixels is not 0 everywhere
    return np.asarray(np.outer(*sides), np.float32)
