"""What a number of photos settles: bootstrap intervals of means, and of the differences between two maps of the same photos.

Efron and Tibshirani, "An introduction to the bootstrap", 1993, section 13.3: the percentiles of the statistic over samples of
the photos, drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openvino_xai.evaluate.classes.metrics import columns_of, statistics

SAMPLES = 2000
FEWEST = 10  # photos: of fewer, samples are too much alike to tell anything
BOUNDS = (2.5, 97.5)  # percent: 95 % lie between
AT_ONCE = 2**22  # draws that are held at a time


class Interval(NamedTuple):
    """95 % of the samples lie between `low` and `high`."""

    low: float
    high: float

    @property
    def settles(self) -> bool:
        """Whether a difference is on one side of 0."""
        return self.low > 0 or self.high < 0


def intervals(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Interval]:
    """The interval of each metric of `overall`; none of fewer than 10 photos."""
    if len(rows) < FEWEST:
        return {}
    columns, targets = columns_of([row["metrics"] for row in rows]), _targets(rows)
    return _bounds([statistics(columns, targets, counts) for counts in _samples(len(rows), seed)])


def intervals_of_means(columns: Mapping[str, np.ndarray], seed: int) -> dict[str, Interval]:
    """The interval of the mean of each column [N], of which N photos have a value each; none of fewer than 10 photos."""
    photos = {len(values) for values in columns.values()}
    if len(photos) != 1 or min(photos) < FEWEST:
        return {}
    count = photos.pop()
    return _bounds([{name: counts @ values / count for name, values in columns.items()} for counts in _samples(count, seed)])


def interval_of_curve(curves: np.ndarray, seed: int) -> np.ndarray | None:
    """[2, P]: the interval of the mean of N curves [N, P], at each point by itself; None of fewer than 10 photos."""
    if len(curves) < FEWEST:
        return None
    means = [counts @ curves / len(curves) for counts in _samples(len(curves), seed)]
    return np.asarray(np.percentile(np.concatenate(means), BOUNDS, axis=0))


def differences(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, float]], seed: int) -> dict[str, Interval]:
    """The interval of each metric's difference: that of `rows`, less that of `others`, the metrics of the same photos.

    None of fewer than 10 photos.
    """
    if len(rows) < FEWEST:
        return {}
    first, second, targets = columns_of([row["metrics"] for row in rows]), columns_of(others), _targets(rows)
    parts = []
    for counts in _samples(len(rows), seed):
        ours, theirs = statistics(first, targets, counts), statistics(second, targets, counts)
        parts.append({name: ours[name] - theirs[name] for name in ours if name in theirs})
    return _bounds(parts)


def _targets(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([row["target"] for row in rows])


def _samples(photos: int, seed: int) -> Iterator[np.ndarray]:
    """[R, N] at a time: how often each of N photos is in each of R samples."""
    rng = np.random.default_rng(seed)
    at_once = max(1, min(SAMPLES, AT_ONCE // photos))
    for start in range(0, SAMPLES, at_once):
        yield rng.multinomial(photos, np.full(photos, 1 / photos), min(at_once, SAMPLES - start))


def _bounds(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Interval]:
    return {
        name: Interval(*map(float, np.percentile(np.concatenate([part[name] for part in parts]), BOUNDS))) for name in parts[0]
    }
