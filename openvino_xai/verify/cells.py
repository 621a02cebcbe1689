"""Maps of single cells, held to their definition: at their extremes and in some other cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.contract import Scale
from openvino_xai.errors import VerificationError
from openvino_xai.verify.levels import MEAN_STEP, SIGNAL, STEPS, Levels
from openvino_xai.verify.masks import Definition
from openvino_xai.verify.original import worst
from openvino_xai.verify.outputs import TOLERANCE
from openvino_xai.verify.sight import Comparison, spread_of

CELLS = 6  # that are compared, beside the largest and the smallest of each map
SMALLEST = 1e-30  # a score below this is none: f32 has no smaller normal numbers to hold it


@dataclass(frozen=True)
class Sample:
    """Which `cells` [B, R] of each image are compared, and the scores [B, R, K] that they are defined to have."""

    cells: np.ndarray
    scores: np.ndarray


def sample_of(maps: np.ndarray, chosen: list[list[tuple[int, int]]], definition: Definition) -> Sample:
    """The extremes of the chosen maps, and some random cells."""
    images, _, height, width = maps.shape
    flat = maps.reshape(images, -1, height * width).astype(np.float64)
    rng = np.random.default_rng(1)
    cells = np.array(
        [
            [end for index, _ in pairs for end in (flat[image, index].argmin(), flat[image, index].argmax())]
            + rng.integers(0, height * width, CELLS).tolist()
            for image, pairs in enumerate(chosen)
        ]
    )  # [B, R]
    return Sample(cells, np.stack([definition.scores(run.tolist(), width, height) for run in cells.T], axis=1))


def difference_of(
    maps: np.ndarray,
    chosen: list[list[tuple[int, int]]],
    sample: Sample,
    scale: Scale,
    *,
    terms: Callable[[int], Sequence[int]],
) -> Comparison:
    """The chosen maps beside the definition, in shares of the scores, or of the `terms` of one."""
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    differences, spreads = [], []
    for image, pairs in enumerate(chosen):
        for place, (index, k) in enumerate(pairs):
            y, values = sample.scores[image, :, k], flat[image, index, sample.cells[image]]
            if scale != "none":
                low, high = y[2 * place], y[2 * place + 1]
                values = low + (high - low) * values / (255 if scale == "u8" else 1)
            rounding = (high - low) * 0.5 / 255 if scale == "u8" else 0.0
            error = float(np.max(np.abs(values - y))) - abs(rounding)
            size = float(np.max(np.abs(sample.scores[image][:, terms(k)])))
            differences.append(error / max(size, SMALLEST))
            spreads.append(spread_of(y, size))
    return Comparison(sample.cells.shape[1], worst(differences), tuple(spreads))


def bound_of(sample: Sample, definition: Definition, levels: Levels, sizes: tuple[int, ...]) -> np.ndarray:
    """[B, R, K]: what a step of the last quantisers comes to in the scores of the cells that are compared."""
    runs = [definition.masked(run.tolist(), sizes[3], sizes[2]) for run in sample.cells.T]
    return np.stack([levels.bound(masked, sample.scores[:, index]) for index, masked in enumerate(runs)], axis=1)


def hold_levels(
    maps: np.ndarray, explained: Sequence[Sequence[tuple[int, int]]], sample: Sample, *, bound: np.ndarray, scale: Scale
) -> None:
    """Raise VerificationError where a map of any class is further from the definition than quantisers' steps take it."""
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    off, signal = [], []
    for image, pairs in enumerate(explained):
        indices, classes = (list(column) for column in zip(*pairs, strict=True))
        y, reach = sample.scores[image][:, classes].T, bound[image][:, classes].T  # [classes, R]
        values, rounding = flat[image, indices][:, sample.cells[image]], np.zeros(())
        if scale != "none":
            values, reach, rounding = _unscaled(values, y, reach, scale)
        error = np.maximum(np.abs(values - y) - rounding - TOLERANCE * np.abs(y).max(axis=1, keepdims=True), 0)
        off.append(error / np.maximum(reach, SMALLEST))
        signal.append((y - y.mean(axis=1, keepdims=True)) / np.maximum(reach, SMALLEST))
    largest, mean = max(float(steps.max()) for steps in off), _root_mean_square(off)
    most = min(MEAN_STEP, SIGNAL * _root_mean_square(signal))
    if not (largest <= STEPS and mean <= most):  # so that NaN is refused, too
        raise VerificationError(
            f"the maps differ from their definition by up to {largest:.2g} steps of the last quantisers, and by {mean:.2g} by "
            f"root mean square; at most {STEPS:g} and {most:.2g} are expected: the layer is not explained as it should be; "
            "choose another layer",
            options=("layer",),
        )


def _root_mean_square(arrays: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([array.reshape(-1) for array in arrays]) ** 2)))


def _unscaled(values: np.ndarray, y: np.ndarray, bound: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that scaled maps [classes, R] tell, how far they may be off, and what bytes round them by.

    A scaled map tells its class's scores up to a factor and an addend, which those cells give where it is least and largest.
    """
    rows = np.arange(len(values))[:, None]
    ends = values.argmin(axis=1)[:, None], values.argmax(axis=1)[:, None]
    least, most = (values[rows, end] for end in ends)
    share = (values - least) / np.maximum(most - least, SMALLEST)
    scores, reach = ((1 - share) * array[rows, ends[0]] + share * array[rows, ends[1]] for array in (y, bound))
    slope = (y[rows, ends[1]] - y[rows, ends[0]]) / np.maximum(most - least, SMALLEST)
    return scores, bound + reach, np.abs(slope) if scale == "u8" else np.zeros(())
