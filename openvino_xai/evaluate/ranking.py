"""Which preprocessing a classifier was trained with, as far as labelled photos tell."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.examples import Example
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.inputs.presets import PRESET, PRESETS, updated_by
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.preprocessing import MODEL_INFO, Preprocessing

ORDERS = {"RGB": "yes", "BGR": "no"}
RESIZES = ("standard", "crop", "fit_to_window_letterbox")
MORE, TIMES = 2, 20  # photos that are named rightly, and times as probable: what makes a candidate clearly better
LEAST = 0.01  # a probability of the right class: networks are surer of what is wrong than they should be
MOST = 100  # examples that are looked at
ITSELF = "model_info"  # what the model tells itself, among presets
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A preprocessing that was tried: a preset, an order of channels and a resize.

    `hits` [N], boolean, are the photos that are named rightly, `probabilities` [N] those of the right classes. `alike` are
    others that feed the same pixels of these photos, so that no example can tell them apart.
    """

    values: Mapping[str, str]
    preprocessing: Preprocessing
    hits: np.ndarray
    probabilities: np.ndarray
    alike: tuple[Mapping[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The preset, or `model_info`."""
        return self.values[PRESET]

    @property
    def right(self) -> int:
        """How many photos are named rightly."""
        return int(self.hits.sum())

    @property
    def order(self) -> str:
        """RGB or BGR."""
        return "RGB" if self.preprocessing.reverse_input_channels else "BGR"

    @property
    def likelihood(self) -> float:
        """The logarithm of how probable the right classes are, all together; no photo counts less than `LEAST`."""
        return float(np.log(self.probabilities.clip(LEAST)).sum())

    def beats(self, other: Candidate) -> bool:
        """Whether this one is clearly better: it names more photos rightly, and the right classes are far more probable.

        Two photos, so that none decides alone, and twenty times (a posterior of 95 % where both were as probable before).
        """
        return self.right >= other.right + MORE and self.likelihood >= other.likelihood + math.log(TIMES)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            **self.values,
            "fed": self.preprocessing.summary,
            "right": self.right,
            "top1": round(self.right / len(self.hits), 4),
            "alike": [dict(values) for values in self.alike],
        }


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates, those first that name most photos rightly; of equals those that find the right classes more probable."""

    candidates: tuple[Candidate, ...]
    images: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", len(self.candidates[0].hits))

    @cached_property
    def level(self) -> tuple[Candidate, ...]:
        """The best one, and those that it does not clearly beat."""
        best, *others = self.candidates
        return (best, *(other for other in others if not best.beats(other)))

    @property
    def winner(self) -> Candidate | None:
        """The best one where it clearly is that, else None."""
        return self.level[0] if len(self.level) == 1 else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "images": self.images,
            "winner": None if self.winner is None else dict(self.winner.values),
            "level": [dict(candidate.values) for candidate in self.level],
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }


def rank(
    network: Network,
    examples: Sequence[Example],
    values: Mapping[str, object],
    *,
    progress: Progress = lambda done, total: None,
) -> Ranking:
    """The presets, orders of channels and resizes, by how many examples a classifier names rightly when it is fed so.

    What `values` say, by the names of `model_info`, is so for all. Where the model tells its preprocessing, that is tried, too.
    Raises InputError for an example without a class, and ImageError for a photo that cannot be read.
    """
    bare = next((example for example in examples if example.label is None), None)
    if bare is not None:
        raise InputError(
            f"the class of {bare.path} is not known: put photos into folders that are called after their class (and give "
            "labels), name them so, as n01440764_tench.JPEG, or list them in a .csv of path,label",
            options=("labels",),
        )
    combinations = _combinations(network.preprocessing, values)
    digests: list[list[bytes]] = [[] for _ in combinations]
    scores: list[list[tuple[bool, float]]] = [[] for _ in combinations]
    for number, example in enumerate(examples):
        photo, label = read_photo(example.path), example.label
        of_pixels: dict[bytes, tuple[bool, float]] = {}
        for index, (_, preprocessing) in enumerate(combinations):
            pixels = preprocessing(photo)
            digest = hashlib.sha256(pixels.tobytes()).digest()
            if digest not in of_pixels:
                y = network.predict(network.images.planes(pixels))[0]
                of_pixels[digest] = int(y.argmax()) == label, float(y[label])
            digests[index].append(digest)
            scores[index].append(of_pixels[digest])
            progress(number * len(combinations) + index + 1, len(examples) * len(combinations))
    return _ranking(combinations, digests, scores)


def _combinations(base: Preprocessing, values: Mapping[str, object]) -> list[tuple[dict[str, str], Preprocessing]]:
    """What is tried, by name, the preset's own order and resize first."""
    orders = {order: word for order, word in ORDERS.items() if "reverse_input_channels" not in values}
    resizes = RESIZES if "resize_type" not in values else (str(values["resize_type"]),)
    combinations = []
    if base.sources and MODEL_INFO in base.sources.values() and not base.unsaid:
        rest = {name: value for name, value in values.items() if name != PRESET}
        combinations.append(({PRESET: ITSELF}, updated_by(base, rest)))
    for preset, order, resize in product(PRESETS, orders or {"": ""}, resizes):
        changed = {PRESET: preset, "resize_type": resize, **({"reverse_input_channels": orders[order]} if order else {})}
        combinations.append((changed, updated_by(base, {**changed, **values, PRESET: preset})))
    numbers = {preset: index for index, preset in enumerate((ITSELF, *PRESETS))}
    return sorted(combinations, key=lambda item: (numbers[item[0][PRESET]], not _is_plain(*item)))


def _is_plain(values: Mapping[str, str], preprocessing: Preprocessing) -> bool:
    """Whether a preset's own order and resize are used."""
    if values[PRESET] == ITSELF:
        return True
    preset = PRESETS[values[PRESET]]  # type: ignore[index]
    order = "RGB" if preprocessing.reverse_input_channels else "BGR"
    return (preset.order, preset.resize_type) == (order, preprocessing.resize_type)


def _ranking(
    combinations: list[tuple[dict[str, str], Preprocessing]],
    digests: list[list[bytes]],
    scores: list[list[tuple[bool, float]]],
) -> Ranking:
    groups: dict[tuple[bytes, ...], list[int]] = {}
    for index, signature in enumerate(digests):
        groups.setdefault(tuple(signature), []).append(index)
    candidates = []
    for first, *others in groups.values():
        values, preprocessing = combinations[first]
        hits, probabilities = (np.array(column) for column in zip(*scores[first], strict=True))
        alike = tuple(combinations[other][0] for other in others)
        candidates.append(Candidate(values, preprocessing, hits.astype(bool), probabilities.astype(np.float64), alike))
    return Ranking(tuple(sorted(candidates, key=lambda item: (-item.right, -item.likelihood))))
