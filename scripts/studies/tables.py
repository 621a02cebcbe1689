"""What rows say: means with their intervals, and from how many photos on two methods really differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openvino_xai.evaluate.classes.baselines import BASELINES
from openvino_xai.evaluate.classes.intervals import FEWEST, Interval, differences, intervals
from openvino_xai.evaluate.classes.metrics import ADCC_PARTS, accuracy, overall
from studies.pages import grid
from studies.rows import CAUSAL, DEAR, OTHERS, Measured

COUNTS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10000, 20000, 50000)
FARTHEST = 100  # times as many photos as there are: what takes more is not told
TITLES = {
    "average_drop": "drop",
    "average_increase": "increase",
    "pointing_game": "pointing",
    "adcc": "ADCC",
    "difference": "insertion - deletion",
}
KINDS = (  # of a table: which metrics have to be there, its columns, and the one that methods are compared by
    ("masked", ADCC_PARTS, ("average_drop", "average_increase", "coherency", "complexity", "sparsity", "adcc"), "adcc"),
    ("curves", CAUSAL, ("deletion", "insertion", "difference"), "difference"),
    ("pointing", ("pointing_game",), ("pointing_game", "energy"), "energy"),
)
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """How far one method is from another on the same photos: the difference, its interval, and how many photos it `needed`.

    That is None where these photos leave it open which is ahead; `guess` is then how many would tell, or None.
    """

    photos: int
    difference: float
    interval: Interval | None
    needed: int | None = None
    guess: int | None = None


def verdict(rows: Rows, others: Rows, metric: str, seed: int) -> Verdict:
    """The difference of a metric between rows and others, on the photos that both have, in the order of `rows`.

    `needed` is the least number of photos, of those that are tried, from which on every number of them tells the two apart:
    the interval of the paired difference leaves 0 out.
    """
    of_other = {row["image"]: row for row in others}
    both = [row for row in rows if row["image"] in of_other]
    pairs = [of_other[row["image"]] for row in both]
    count = len(both)
    if not count:
        return Verdict(0, math.nan, None)
    difference = overall(both)[metric] - overall(pairs)[metric]
    interval = _difference(both, pairs, metric, seed)
    if interval is None:
        return Verdict(count, difference, None)
    if not interval.settles:
        half = (interval.high - interval.low) / 2
        guess = math.ceil(count * (half / abs(difference)) ** 2) if abs(difference) * FARTHEST**0.5 > half else None
        return Verdict(count, difference, interval, guess=guess and max(guess, count + 1))
    needed = count
    for fewer in [number for number in reversed(COUNTS) if number < count]:
        part = _difference(both[:fewer], pairs[:fewer], metric, seed)
        if part is None or not part.settles or (part.low > 0) != (interval.low > 0):
            break
        needed = fewer
    return Verdict(count, difference, interval, needed=needed)


def _difference(rows: Rows, others: Rows, metric: str, seed: int) -> Interval | None:
    return differences(rows, [row["metrics"] for row in others], seed).get(metric)


def rows_by_method(measured: Measured) -> dict[str, list[dict[str, Any]]]:
    """The rows of each method that the network takes, then those of the maps that explain nothing."""
    rows = {method: measured.rows(method) for method in measured.plan.methods}
    if measured.reference is not None:
        rows |= baselines_of(rows[measured.reference])
    return {method: of_method for method, of_method in rows.items() if of_method}


def baselines_of(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """The rows of the maps that explain nothing, which lie beside those of a method."""
    return {
        name: [{**row, "metrics": row["baselines"][name]} for row in rows if name in row["baselines"]] for name in BASELINES
    }


def of_metrics(rows: Rows, needed: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that have all metrics of `needed`, with those of `columns` alone."""
    return [
        {**row, "metrics": {name: row["metrics"][name] for name in columns if name in row["metrics"]}}
        for row in rows
        if set(needed) <= set(row["metrics"])
    ]


def headings(measured: Measured) -> dict[str, str]:
    """The headings of a study's tables, by their names."""
    name, title = measured.name, measured.study.title
    return {name: title, f"{name}_slow": f"{title}: methods that take long", f"{name}_others": f"{title}: other metrics"}


def sections(measured: Measured) -> dict[str, str]:
    """The tables of a study by their names, of all that is measured.

    Methods that take long, and are measured on few photos, have a table of their own, and so have the metrics that take long.
    """
    rows, name = rows_by_method(measured), measured.name
    slow = {method for method in measured.plan.methods if measured.place(method).cost > DEAR}
    others = {method: some for method, some in rows.items() if method not in slow}
    stands_beside = slow & set(rows) and set(others) <= {measured.reference, *BASELINES}  # others are there for the slow ones
    quick = "" if stands_beside else _kinds(measured, others)
    tables = {
        name: "\n\n".join([_photos(measured, rows), quick, *_refusals(measured, rows)]) if quick else "",
        f"{name}_slow": _kinds(measured, _beside(rows, slow, measured.reference)) if slow & set(rows) else "",
        f"{name}_others": _others(measured, rows),
    }
    return {table: lines for table, lines in tables.items() if lines}


