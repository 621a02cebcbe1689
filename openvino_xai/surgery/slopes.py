"""Gradients, held to differences of the original model's scores, and maps to what their method makes of such gradients.

The gradient of a score is stepped along, in full, in random halves, and in its means over the cells, and the original tail is
asked how far the score moves. A gradient that is wrong somewhere promises another distance. Steps are tried in several lengths:
long ones meet corners, short ones rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from openvino_xai.errors import VerificationError
from openvino_xai.graph.protocol import Running
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks import METHODS, SCALES
from openvino_xai.surgery.definition import CUT, END, ArraySite, Located, by_cell, squashed
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.plan import GRADIENT, plan_gradient
from openvino_xai.surgery.request import Request, Targets

COPIES = 8  # of those that a method asks about, which the original tail is asked about, too
HALVES = 2  # random halves of the elements that are stepped along
STEPS = (0.01, 0.003, 0.03, 0.001, 0.1, 0.0003)  # how far the score is to move, as a share of its scale, tried in turn
TOLERANCE = 0.1  # of the distance: corners of ReLUs and pools lie in the way
QUANTISED_TOLERANCE = 0.3  # what is passed straight through is no slope: steps of a quantiser lie in the way
NOISE = 1e-3  # of the squared gradient: a direction with less of it cannot be told from rounding
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
    seen = {name: array.astype(np.float64) for name, array in again.model.compile()(inputs).items()}
    gradients = seen[GRADIENT]
    answers = tuple((seen[f"given_{i}"], seen[f"told_{i}"]) for i in range(sum(name.startswith("given_") for name in seen)))
    features = original.model.probing(read={CUT: original.layer.value}, given={}).compile()(inputs)[CUT]
    tail = original.model.probing(read={END: original.scores.read_at(request.reads)}, given={CUT: original.layer.value})
    running = tail.compile()
    for place in range(max(map(len, chosen))):
        classes = [pairs[min(place, len(pairs) - 1)][1] for pairs in chosen]
        slopes = np.stack([gradients[image, ids.index(k)] for image, k in enumerate(classes)])
        _step_along(original, request, running, inputs, features, slopes, classes, quantised)
    difference = 0.0
    for given, told in answers:
        difference = max(difference, _switch(original, request, running, inputs, features, given, told, ids))
    cells, maps_difference = _compare(original, request, features, gradients, answers, maps, chosen, ids)
    return cells, max(difference, maps_difference)


def _step_along(
    original: Located,
    request: Request,
    tail: Running,
    inputs: Mapping[str, np.ndarray],
    features: np.ndarray,
    slopes: np.ndarray,
    classes: Sequence[int],
    quantised: bool,
) -> None:
    """Raise VerificationError where the score of a class does not move as its gradient says."""
    images, squash = range(len(features)), "logit" if original.scores.activation else request.reads
    tolerance = QUANTISED_TOLERANCE if quantised else TOLERANCE

    def asked(moved: np.ndarray) -> np.ndarray:
        y = tail({**inputs, CUT: moved.astype(features.dtype)})[END].astype(np.float64)
        return squashed(y.reshape(len(features), -1), squash)

    here = asked(features)
    scale = np.abs(here).max(axis=1) if request.reads == "logit" else (here * (1 - here))[images, classes]
    scale = np.maximum(scale, 1e-30)
    rng = np.random.default_rng(2)
    flat = (len(features), -1)
    nowhere = ~slopes.reshape(flat).any(axis=1)  # no slope at all: then the score does not move along the features, either
    slopes_or_features = np.where(nowhere.reshape(-1, *[1] * (features.ndim - 1)), features, slopes)
    whole = (slopes**2).reshape(flat).sum(axis=1)
    means = np.broadcast_to(slopes.mean(axis=original.layer.place.cells, keepdims=True), slopes.shape)
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
                f"the gradient of class {classes[image]} at layer '{original.layer.name}' is not the slope of its score: along "
                f"it the score moves by {worst[image]:.2g} of the way more or less; choose another layer with --layer"
            )


def _switch(
    original: Located,
    request: Request,
    tail: Running,
    inputs: Mapping[str, np.ndarray],
    features: np.ndarray,
    kept: np.ndarray,
    told: np.ndarray,
    ids: Sequence[int],
) -> float:
    """The largest difference of what was told of some copies, which keep some channels, as a share of the scores."""
    (axis,) = (axis for axis in range(1, features.ndim) if axis not in original.layer.place.cells)
    squash = "logit" if original.scores.activation else request.reads
    worst = 0.0
    for mask in np.random.default_rng(3).integers(0, kept.shape[1], COPIES):
        sizes = [len(features), *(features.shape[axis] if a == axis else 1 for a in range(1, features.ndim))]
        some = features * kept[:, mask].reshape(sizes).astype(features.dtype)
        y = squashed(tail({**inputs, CUT: some})[END].astype(np.float64).reshape(len(features), -1), squash)
        worst = max(worst, float(np.abs(y[:, ids] - told[:, mask]).max() / max(np.abs(y).max(), 1e-30)))
    return worst


def _compare(
    original: Located,
    request: Request,
    features: np.ndarray,
    gradients: np.ndarray,
    answers: tuple[tuple[np.ndarray, np.ndarray], ...],
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
