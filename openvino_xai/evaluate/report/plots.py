"""Curves and histograms as SVG within a page, whose style sheet colours them by the number of their series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from openvino_xai.evaluate.classes.intervals import Interval
from openvino_xai.evaluate.report.marks import text
from openvino_xai.evaluate.report.series import MeanCurve

LEFT, RIGHT, TOP, BOTTOM = 46, 18, 10, 36  # around the frame of curves
ROOMY = 300  # pixels of a width that has room for five shares
BINS = 20
NAME, TALL = 96, 34  # pixels of a series' name beside its histogram, and of the histogram's height


class Frame(NamedTuple):
    """The pixels of a plot, and the values at its lower and its upper edge."""

    width: float
    height: float
    low: float
    high: float

    def x(self, share: float) -> float:
        """Where a share in [0, 1] of the width lies."""
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self.low) / (self.high - self.low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def points(self, values: np.ndarray) -> list[str]:
        """Evenly spaced values as `x,y`."""
        last = max(1, len(values) - 1)
        return [f"{self.x(place / last):.1f},{self.y(value):.1f}" for place, value in enumerate(values.tolist())]


def curve_plot(curves: Sequence[MeanCurve], title: str, *, size: tuple[int, int] = (460, 280), axes: tuple[str, str]) -> str:
    """Curves in a frame, the first on top, each with its interval as a band; `axes` name the shares and the values."""
    all_values = np.concatenate([part.reshape(-1) for curve in curves for part in curve if part is not None])
    ticks = _ticks(min(0.0, float(all_values.min())), float(all_values.max()))
    frame = Frame(*size, ticks[0], ticks[-1])
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{size[0] - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{tick:g}</text>')
    parts += [
        f'<text class="tick" x="{frame.x(share):.1f}" y="{size[1] - BOTTOM + 16}">{share:.0%}</text>'
        for share in ((0, 0.25, 0.5, 0.75, 1) if size[0] >= ROOMY else (0, 0.5, 1))
    ]
    for number, curve in reversed(list(enumerate(curves))):
        if curve.bounds is not None:
            outline = frame.points(curve.bounds[0]) + frame.points(curve.bounds[1])[::-1]
            parts.append(f'<polygon class="band s{number}" points="{" ".join(outline)}"/>')
        parts.append(f'<polyline class="line s{number}" points="{" ".join(frame.points(curve.mean))}"/>')
    across, up = axes
    parts.append(f'<text class="axis" x="{frame.x(0.5):.1f}" y="{size[1] - 4}">{text(across)}</text>')
    middle = (size[1] - BOTTOM + TOP) / 2
    parts.append(f'<text class="axis" transform="translate(11 {middle:.1f}) rotate(-90)">{text(up)}</text>')
    return svg(size, title, parts)


def _ticks(low: float, high: float) -> list[float]:
    """Up to six round numbers, the first not above `low` and the last not below `high`."""
    span = (high - low) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / 5))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor * 5 >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


class Spread(NamedTuple):
    """The values [N] of one series, its mean or what stands for it, and the bounds of that, or None."""

    name: str
    values: np.ndarray
    mean: float
    bounds: Interval | None


def histograms(spreads: Sequence[Spread], title: str, *, width: int = 420) -> str:
    """A histogram for each series, of its own height, over the same range, with the mean and its interval below."""
    both = np.concatenate([spread.values for spread in spreads])
    ticks = _ticks(float(both.min()), float(both.max()))
    low, high = ticks[0], ticks[-1]
    wide = width - NAME - RIGHT
    counts = [np.histogram(spread.values, BINS, (low, high))[0] for spread in spreads]
    bottom = TOP + len(spreads) * (TALL + 14)

    def x(value: float) -> float:
        return NAME + (value - low) / (high - low) * wide

    parts = []
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 14}">{tick:g}</text>')
    for number, (spread, count) in enumerate(zip(spreads, counts, strict=True)):
        base = TOP + number * (TALL + 14) + TALL
        short = spread.name if len(spread.name) <= 14 else spread.name[:13] + "\u2026"
        parts.append(f'<text class="name s{number}" x="{NAME - 8}" y="{base - 4}">{text(short)}</text>')
        for place, photos in enumerate(count.tolist()):
            if photos:
                tall = max(1.0, photos / count.max() * TALL)
                parts.append(
                    f'<rect class="bar s{number}" x="{NAME + place * wide / BINS + 0.5:.1f}" y="{base - tall:.1f}" '
                    f'width="{wide / BINS - 1:.1f}" height="{tall:.1f}"><title>{photos}</title></rect>'
                )
        if spread.bounds is not None:
            first, last = map(x, spread.bounds)
            parts.append(f'<path class="interval s{number}" d="M{first:.1f} {base + 5}H{max(last, first + 1):.1f}"/>')
        parts.append(f'<path class="mean s{number}" d="M{x(spread.mean):.1f} {base + 1}V{base + 9}"/>')
    return svg((width, bottom + 20), title, parts)


def line_key(number: int) -> str:
    """A piece of a series' line, beside its name in a legend."""
    return f'<svg viewBox="0 0 34 8" aria-hidden="true"><path class="line s{number}" d="M0 4H34"/></svg>'


def svg(size: tuple[float, float], title: str, parts: Sequence[str]) -> str:
    """An image of a size in pixels, as wide as its place, with a title that is read aloud."""
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(title)}"><title>{text(title)}</title>'
        f"{''.join(parts)}</svg>"
    )
