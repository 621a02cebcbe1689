"""What maps do not tell, seen of the maps alone: no inference is needed to see that one says nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEW_VALUES = 8  # above the lowest, of which each lies in two cells or more: sums of many numbers are hardly ever equal
ALIKE = 0.995  # Pearson's r of two maps that are the same for who looks at them
IMPROBABLE = 0.1  # of a class's probability: another class that has no more should have another map
STEPS = 4  # of the last bit, by which rounding moves a score
BITS = {"f32": 23, "f16": 10, "bf16": 7}  # behind the first, of the numbers that a model computes with
STEADY = 0.5  # of 1: below, the cells that a map draws differ by a quarter of its range between noisy copies
UNSTEADY = "the highest cells are not steady: {:.2f} of 1 when the photo is a little noisy"
NOTHING = "the map is the same everywhere: it points at nothing"
ROUNDED = "the values of the map lie {:.1g} of their size apart, which is rounding in {}: it points at nothing"
SATURATED = "more than half of the map has its largest value: it does not tell one place from another"
COARSE_VALUES = "the map has only {} different values: differences are lost in the numbers of the model or the map"
NO_CLASS = "the map of another class, {}, is nearly the same: it does not tell why it is this class"


def emptiness(saliency: np.ndarray, precision: str = "f32") -> list[str]:
    """What a map [h, w] does not tell, in sentences; none of one that tells places apart.

    The model computed in `precision`. A map that was scaled shows no more how far its values lay apart before.
    """
    values = saliency.astype(np.float64)
    spread, size = float(np.ptp(values)), float(np.abs(values).max())
    if spread == 0:
        return [NOTHING]
    if spread <= STEPS * 2.0 ** -BITS.get(precision, BITS["f32"]) * size:
        return [ROUNDED.format(spread / size, precision)]
    if (values == values.max()).mean() > 0.5:
        return [SATURATED]
    distinct = len(np.unique(values))
    above = int((values > values.min()).sum())
    if distinct - 1 <= FEW_VALUES and above >= 2 * (distinct - 1):
        return [COARSE_VALUES.format(distinct)]
    return []


def are_alike(saliency: np.ndarray, other: np.ndarray) -> bool:
    """Whether two maps of one shape are nearly the same; a map that is the same everywhere is like none."""
    if not np.ptp(saliency) or not np.ptp(other):
        return False
    return bool(np.corrcoef(saliency.reshape(-1), other.reshape(-1))[0, 1] > ALIKE)


def improbable_class(probabilities: np.ndarray, explained: Sequence[int], target: int) -> int | None:
    """The least probable of the explained classes, whose map ought to differ from a target's; None where none is so."""
    least = min(explained, key=lambda k: float(probabilities[k]))
    return None if least == target or probabilities[least] > IMPROBABLE * probabilities[target] else least
