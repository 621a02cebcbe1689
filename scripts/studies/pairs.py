"""Does quantisation change explanations? Each method on a float network and on its INT8 one, photo by photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.evaluate.classes.intervals import Interval, intervals_of_means
from openvino_xai.evaluate.classes.metrics import ADCC_PARTS, overall
from openvino_xai.evaluate.compare import compare
from openvino_xai.evaluate.examples import Example
from openvino_xai.evaluate.similarity import MEASURES
from studies.journal import Journal, Work
from studies.pages import grid
from studies.rows import Measured
from studies.tables import beside, differ, of_metrics, verdict


def pairs_of(compared: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """The float networks with what was made of them, on the same photos."""
    by_title = {measured.study.title: measured for measured in compared}
    pairs = [(by_title.get(measured.study.made_from), measured) for measured in compared if measured.study.made_from]
    return [(first, second) for first, second in pairs if first is not None]


def measure(first: Measured, second: Measured) -> None:
    """Compare the maps of each method that both networks take, of the class that the float one predicts."""
    for method in _methods(first, second):
        _journal(first, second, method).measure(first.plan.limit, first.plan.shard, _work(first, second, method))


def table(pairs: Sequence[tuple[Measured, Measured]]) -> str:
    """One line a pair and method: how alike maps are, and what ADCC and the pointing game make of each."""
    head = ["network", "method", "photos", "same class", "Spearman", "95 %", "Pearson", "top cell"]
    head += ["ADCC, float", "INT8 beside it", "they differ", "pointing, float", "INT8 beside it", "they differ"]
    lines = []
    for first, second in pairs:
        for method in _methods(first, second):
            rows = list(_journal(first, second, method).rows.values())
            if not rows:
                continue
            columns = {name: np.array([row[name] for row in rows], np.float64) for name in (*MEASURES, "same_class")}
            means = {name: float(values.mean()) for name, values in columns.items()}
            spearman = intervals_of_means(columns, first.plan.seed).get("spearman")
            cells = [
                f"{means['same_class'] * 100:.0f}",
                f"{means['spearman']:.3f}",
                _fraction(spearman),
                f"{means['pearson']:.3f}",
            ]
            cells += [f"{means['top_cell'] * 100:.0f}", *_metric(first, second, method, "adcc", ADCC_PARTS)]
            cells += _metric(first, second, method, "pointing_game", ("pointing_game",))
            lines.append([second.study.title.partition(",")[0], f"`{method}`", str(len(rows)), *cells])
    return grid(head, lines)


def _metric(first: Measured, second: Measured, method: str, metric: str, needed: Sequence[str]) -> list[str]:
    """What the float network reaches, how far the INT8 one is from it, and from how many photos on."""
    rows, others = (of_metrics(measured.rows(method), needed, needed) for measured in (second, first))
    if not rows or not others:  # not measured, or not known where objects are
        return ["", "", ""]
    result = verdict(rows, others, metric, first.plan.seed)
    return [f"{overall(others)[metric] * 100:.1f}", beside(result), differ(result)]


def _fraction(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.3f} - {interval.high:.3f}"


def _methods(first: Measured, second: Measured) -> list[str]:
    """Methods that both networks take as hooks, or both as quick probes."""
    return [method for method in first.plan.methods if all(item.is_quick(method) for item in (first, second))]


def _work(first: Measured, second: Measured, method: str) -> Work:
    def measured(examples: Sequence[Example]) -> Iterator[dict[str, Any] | ImageError]:
        for example in examples:
            skipped: list[ImageError] = []
            for row in compare(first.network(method), second.network(method), [example.path], skipped.append):
                measures = {name: float(getattr(row.similarity, name)) for name in MEASURES}
                yield {"image": str(example.path), **measures, "same_class": float(row.same_class)}
            yield from skipped

    return measured


def _journal(first: Measured, second: Measured, method: str) -> Journal:
    sides = [[item.model_digest, item.study.options, item.study.layers.get(method)] for item in (first, second)]
    folder = second.plan.work / "pairs" / second.name / method
    return Journal(folder, {"method": method, "sides": sides}, first.examples)
