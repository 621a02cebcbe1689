"""Growth, drawn: what was measured beside what was counted, both axes by logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from costs.points import APART, Measure, Point, apart, counted_answer
from openvino_xai.errors import InputError

LABELS = {"cells": "cells of a side", "classes": "classes", "batch": "images in a batch", "image": "pixels of a side"}
COLOURS = {"openvino": "tab:blue", "onnxruntime": "tab:orange"}
MARKS = {"all": "o", "top:5": "s", "top:5 logit": "^"}
RATIOS = (0.5, 0.7, 1, 1.2, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 50, 100)  # ticks of a ratio
PANELS: tuple[tuple[str, Callable[[Point, Measure], tuple[float, float]]], ...] = (
    ("CPU time, hooked / plain", lambda point, measure: (measure.work, measure.cost)),
    ("peak memory, hooked / plain", lambda point, measure: (measure.peaks, measure.counted_peaks)),
    ("bytes of an answer", lambda point, measure: (measure.answer[1], counted_answer(point))),
)


def draw(axis: str, points: Sequence[tuple[int, Point]], measures: Mapping[Point, Measure], path: Path) -> None:
    """Write a picture of three panels: points that were measured beside lines that were counted.

    Bands say how far a point may be from its line; points that are farther are ringed. Raises InputError where Matplotlib is
    missing.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import NullLocator
    except ImportError as error:
        raise InputError("plots are drawn with Matplotlib, which is not installed: pip install 'ovxai[plot]'") from error
    figure = Figure(figsize=(11, 3.4), layout="constrained", dpi=100)
    for panel, (title, figures_of) in zip(figure.subplots(1, 3), PANELS, strict=True):
        series: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
        for value, point in points:
            if point in measures:
                series.setdefault((point.runtime, point.targets), []).append((value, *figures_of(point, measures[point])))
        for (runtime, targets), line in series.items():
            values, measured, counted = zip(*line, strict=True)
            colour = COLOURS[runtime]
            panel.plot(values, counted, "--", color=colour, linewidth=1)
            low, high = ([figure * share for figure in counted] for share in (1 / APART, APART))
            panel.fill_between(values, low, high, color=colour, alpha=0.08, linewidth=0)
            label = f"{runtime}, {targets}" if axis == "classes" else runtime
            panel.plot(values, measured, MARKS[targets], color=colour, markersize=5, label=label)
            far = [(value, figure) for value, figure, law in line if apart(figure, law)]
            if far:
                panel.plot(*zip(*far, strict=True), "o", color="tab:red", fillstyle="none", markersize=11)
        panel.set(xscale="log", yscale="log", title=title, xlabel=LABELS[axis])
        ticks = sorted({value for value, _ in points})
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        if title != PANELS[-1][0]:
            low, high = panel.get_ylim()
            panel.set_ylim(min(low, 0.7), max(high, 1.5))
            ratios = [ratio for ratio in RATIOS if panel.get_ylim()[0] <= ratio <= panel.get_ylim()[1]]
            panel.set_yticks(ratios, [f"{ratio:g}" for ratio in ratios])
            panel.yaxis.set_minor_locator(NullLocator())
        panel.grid(visible=True, which="major", linewidth=0.3)
        panel.tick_params(labelsize=8)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path)
