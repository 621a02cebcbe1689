"""The metrics, and how those of many photos become one number. A new metric is a line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from openvino_xai.choices import check_choice
from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Case
from openvino_xai.evaluate.classes.causal import deletion, insertion
from openvino_xai.evaluate.classes.erasure import comprehensiveness, sufficiency
from openvino_xai.evaluate.classes.infidelity import infidelity
from openvino_xai.evaluate.classes.information import aic, sic
from openvino_xai.evaluate.classes.masking import adcc, average_drop, average_increase, coherency, complexity
from openvino_xai.evaluate.classes.pointing import energy, localisation, pointing_game
from openvino_xai.evaluate.classes.road import road
from openvino_xai.evaluate.classes.sensitivity import sensitivity
from openvino_xai.evaluate.classes.sparsity import sparsity
from openvino_xai.evaluate.examples import Example

Best: TypeAlias = Literal["more", "less"]


class Metric(NamedTuple):
    """What it measures of a case, which end is the better one, and whether it needs to know where the object is.

    One that is `dear` is measured where it is named, and not by default. One `of_contrasts` means as much of the difference of
    two classes, which may be below 0, as of a class.
    """

    measure: Callable[[Case], float]
    best: Best
    located: bool = False
    dear: bool = False
    of_contrasts: bool = True


METRICS: dict[str, Metric] = {
    "average_drop": Metric(average_drop, "less", of_contrasts=False),
    "average_increase": Metric(average_increase, "more"),
    "coherency": Metric(coherency, "more"),
    "complexity": Metric(complexity, "less"),
    "insertion": Metric(insertion, "more"),
    "deletion": Metric(deletion, "less"),
    "comprehensiveness": Metric(comprehensiveness, "more"),
    "sufficiency": Metric(sufficiency, "less"),
    "sensitivity": Metric(sensitivity, "less"),
    "sparsity": Metric(sparsity, "more"),
    "infidelity": Metric(infidelity, "less", dear=True),
    "road": Metric(road, "more", dear=True),
    "sic": Metric(sic, "more", dear=True, of_contrasts=False),
    "aic": Metric(aic, "more", dear=True, of_contrasts=False),
    "pointing_game": Metric(pointing_game, "more", located=True, of_contrasts=False),
    "energy": Metric(energy, "more", located=True, of_contrasts=False),
    "localisation": Metric(localisation, "more", located=True, of_contrasts=False),
}
ADCC_PARTS = ("average_drop", "coherency", "complexity")  # what it is made of
SETS = ("adcc", "all")  # words for several
BEST: dict[str, Best] = {**{name: metric.best for name, metric in METRICS.items()}, "difference": "more", "adcc": "more"}


def metric_names(names: Sequence[str], examples: Sequence[Example], *, of_contrast: bool = False) -> list[str]:
    """The metrics called `names`, or all that the examples allow and are not dear; `all` is these, too.

    `of_contrast` are those of the difference of two classes. Raises InputError for a metric that the examples do not allow, or
    that means nothing of a contrast.
    """
    located = all(example.boxes or example.outlines for example in examples)
    wanted: list[str] = []
    for name in names or ("",):
        if name in ("", "all"):
            allowed = [
                m
                for m, metric in METRICS.items()
                if (located or not metric.located) and (metric.of_contrasts or not of_contrast)
            ]
            wanted += [m for m in allowed if name or not METRICS[m].dear]
            continue
        check_choice("metric", name, (*METRICS, *SETS))
        wanted += ADCC_PARTS if name == "adcc" else [name]
    for name in wanted:
        if of_contrast:
            refuse_of_contrast(name)
        if METRICS[name].located and not located:
            bare = next(example.path for example in examples if not (example.boxes or example.outlines))
            raise InputError(
                f"{name} needs to know where the object is, and {bare} comes without boxes: give a .json with them"
            )
    return list(dict.fromkeys(wanted))


def refuse_of_contrast(name: str) -> None:
    """Raise InputError for a metric that means nothing of the difference of two classes."""
    if not METRICS[name].of_contrasts:
        names = ", ".join(name for name, metric in METRICS.items() if metric.of_contrasts)
        reason = (
            "asks for the object of one class"
            if METRICS[name].located
            else "is a share of a probability, and a difference of two scores may be below 0"
        )
        raise InputError(f"{name} {reason}: of a contrast {names} are measured", options=("metric",))


def measured(case: Case, names: Sequence[str]) -> dict[str, float]:
    """Each metric of one photo."""
    return {name: METRICS[name].measure(case) for name in names}


def overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of all photos: their means; `pointing_game` is the mean over classes of their hit rates.

    With drop, coherency and complexity comes ADCC, with insertion and deletion their `difference`.
    """
    if not rows:
        return {}
    columns = columns_of([row["metrics"] for row in rows])
    means = statistics(columns, np.array([row["target"] for row in rows]), np.ones((1, len(rows)), np.int64))
    return {name: float(values[0]) for name, values in means.items()}


def columns_of(measurements: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """The values [N] of each metric, of N photos."""
    return {name: np.array([row[name] for row in measurements], np.float64) for name in METRICS if name in measurements[0]}


def statistics(columns: Mapping[str, np.ndarray], targets: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """[R] of each metric, for R samples of N photos; `counts` [R, N] says how often each photo is in each sample."""
    total = counts.sum(axis=1)
    means = {name: counts @ values / total for name, values in columns.items()}
    if "pointing_game" in means:
        means["pointing_game"] = _mean_over_classes(columns["pointing_game"], targets, counts)
    if {"insertion", "deletion"} <= means.keys():
        means["difference"] = means["insertion"] - means["deletion"]
    if set(ADCC_PARTS) <= means.keys():
        means["adcc"] = np.array([adcc(dict(zip(ADCC_PARTS, parts, strict=True))) for parts in _parts(means)])
    return means


def _parts(means: Mapping[str, np.ndarray]) -> list[tuple[float, ...]]:
    return list(zip(*(means[name].tolist() for name in ADCC_PARTS), strict=True))


def _mean_over_classes(hits: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[R]: the mean over the classes of a sample of the share of their photos that are hit."""
    order = np.argsort(targets, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(targets[order]) != 0])
    photos = np.add.reduceat(counts[:, order], starts, axis=1)
    hit = np.add.reduceat((counts * hits)[:, order], starts, axis=1)
    return np.asarray((hit / np.maximum(photos, 1)).sum(axis=1) / (photos > 0).sum(axis=1))


def accuracy(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of photos of which the predicted class is their own; None where that is not known of all."""
    if any(row["label"] is None for row in rows):
        return None
    return float(np.mean([row["label"] == row["predicted"] for row in rows]))
