"""Curves, distributions and photos of what was measured, as one page: no script, no network, and every name is text."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.intervals import FEWEST, Interval, differences, intervals
from openvino_xai.evaluate.classes.metrics import BEST, overall
from openvino_xai.evaluate.report.marks import table, text
from openvino_xai.evaluate.report.photos import card
from openvino_xai.evaluate.report.plots import Spread, curve_plot, histograms, line_key
from openvino_xai.evaluate.report.series import (
    Series,
    mean_curve,
    ranked_figure,
    ranked_values,
    series_beside,
    series_of,
)
from openvino_xai.files.paths import is_link
from openvino_xai.files.reading import read_regular
from openvino_xai.files.writing import check_output, written_whole
from openvino_xai.render.provenance import provenance

MARK = '<meta name="generator" content="ovxai evaluate">'  # tells our pages from others
SHOWN = 6  # photos at either end
ACROSS = {
    "insertion": "pixels added to the blurred photo, the most salient first",
    "deletion": "pixels set to 0, the most salient first",
}


def check_page(path: Path) -> None:
    """Raise InputError or OutputError where no page can be written, or where something else than a page of ours is there."""
    if path.suffix != ".html":
        raise InputError(f"{path} does not end in .html, which the report is written as")
    check_output(path)
    if os.path.lexists(path) and (is_link(path) or MARK.encode() not in read_regular(path)[:1000]):
        raise InputError(f"{path} is no report of evaluate: choose another name, or move it away")


def write_page(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    *,
    conditions: Mapping[str, Any],
    label: Callable[[int], str],
    command: str = "",
    others: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> None:
    """Write the page of a `result` and its `rows`, which have traces, whole or not at all; `others` are rows of the same photos
    and classes of other methods, by name. Raises OutputError.
    """
    measured = series_of(rows, result["method"])
    series = [*measured, *(series_beside(name, rows_beside, measured[0]) for name, rows_beside in others.items())]
    title = f"{Path(result['model']).name}, {result['method']}, {len(rows)} images, class: {result['target']}"
    legend = "".join(f"<li>{line_key(number)}{text(each.name)}</li>" for number, each in enumerate(series))
    parts = [
        f'<h1>{text(title)}</h1><ul class="legend">{legend}</ul>',
        _table(result, rows, series, others),
        _curves(series, result["read"], result["seed"]),
        _distributions(rows, series, result["seed"]),
        _photos(rows, series, others, label),
        _making(result, conditions, command),
    ]
    with written_whole(path) as temporary:
        temporary.write_text(_document(title, parts), encoding="utf-8")


def _document(title: str, parts: Sequence[str]) -> str:
    style = files("openvino_xai.evaluate.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    return head + "\n".join(parts) + "\n</body>\n</html>\n"


def _table(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    series: Sequence[Series],
    others: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    lines = []
    columns = list(result["baselines"].values())
    for rows_beside in others.values():
        apart = differences(rows, [row["metrics"] for row in rows_beside], result["seed"])
        columns.append({"metrics": overall(rows_beside), "differences": apart})
    for name, value in result["metrics"].items():
        low_high = result["intervals"].get(name)
        cells = [name.replace("_", " "), f"{value:.4f}", f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""]
        for column in columns:
            difference = column["differences"].get(name)
            near = "~ " if difference is not None and not Interval(*difference).settles else ""
            cells.append(f"{near}{column['metrics'][name]:.4f}")
        lines.append([*cells, BEST[name]])
    heads = ["metric", result["method"], "95 %", *(each.name for each in series[1:]), "better is"]
    notes = []
    if not result["intervals"]:
        notes.append(f"Fewer than {FEWEST} images: what differs may be chance, and no interval is told.")
    elif columns:
        notes.append("~ is ahead of a figure that so many photos do not tell from the method's.")
    return f'<h2>Means</h2><div class="figures">{table(heads, lines)}</div>{_paragraphs(notes)}'


def _curves(series: Sequence[Series], read: str, seed: int) -> str:
    plots = []
    for name in series[0].curves:
        curves = [mean_curve(each.curves[name], seed) for each in series]
        plot = curve_plot(curves, f"{name}: the mean curve of each kind of map", axes=(ACROSS[name], f"mean {read}"))
        better = "a higher curve is better" if BEST[name] == "more" else "a lower curve is better"
        plots.append(f"<section><h3>{text(name)}, {better}</h3>{plot}</section>")
    if not plots:
        return ""
    notes = ["The area below a curve is the figure in the table."]
    if len(next(iter(series[0].curves.values()))) >= FEWEST:
        notes.append("95 % of the means lie in the band when photos are drawn anew (a bootstrap), at each point by itself.")
    return f'<h2>Curves</h2>{_paragraphs(notes)}<div class="plots">{"".join(plots)}</div>'


def _distributions(rows: Sequence[Mapping[str, Any]], series: Sequence[Series], seed: int) -> str:
    standing = [
        [{**row, "metrics": {name: values[place] for name, values in each.metrics.items()}} for place, row in enumerate(rows)]
        for each in series
    ]
    means, bounds = [overall(source) for source in standing], [intervals(source, seed) for source in standing]
    plots = []
    for name in series[0].metrics:
        spreads = [
            Spread(each.name, each.metrics[name], mean[name], bound.get(name))
            for each, mean, bound in zip(series, means, bounds, strict=True)
        ]
        word = name.replace("_", " ")
        plot = histograms(spreads, f"{word}: how many photos have which value")
        plots.append(f"<section><h3>{text(word)}, {BEST[name]} is better</h3>{plot}</section>")
    notes = ["How many photos have which value. The stroke below is the mean, and the bar around it the interval of the mean."]
    return f'<h2>Distributions</h2>{_paragraphs(notes)}<div class="plots">{"".join(plots)}</div>'


def _photos(
    rows: Sequence[Mapping[str, Any]],
    series: Sequence[Series],
    others: Mapping[str, Sequence[Mapping[str, Any]]],
    label: Callable[[int], str],
) -> str:
    figure = ranked_figure(series[0])
    better = figure.values if figure.best == "more" else -figure.values
    order = np.argsort(-better, kind="stable").tolist()
    ends = min(SHOWN, -(-len(rows) // 2))
    word = "insertion less deletion" if figure.name == "difference" else figure.name.replace("_", " ")
    groups = {f"Best {word}": order[:ends], f"Worst {word}": order[max(ends, len(order) - SHOWN) :][::-1]}
    gaussian = next((each for each in series[1:] if each.name == "gaussian"), None)
    reasons = [f"{word} {value:.3f}" for value in figure.values.tolist()]
    if gaussian is not None:
        other = ranked_values(gaussian, figure.name)
        gain = (figure.values - other) * (1 if figure.best == "more" else -1)
        behind = [place for place in np.argsort(gain, kind="stable").tolist() if gain[place] < 0][:SHOWN]
        reasons = [f"{reason}, of the Gaussian {value:.3f}" for reason, value in zip(reasons, other.tolist(), strict=True)]
        groups["A Gaussian at the centre does better"] = behind
    if others:
        values = np.stack([figure.values, *(ranked_values(each, figure.name) for each in series[-len(others) :])])
        groups = {"The methods disagree most": np.argsort(-np.ptp(values, axis=0), kind="stable").tolist()[:SHOWN], **groups}
        named = zip(others, values[1:].tolist(), strict=True)
        for name, column in named:
            reasons = [f"{reason}, of {name} {value:.3f}" for reason, value in zip(reasons, column, strict=True)]
    folder = os.path.commonpath([Path(row["image"]).absolute().parent for row in rows])
    parts = []
    for heading, places in groups.items():
        cards = [
            card(
                rows[place],
                os.path.relpath(Path(rows[place]["image"]).absolute(), folder),
                reasons[place],
                label,
                {series[0].name: rows[place], **{name: rows_beside[place] for name, rows_beside in others.items()}},
            )
            for place in places
        ]
        if cards:
            parts.append(f'<h2>{text(heading)}</h2><div class="cards">{"".join(cards)}</div>')
    return "".join(parts)


def _making(result: Mapping[str, Any], conditions: Mapping[str, Any], command: str) -> str:
    line = {"model": result["model"], "asked": conditions, "hook": result["hook"], "preprocessing": result["preprocessing"]}
    choices = [[word, str(result[word])] for word in ("target", "covered", "scaled", "read", "compared", "step", "seed")]
    tables = [{"title": "Choices", "rows": choices}, *provenance(line)]
    pieces = [f"<section><h3>{text(entry['title'])}</h3>{table((), entry['rows'])}</section>" for entry in tables]
    inside = f'{f"<pre>{text(command)}</pre>" if command else ""}<div class="plots">{"".join(pieces)}</div>'
    return f"<details><summary>How this page was made</summary>{inside}</details>"


def _paragraphs(notes: Sequence[str]) -> str:
    return "".join(f"<p>{text(note)}</p>" for note in notes)
