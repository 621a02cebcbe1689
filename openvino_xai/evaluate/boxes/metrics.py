"""The metrics of boxes, and how those of many become a table. A new metric is a line in `BOX_METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.boxes.case import BoxCase
from openvino_xai.evaluate.boxes.causal import box_deletion, box_insertion, deletion, insertion
from openvino_xai.evaluate.boxes.pointing import energy, object_discrimination, pointing_game
from openvino_xai.evaluate.classes.metrics import Best


class BoxMetric(NamedTuple):
    """What it measures of a case, None where that makes no sense, and which end is the better one."""

    measure: Callable[[BoxCase], float | None]
    best: Best


BOX_METRICS: dict[str, BoxMetric] = {
    "pointing_game": BoxMetric(pointing_game, "more"),
    "energy": BoxMetric(energy, "more"),
    "object_discrimination": BoxMetric(object_discrimination, "less"),
    "box_deletion": BoxMetric(box_deletion, "less"),
    "box_insertion": BoxMetric(box_insertion, "more"),
    "deletion": BoxMetric(deletion, "less"),
    "insertion": BoxMetric(insertion, "more"),
}


def box_metric_names(names: Sequence[str]) -> list[str]:
    """The metrics of boxes called `names`, or all. Raises InputError."""
    unknown = [name for name in names if name not in BOX_METRICS]
    if unknown:
        raise InputError(f"metric '{unknown[0]}' is not known of boxes: one of {', '.join(BOX_METRICS)} is expected")
    return list(dict.fromkeys(names)) or list(BOX_METRICS)


def measured(case: BoxCase, names: Sequence[str]) -> dict[str, float | None]:
    """Each metric of one box."""
    return {name: BOX_METRICS[name].measure(case) for name in names}


def overall(boxes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each group of boxes, and for `all`, its number `n`, and the means of each metric by the name of the map.

    `object_discrimination` is a mean over the boxes whose class has other objects in their photo; `n_others` is their number.
    A mean over none is None.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for box in boxes:
        groups.setdefault(box["group"], []).append(box)
    if len(groups) > 1:
        groups["all"] = list(boxes)
    return {group: _means(members) for group, members in groups.items()}


def _means(boxes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = boxes[0]["metrics"]
    means = {
        source: {name: _mean([box["metrics"][source][name] for box in boxes]) for name in metrics}
        for source, metrics in first.items()
    }
    return {"n": len(boxes), "n_others": sum(box["others"] > 0 for box in boxes), "metrics": means}


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None
