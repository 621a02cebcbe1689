"""Gradients, held to differences of the original model's scores, and maps to what their method makes of such gradients.

The gradient of a score is stepped along, in full, in random halves, and in its means over the cells, and the original tail is
asked how far the score moves. A gradient that is wrong somewhere promises another distance. Steps are tried in several lengths:
long ones meet corners, short ones rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np

from openvino_xai.errors import VerificationError
from openvino_xai.graph.protocol import Running
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks import METHODS, SCALES
from openvino_xai.surgery.definition import CUT, END, ArraySite, Located, by_cell, squashed
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.locate import find_image
from openvino_xai.surgery.plan import GRADIENT, plan_gradient
from openvino_xai.surgery.request import Request, Targets

COPIES = 8  # of those that a method asks about, which the original tail is asked about, too
HALVES = 2  # random halves of the elements that are stepped along
STEPS = (0.01, 0.003, 0.03, 0.001, 0.1, 0.0003)  # how far the score is to move, as a share of its scale, tried in turn
TOLERANCE = 0.1  # of the distance: corners of ReLUs and pools lie in the way
QUANTISED_TOLERANCE = 0.3  # what is passed straight through is no slope: steps of a quantiser lie in the way
NOISE = 1e-3  # of the squared gradient: a direction with less of it cannot be told from rounding
SMALLEST = 1e-30
ROUNDING = 1e-6  # of a score's scale, in f32


def hold_gradients(
    original: Located,
    again: Located,
    request: Request,
    inputs: dict[str, np.ndarray],
    maps: np.ndarray,
    chosen: Sequence[Sequence[tuple[int, int]]],
    *,
    quantised: bool,
) -> tuple[int, float]:
    """How many cells of each image were compared, and the largest difference, as a share of the map.

    `again` is a twin of the original, which is changed, and `chosen` are the maps of each image, as (index, class). Raises
    VerificationError where gradients are not the slopes of the scores.
    """
    ids = sorted({k for pairs in chosen for _, k in pairs})
    asked = replace(request, targets=Targets(ids=tuple(ids)))
    emit(plan_gradient(again.model.graph, again.layer, again.scores, asked), again.model)
    twin = again.model.compile()
    seen = {name: array.astype(np.float64) for name, array in twin(inputs).items()}
    gradients = seen[GRADIENT]
    answers = {what: (seen[f"{what} given"], seen[f"{what} told"]) for what in ANSWERS if f"{what} given" in seen}
    features = original.model.probing(read={CUT: original.layer.value}, given={}).compile()(inputs)[CUT]
    tail = original.model.probing(read={END: original.scores.read_at(request.reads)}, given={CUT: original.layer.value})
    running = tail.compile()
    told = Asked(original, request, running, twin, inputs, features, ids)
    for place in range(max(map(len, chosen))):
        classes = [pairs[min(place, len(pairs) - 1)][1] for pairs in chosen]
        slopes = np.stack([gradients[image, ids.index(k)] for image, k in enumerate(classes)])
        step_along(
            told.of_features,
            features,
            slopes,
            classes,
            cells=original.layer.place.cells,
            where=f"layer '{original.layer.name}'",
            reads=request.reads,
            quantised=quantised,
        )
    difference = max((ANSWERS[what](told, *answer) for what, answer in answers.items()), default=0.0)
    cells, maps_difference = _compare(original, request, features, gradients, answers, maps, chosen, ids)
    return cells, max(difference, maps_difference)


def step_along(
    asked: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    slopes: np.ndarray,
    classes: Sequence[int],
    *,
    cells: tuple[int, ...],
    where: str,
    reads: str = "logit",
    quantised: bool = False,
) -> None:
    """Raise VerificationError where the score of a class does not move as its gradient says.

    `asked` tells the scores [B, K] for features [B, ...]; `slopes` are the gradients of one class of each, and `cells` the axes
    that are averaged over.
    """
    tolerance = QUANTISED_TOLERANCE if quantised else TOLERANCE
    images, here = range(len(features)), asked(features)
    scale = np.abs(here).max(axis=1) if reads == "logit" else (here * (1 - here))[images, classes]
    scale = np.maximum(scale, SMALLEST)
    rng = np.random.default_rng(2)
    flat = (len(features), -1)
    nowhere = ~slopes.reshape(flat).any(axis=1)  # no slope at all: then the score does not move along the features, either
    slopes_or_features = np.where(nowhere.reshape(-1, *[1] * (features.ndim - 1)), features, slopes)
    whole = (slopes**2).reshape(flat).sum(axis=1)
    means = np.broadcast_to(slopes.mean(axis=cells, keepdims=True), slopes.shape)
    halves = [slopes * (rng.random(slopes.shape) < 0.5) for _ in range(HALVES)]
    for direction in (slopes_or_features, means, *halves):
        promised = (slopes * direction).reshape(flat).sum(axis=1)
        if (promised < NOISE * whole).any():
            continue
        worst = np.full(len(features), np.inf)
        for share in STEPS:
            length = np.where(nowhere, share, share * scale / np.where(nowhere, 1, promised))
            step = direction * length.reshape(-1, *[1] * (features.ndim - 1))
            seen = (asked(features + step) - asked(features - step))[images, classes] / 2
            error = np.abs(seen - promised * length) / (share * scale) - ROUNDING / share
            worst = np.minimum(worst, error)
            if (worst <= tolerance).all():
                break
        else:
            image = int(worst.argmax())
            raise VerificationError(
                f"the gradient of class {classes[image]} at {where} is not the slope of its score: along "
                f"it the score moves by {worst[image]:.2g} of the way more or less; the method cannot be trusted there"
            )


@dataclass(frozen=True)
class Asked:
    """What answers are held to: the original, its tail, and a twin that returns gradients, for `ids` of the classes."""

    original: Located
    request: Request
    tail: Running
    twin: Running
    inputs: Mapping[str, np.ndarray]
    features: np.ndarray
    ids: Sequence[int]

    def of_features(self, features: np.ndarray) -> np.ndarray:
        """[B, K]: the scores for other features."""
        return self.scores(self.tail({**self.inputs, CUT: features.astype(self.features.dtype)})[END], self.request.reads)

    def scores(self, y: np.ndarray, how: str) -> np.ndarray:
        """[B, K] of what the end of the model holds."""
        return squashed(y.astype(np.float64).reshape(len(y), -1), "logit" if self.original.scores.activation else how)


def _channel_scores(asked: Asked, kept: np.ndarray, told: np.ndarray) -> float:
    """The largest difference of what was told of some copies, which keep some channels, as a share of the scores."""
    features, place = asked.features, asked.original.layer.place
    (axis,) = (axis for axis in range(1, features.ndim) if axis not in place.cells)
    worst = 0.0
    for mask in np.random.default_rng(3).integers(0, kept.shape[1], COPIES):
        sizes = [len(features), *(features.shape[axis] if a == axis else 1 for a in range(1, features.ndim))]
        some = features * kept[:, mask].reshape(sizes)
        y = asked.of_features(some)
        worst = max(worst, float(np.abs(y[:, asked.ids] - told[:, mask]).max() / max(np.abs(y).max(), SMALLEST)))
    return worst


def _image_scores(asked: Asked, maps: np.ndarray, told: np.ndarray) -> float:
    """The largest difference of what was told of images that are multiplied by maps, in probabilities."""
    original, request = asked.original, asked.request
    image, place = find_image(original.model.graph, request.image)
    whole = asked.inputs[image.name]
    height, width = (whole.shape[axis] for axis in place.cells)
    running = original.model.probing(read={END: original.scores.read_at("softmax")}, given={}).compile()
    grid = [int(str(size)) for size in original.layer.cells]
    worst = 0.0
    for index, k in enumerate(asked.ids):
        large = np.stack([cv2.resize(one[index].reshape(grid), (width, height)) for one in maps.astype(np.float32)])
        large = np.expand_dims(large, tuple(axis for axis in range(1, whole.ndim) if axis not in place.cells))
        y = running({**asked.inputs, image.name: (whole * large).astype(whole.dtype)})[END]
        seen = asked.scores(y, request.score if request.score == "sigmoid" else "softmax")
        worst = max(worst, float(np.abs(seen[:, k] - told[:, index]).max()))
    return worst


def _noisy_gradients(asked: Asked, images: np.ndarray, told: np.ndarray) -> float:
    """The largest difference from gradients at the noisy images, as a share of the largest."""
    original = asked.original
    image, _ = find_image(original.model.graph, asked.request.image)
    whole, worst = asked.inputs[image.name], 0.0
    for copy in range(images.shape[1]):
        noisy = images[:, copy].astype(whole.dtype)
        if not 0 < np.abs(noisy - whole).mean() < np.ptp(whole):
            raise VerificationError("the noisy copies of the image are not what they are meant to be")
        slopes = asked.twin({**asked.inputs, image.name: noisy})[GRADIENT]
        seen = np.stack([by_cell(slopes[:, index], original.layer.place) for index in range(len(asked.ids))], axis=1)
        worst = max(worst, float(np.abs(seen - told[:, copy]).max() / max(np.abs(seen).max(), SMALLEST)))
    return worst


ANSWERS: dict[str, Callable[[Asked, np.ndarray, np.ndarray], float]] = {
    "channel_scores": _channel_scores,
    "image_scores": _image_scores,
    "noisy_gradients": _noisy_gradients,
}


def _compare(
    original: Located,
    request: Request,
    features: np.ndarray,
    gradients: np.ndarray,
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]],
    maps: np.ndarray,
    chosen: Sequence[Sequence[tuple[int, int]]],
    ids: Sequence[int],
) -> tuple[int, float]:
    """Hold maps to what their method makes of the gradients, computed in f64."""
    xp, place = numpy_namespace(), original.layer.place
    slopes = np.stack([by_cell(gradients[:, index], place) for index in range(len(ids))], axis=1)
    site = cast(Any, ArraySite(by_cell(features, place), slopes, answers))
    true = np.asarray(SCALES[request.scale](cast(Any, xp), METHODS[request.method or ""].hook(cast(Any, xp), site)))
    worst = 0.0
    for image, pairs in enumerate(chosen):
        for index, k in pairs:
            seen, wanted = maps[image, index].reshape(-1).astype(np.float64), true[image, :, ids.index(k)].astype(np.float64)
            error = float(np.abs(seen - wanted).max()) - (1 if request.scale == "u8" else 0)
            worst = max(worst, error / max(float(np.abs(wanted).max()), 1e-30))
    return true.shape[1], worst
