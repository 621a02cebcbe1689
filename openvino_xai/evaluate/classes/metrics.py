"""The metrics, and how those of many photos become one number. A new metric is a line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Case
from openvino_xai.evaluate.classes.causal import deletion, insertion
from openvino_xai.evaluate.classes.masking import adcc, average_drop, average_increase, coherency, complexity
from openvino_xai.evaluate.classes.pointing import energy, localisation, pointing_game
from openvino_xai.evaluate.classes.sensitivity import sensitivity
from openvino_xai.evaluate.examples import Example

Best: TypeAlias = Literal["more", "less"]


class Metric(NamedTuple):
    """What it measures of a case, which end is the better one, and whether it needs to know where the object is."""

    measure: Callable[[Case], float]
    best: Best
    located: bool = False


METRICS: dict[str, Metric] = {
    "average_drop": Metric(average_drop, "less"),
    "average_increase": Metric(average_increase, "more"),
    "coherency": Metric(coherency, "more"),
    "complexity": Metric(complexity, "less"),
    "insertion": Metric(insertion, "more"),
    "deletion": Metric(deletion, "less"),
    "sensitivity": Metric(sensitivity, "less"),
    "pointing_game": Metric(pointing_game, "more", located=True),
    "energy": Metric(energy, "more", located=True),
    "localisation": Metric(localisation, "more", located=True),
}
ADCC_PARTS = ("average_drop", "coherency", "complexity")  # what it is made of


def metric_names(names: Sequence[str], examples: Sequence[Example]) -> list[str]:
    """The metrics called `names`, or all that the examples allow. Raises InputError."""
    located = all(example.boxes or example.outlines for example in examples)
    if not names:
        return [name for name, metric in METRICS.items() if located or not metric.located]
    wanted: list[str] = []
    for name in names:
        if name != "adcc" and name not in METRICS:
            raise InputError(f"metric '{name}' is not known: one of {', '.join([*METRICS, 'adcc'])} is expected")
        wanted += ADCC_PARTS if name == "adcc" else [name]
    for name in wanted:
        if METRICS[name].located and not located:
            bare = next(example.path for example in examples if not (example.boxes or example.outlines))
            raise InputError(
                f"{name} needs to know where the object is, and {bare} comes without boxes: give a .json with them"
            )
    return list(dict.fromkeys(wanted))


def measured(case: Case, names: Sequence[str]) -> dict[str, float]:
    """Each metric of one photo."""
    return {name: METRICS[name].measure(case) for name in names}


def overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of all photos: their means; `pointing_game` is the mean over classes of their hit rates.

    With drop, coherency and complexity comes ADCC, with insertion and deletion their `difference`.
    """
    names = [name for name in METRICS if rows and name in rows[0]["metrics"]]
    means = {name: float(np.mean([row["metrics"][name] for row in rows])) for name in names}
    if "pointing_game" in means:
        hits: dict[int, list[float]] = {}
        for row in rows:
            hits.setdefault(row["target"], []).append(row["metrics"]["pointing_game"])
        means["pointing_game"] = float(np.mean([np.mean(of_class) for of_class in hits.values()]))
    if {"insertion", "deletion"} <= set(means):
        means["difference"] = means["insertion"] - means["deletion"]
    if set(ADCC_PARTS) <= set(means):
        means["adcc"] = adcc(means)
    return means


def accuracy(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of photos of which the predicted class is their own; None where that is not known of all."""
    if any(row["label"] is None for row in rows):
        return None
    return float(np.mean([row["label"] == row["predicted"] for row in rows]))
