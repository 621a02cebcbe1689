"""What each kind of map reached, photo by photo, and the means that stand for all photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from openvino_xai.evaluate.classes.intervals import interval_of_curve
from openvino_xai.evaluate.classes.metrics import BEST

METHOD = ""  # in a row's curves


@dataclass(frozen=True, eq=False)
class Series:
    """The metrics [N] and curves [N, P] of one kind of map, by metric; `name` is the method's or a baseline's."""

    name: str
    metrics: Mapping[str, np.ndarray]
    curves: Mapping[str, np.ndarray]


class MeanCurve(NamedTuple):
    """The mean [P] over photos at evenly spaced shares of the pixels, and the bounds [2, P] of its interval, or None."""

    mean: np.ndarray
    bounds: np.ndarray | None


def series_of(rows: Sequence[Mapping[str, Any]], method: str) -> list[Series]:
    """The method's, and those of the baselines that the rows have."""
    sources = {METHOD: [row["metrics"] for row in rows]}
    sources |= {name: [row["baselines"][name] for row in rows] for name in rows[0].get("baselines", {})}
    return [
        Series(
            method if source == METHOD else source.replace("_", "-"),
            {name: np.array([values[name] for values in metrics], np.float64) for name in metrics[0]},
            {name: _aligned([row["trace"]["curves"][name][source] for row in rows]) for name in _curve_names(rows)},
        )
        for source, metrics in sources.items()
    ]


def series_beside(name: str, rows: Sequence[Mapping[str, Any]], first: Series) -> Series:
    """Those of the method of another run, with the metrics and curves that the first series has."""
    return Series(
        name,
        {metric: np.array([row["metrics"][metric] for row in rows], np.float64) for metric in first.metrics},
        {metric: _aligned([row["trace"]["curves"][metric][METHOD] for row in rows]) for metric in first.curves},
    )


def _curve_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(rows[0]["trace"].get("curves", ()))


def _aligned(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """[N, P]: curves with as many points as the longest has, mixed between those of the others."""
    points = np.linspace(0, 1, max(map(len, curves)))
    return np.stack([np.interp(points, np.linspace(0, 1, len(curve)), curve) for curve in curves])


def mean_curve(curves: np.ndarray, seed: int) -> MeanCurve:
    """The mean of curves [N, P] over N photos, with its interval where there are enough photos for one."""
    return MeanCurve(curves.mean(axis=0), interval_of_curve(curves, seed))


class Figure(NamedTuple):
    """The figure that photos are ranked by: its `name`, its `values` [N], and which end is the better one."""

    name: str
    values: np.ndarray
    best: str


def ranked_figure(series: Series) -> Figure:
    """Insertion less deletion where both were measured, else the first metric that tells photos apart."""
    metrics = series.metrics
    if {"insertion", "deletion"} <= metrics.keys():
        name = "difference"
    else:
        name = next((name for name, values in metrics.items() if np.ptp(values) > 0), next(iter(metrics)))
    return Figure(name, ranked_values(series, name), BEST[name])


def ranked_values(series: Series, name: str) -> np.ndarray:
    """[N]: a figure of each photo, `difference` being insertion less deletion."""
    metrics = series.metrics
    return np.asarray(metrics["insertion"] - metrics["deletion"] if name == "difference" else metrics[name])
