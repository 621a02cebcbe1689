"""Other runs of `evaluate --report`, of the same photos, classes and choices, whose maps stand beside on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from openvino_xai.errors import InputError
from openvino_xai.evaluate.report.series import METHOD
from openvino_xai.evaluate.report.traces import map_of
from openvino_xai.files.reading import read_regular
from openvino_xai.json_text import from_json

LARGEST = 1e9  # of a figure or a logit: what can be drawn
MOST = 4  # runs beside: a plot of more is not read
SAME = ("metrics", "target", "covered", "scaled", "read", "compared", "step", "seed")  # conditions that figures depend on


class Run(NamedTuple):
    """What an earlier run kept in its `folder`: its method, its model, and its rows by image."""

    folder: Path
    method: str
    model: str
    rows: Mapping[str, dict[str, Any]]


def read_run(folder: Path, conditions: Mapping[str, Any]) -> Run:
    """The rows in a folder that were measured under the `conditions` that figures depend on.

    Raises InputError where there are none, with what differs.
    """
    try:
        result = from_json(read_regular(folder / "metrics.json"))
        method, model = result["method"], result["model"]
        lines = [from_json(line) for line in read_regular(folder / "rows.jsonl").splitlines() if line.strip()]
        lines = [line for line in lines if "trace" in line and line["asked"]["model"] == model]
        questions = [line["asked"] for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no result of evaluate with a report: {error}", options=("beside",)) from error
    if not lines:
        raise InputError(
            f"the rows in {folder} were measured without a report: measure them again with one", options=("beside",)
        )
    wanted = {name: conditions[name] for name in SAME}
    rows = {
        line["image"]: line for line, terms in zip(lines, questions, strict=True) if wanted == {k: terms.get(k) for k in SAME}
    }
    if not rows:
        name = next(name for name in SAME if questions[-1].get(name) != wanted[name])
        raise InputError(
            f"the rows in {folder} were measured with {name} {questions[-1].get(name)}, and these are with {wanted[name]}: "
            "measure both alike",
            options=("beside",),
        )
    return Run(folder, str(method), str(model), rows)


def matched(run: Run, rows: Sequence[Mapping[str, Any]], sources: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A run's rows of the same photos and classes, in order. Raises InputError for the first that is missing or different."""
    others = []
    for row in rows:
        other = run.rows.get(row["image"])
        if other is None or other.get("source") != sources[row["image"]]:
            raise InputError(f"{run.folder} has no row of {row['image']} as it is: measure the same photos there")
        if other.get("target") != row["target"]:
            raise InputError(
                f"{row['image']} is explained for class {row['target']}, and in {run.folder} for {other.get('target')}: "
                "explain the same class, as that of the labels"
            )
        if not _is_drawable(other, row):
            raise InputError(f"the row of {row['image']} in {run.folder} is not as evaluate wrote it: measure it again")
        others.append(other)
    return others


def _is_drawable(other: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a row that a file holds has the figures and the curves of ours, as finite numbers, and a map."""
    try:
        x0, y0, x1, y1 = map(float, other["trace"]["box"])
        saliency = map_of(other["trace"])
        curves = [other["trace"]["curves"][name][METHOD] for name in row["trace"].get("curves", {})]
        figures = [other["metrics"][name] for name in row["metrics"]]
        numbers = [*figures, *(point for curve in curves for point in curve)]
        is_placed = x0 < x1 and y0 < y1 and saliency.ndim == 2 and saliency.size > 0
        return is_placed and all(abs(number) < LARGEST for number in (*numbers, x0, y0, x1, y1)) and all(curves)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def names_of(method: str, runs: Sequence[Run]) -> list[str]:
    """A name for each run: its method, with its model and its folder where others have that method, too."""
    methods = [method, *(run.method for run in runs)]
    return [
        run.method if methods.count(run.method) == 1 else f"{run.method} of {Path(run.model).name} in {run.folder}"
        for run in runs
    ]