def _kinds(measured: Measured, rows: Mapping[str, Rows]) -> str:
    """Tables of the metrics that compare methods, "" where nothing is measured."""
    parts = []
    for _, needed, columns, headline in KINDS:
        having = {method: of_metrics(some, needed, columns) for method, some in rows.items()}
        having = {method: some for method, some in having.items() if some}
        if having:
            parts.append(_table(having, columns, headline, measured.reference or "", measured.plan.seed))
    return "\n\n".join(parts)


def _beside(rows: Mapping[str, Rows], slow: Collection[str], reference: str | None) -> dict[str, list[Any]]:
    """The rows of some methods, and those of the reference and of the baselines on the same photos."""
    photos = {row["image"] for method in slow for row in rows.get(method, ())}
    others = (reference, *BASELINES)
    return {
        method: [row for row in some if row["image"] in photos]
        for method, some in rows.items()
        if method in others or method in slow
    }


def _others(measured: Measured, rows: Mapping[str, Rows]) -> str:
    """One line a method, with the interval of each metric; `~` where the photos do not tell it from the reference."""
    having = {method: of_metrics(some, OTHERS, OTHERS) for method, some in rows.items()}
    having = {method: some for method, some in having.items() if some}
    if not having:
        return ""
    reference, seed, lines = measured.reference or "", measured.plan.seed, []
    for method, some in having.items():
        means, bounds, cells = overall(some), intervals(some, seed), []
        for name in OTHERS:
            apart = (
                verdict(some, having[reference], name, seed).interval if reference in having and method != reference else None
            )
            near = "~ " if apart is not None and not apart.settles else ""
            cells.append(f"{near}{means[name] * 100:.1f}" + (f" [{span(bounds[name])}]" if name in bounds else ""))
        lines.append([f"`{method}`", str(len(some)), *cells])
    return grid(["method", "photos", *OTHERS], lines) + f"\n\n`~`: so many photos do not tell it from `{reference}`."


def _refusals(measured: Measured, rows: Mapping[str, Rows]) -> list[str]:
    """What is said below the tables: methods that the network refuses, as hooks or at all."""
    below = []
    for method in measured.plan.methods:
        place = measured.place(method)
        if place.kind in ("refused", "failed"):
            below.append(f"- `{method}` is {place.kind}: {place.reason}")
        elif place.kind == "probe" and place.reason:
            is_measured = "is measured as a probe" if method in rows else "is a probe here, and is not measured"
            below.append(f"- `{method}` {is_measured}; as a hook it is refused: {place.reason}")
    return ["\n".join(below)] if below else []


def _photos(measured: Measured, rows: Mapping[str, Rows]) -> str:
    """How many photos there are, and how many of those that are measured the network names rightly."""
    reference, count = rows.get(measured.reference or "", []), len(measured.examples)
    right = accuracy(reference) if reference else None
    those = "of which" if len(reference) == count else f"of which {len(reference)} are measured; of these"
    named = "" if right is None else f", {those} the network names {right * 100:.0f} % rightly"
    return f"{count} photos{named}. Others stand beside `{measured.reference}`."


def _table(rows: Mapping[str, Rows], columns: Sequence[str], headline: str, reference: str, seed: int) -> str:
    """One line a method; the baselines are the last."""
    first = next(iter(rows.values()))[0]["metrics"]
    names = [name for name in columns if name in (*first, "adcc", "difference")]
    title = TITLES.get(headline, headline)
    head = [
        "method",
        "photos",
        *(TITLES.get(name, name) for name in names),
        f"95 % of {title}",
        f"beside `{reference}`",
        "they differ",
    ]
    lines = []
    for method, some in rows.items():
        means, bounds = overall(some), intervals(some, seed)
        cells = [f"`{method}`", str(len(some)), *(f"{means[name] * 100:.1f}" for name in names), span(bounds.get(headline))]
        if method == reference or reference not in rows:
            cells += ["", ""]
        else:
            result = verdict(some, rows[reference], headline, seed)
            cells += [beside(result), differ(result)]
        lines.append(cells)
    return grid(head, lines)


def span(interval: Interval | None, form: str = ".1f") -> str:
    """An interval in percent."""
    return "" if interval is None else f"{interval.low * 100:{form}} - {interval.high * 100:{form}}"


def beside(result: Verdict) -> str:
    """A difference in percent, with its interval."""
    if not result.photos:
        return ""
    bounds = "" if result.interval is None else f" [{result.interval.low * 100:+.1f}, {result.interval.high * 100:+.1f}]"
    return f"{result.difference * 100:+.1f}{bounds}"


def differ(result: Verdict) -> str:
    """From how many photos on two methods differ, or whether more would tell."""
    if result.interval is None:
        return f"fewer than {FEWEST} photos"
    if result.needed is not None:
        return f"from {result.needed} photos on"
    if result.interval == (0, 0):
        return "never: the same"
    return "open" if result.guess is None else f"open; {rounded(result.guess)} photos may tell"


def rounded(count: int) -> str:
    """A count with two digits, rounded up."""
    step = 10 ** max(0, len(str(count)) - 2)
    return str(-(-count // step) * step)
