"""How the price of a hook grows with cells, classes, batch and image size, beside what is counted before anything runs.

    python scripts/growth.py --work FOLDER [--axis cells classes batch image] [--runtime openvino onnxruntime] [--rounds N]
        [--quick] [--write]

Networks with seeded weights are made here: a few convolutions, a layer of cells, a mean and a linear head. One axis varies at a
time. Of each network the plain and the hooked file run in turn in one process, and each once in a process of its own, which
tells its peak memory. Latency is what a client waits; CPU time, of all cores, is what other programs disturb least. Counted is
what `insert` tells: operations, and the largest value of the hook.

FOLDER/growth.jsonl keeps each point as soon as it is measured, and what is there is not measured again: a run that is stopped
goes on. FOLDER/growth.md holds the tables, FOLDER/growth_AXIS.png the plots. Where measured and counted differ by more than
1.3 times, the figure is bold, and ringed. `--quick` measures two tiny networks an axis. `--write` puts tables and plots
into docs/measured, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from costs.plots import draw
from costs.points import AXES, FEWEST, FULL, QUICK, SUFFIXES, Journal, Measure, Point, apart, counted_answer, measured
from studies.pages import ROOT, grid, marked, versions, write

from openvino_xai.errors import OvxaiError
from openvino_xai.files.writing import check_output, writing, written_whole

PAGE = ROOT / "docs" / "measured" / "growth.md"
STOPPED = 130  # the exit status of a program that Ctrl-C ends
HEADS = {"cells": "cells", "classes": "classes", "batch": "batch", "image": "image, cells"}
COLUMNS = (
    *("targets", "runtime", "plain, ms", "latency, hooked / plain", "CPU time, hooked / plain", "counted"),
    *("plain, MB", "peak memory, hooked / plain", "counted", "answer, bytes", "counted"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 2 for what cannot be measured, or 130 where somebody stopped it."""
    options = parsed(arguments)
    try:
        run(options)
    except OvxaiError as error:
        print(f"growth: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return STOPPED
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options. Ends with exit status 2 where they make no sense."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for points, tables and plots")
    parser.add_argument("--axis", nargs="+", choices=AXES, default=list(AXES), help="all by default")
    parser.add_argument("--runtime", nargs="+", choices=SUFFIXES, default=list(SUFFIXES), help="both by default")
    parser.add_argument("--rounds", type=int, default=21, help=f"of a point, at most; {FEWEST} or more (default: 21)")
    parser.add_argument("--quick", action="store_true", help="two tiny networks an axis: a rehearsal")
    parser.add_argument("--write", action="store_true", help="replace the tables and plots in docs/measured")
    options = parser.parse_args(arguments)
    if options.rounds < FEWEST:
        parser.error(f"--rounds is {options.rounds}: {FEWEST} or more is expected")
    if options.write and options.quick:
        parser.error("--write is for what was measured in full: leave --quick out")
    return options


def run(options: argparse.Namespace) -> None:
    """Measure what is missing, and write tables and plots. Raises OvxaiError."""
    work: Path = options.work
    with writing(work):
        work.mkdir(parents=True, exist_ok=True)
    check_output(work / "growth.jsonl")
    journal = Journal(work / "growth.jsonl")
    sizes = QUICK if options.quick else FULL
    axes = {
        axis: [pair for runtime in SUFFIXES if runtime in options.runtime for pair in sizes.points(axis, runtime)]
        for axis in AXES
        if axis in options.axis
    }
    measure(journal, [point for points in axes.values() for _, point in points], options.rounds)
    tables = {f"growth_{axis}": table(axis, points, journal) for axis, points in axes.items()}
    tables["growth_conditions"] = conditions([journal.measures[point] for points in axes.values() for _, point in points])
    with written_whole(work / "growth.md") as temporary:
        temporary.write_text(marked(tables), encoding="utf-8")
    for axis, points in axes.items():
        with written_whole(work / f"growth_{axis}.png") as temporary:
            draw(axis, points, journal.measures, temporary)
        if options.write:
            shutil.copyfile(work / f"growth_{axis}.png", PAGE.parent / f"growth_{axis}.png")
    if options.write:
        write(tables, [PAGE])
    print(f"tables: {work / 'growth.md'}")


def measure(journal: Journal, points: Sequence[Point], rounds: int) -> None:
    """Measure each point that the journal lacks, once, and tell how far it is."""
    missing = [point for point in dict.fromkeys(points) if point not in journal.measures]
    with tempfile.TemporaryDirectory() as folder:
        for number, point in enumerate(missing, 1):
            result = measured(point, Path(folder), rounds)
            journal.add(point, result)
            line = f"{number} of {len(missing)}: {point}: CPU time {result.work:.2f}, counted {result.cost:.2f}"
            print(line, file=sys.stderr, flush=True)


def table(axis: str, points: Sequence[tuple[int, Point]], journal: Journal) -> str:
    """The points of an axis in Markdown; bold is what differs from what was counted."""
    rows = []
    for value, point in sorted(points, key=lambda pair: pair[0]):
        it = journal.measures[point]
        start = {"cells": f"{value}x{value}", "image": f"{value}x{value}, {point.cells}x{point.cells}"}.get(axis, f"{value:,}")
        answer = counted_answer(point)
        latency = [f"{1e3 * it.wall[0]:.1f}", f"{it.latency:.2f}", compared(it.work, it.cost), f"{it.cost:.2f}"]
        peak = [f"{it.peak[0] / 1e6:.0f}", compared(it.peaks, it.counted_peaks), f"{it.counted_peaks:.2f}"]
        answers = [compared(it.answer[1], answer, ",.0f"), f"{answer:,}"]
        rows.append([start, f"`{point.targets}`", point.runtime, *latency, *peak, *answers])
    return grid([HEADS[axis], *COLUMNS], rows)


def compared(figure: float, counted: float, form: str = ".2f") -> str:
    """A figure that was measured, in bold where it differs from what was counted."""
    return f"**{figure:{form}}**" if apart(figure, counted) else f"{figure:{form}}"


def conditions(measures: Sequence[Measure]) -> str:
    """How it was measured."""
    rounds = sorted({it.rounds for it in measures})
    counts = str(rounds[0]) if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    return f"Medians of {counts} rounds, f32, LATENCY hint. {versions()}; {os.cpu_count()} cores."


if __name__ == "__main__":
    sys.exit(main())
