"""Points of growth: what a hook takes at one size of a network, measured and counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from studies.pages import code

import openvino_xai as xai
from costs.network import LAYER, STEM, write_network
from openvino_xai.benchmark.alone import measure_alone
from openvino_xai.benchmark.pairs import turns
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.files.writing import writing

SUFFIXES = {"openvino": ".xml", "onnxruntime": ".onnx"}
AXES = ("cells", "classes", "batch", "image")
POOL = 8  # the image's quarter over the cells, where the axis is not the cells themselves
APART = 1.3  # times: a point is marked where measured and counted differ by more
FEWEST = 5  # rounds
MOST_SECONDS = 6.0  # of the rounds of a point
TOP = ("all", "top:5", "top:5 logit")


@dataclass(frozen=True)
class Point:
    """A network, and which classes its hook explains; `cells` and `side` are one side of a square."""

    runtime: str
    cells: int
    classes: int
    batch: int
    side: int
    targets: str
    widths: tuple[int, ...]

    def __str__(self) -> str:
        """What was chosen, in a line."""
        sizes = f"{self.cells}x{self.cells} cells, {self.classes} classes, batch {self.batch}, {self.side} pixels"
        return f"{self.runtime}, {sizes}, {self.targets}"


@dataclass(frozen=True)
class Range:
    """The network that axes start from, and the values of each axis."""

    side: int
    classes: int
    widths: tuple[int, ...]
    values: Mapping[str, Sequence[int]]

    def points(self, axis: str, runtime: str) -> Iterator[tuple[int, Point]]:
        """The points of an axis: its value, and the network there."""
        cells = self.side // STEM // POOL
        base = Point(runtime, cells, self.classes, 1, self.side, "all", self.widths)
        for value in self.values[axis]:
            if axis == "image":
                yield value, replace(base, side=value, cells=value // STEM // POOL)
            elif axis == "classes":
                yield from ((value, replace(base, classes=value, targets=targets)) for targets in TOP)
            else:
                yield value, replace(base, **{axis: value})


FULL = Range(
    side=224,
    classes=1000,
    widths=(64, 128, 128, 1024),
    values={
        "cells": (7, 11, 14, 18, 28, 56),
        "classes": (10, 100, 1000, 5000, 21000),
        "batch": (1, 4, 16, 64),
        "image": (224, 320, 512, 768, 1024),
    },
)
QUICK = Range(
    side=64,
    classes=10,
    widths=(8, 16, 16, 32),
    values={"cells": (2, 4), "classes": (10, 40), "batch": (1, 2), "image": (64, 128)},
)


@dataclass(frozen=True)
class Measure:
    """What was measured at a point, plain and hooked, and what was counted before.

    `wall` and `cpu` are the median latency of so many `rounds`, and the time of all cores in it, in seconds. `peak` is the
    largest resident memory of a process, and `answer` the bytes of the outputs. `cost` is the hooked model's operations over
    the plain one's, and `memory` the bytes of the hook's largest value, as `insert` tells them.
    """

    wall: tuple[float, float]
    cpu: tuple[float, float]
    rounds: int
    peak: tuple[int, int]
    answer: tuple[int, int]
    cost: float
    memory: int

    @property
    def latency(self) -> float:
        """Latency, hooked over plain."""
        return self.wall[1] / self.wall[0]

    @property
    def work(self) -> float:
        """Time of all cores, hooked over plain: what operations are, and what other programs disturb least."""
        return self.cpu[1] / self.cpu[0]

    @property
    def peaks(self) -> float:
        """Peak memory, hooked over plain."""
        return self.peak[1] / self.peak[0]

    @property
    def counted_peaks(self) -> float:
        """What that is where a hook's largest value comes on top."""
        return 1 + self.memory / self.peak[0]


def counted_answer(point: Point) -> int:
    """The bytes of an answer: f32 scores and maps, and an i64 id of each class that is chosen."""
    maps, chosen = (point.classes, 0) if point.targets == "all" else (5, 5)
    return point.batch * (4 * point.classes + 4 * maps * point.cells**2 + 8 * chosen)


def apart(measured: float, counted: float) -> bool:
    """Whether two figures differ by more than `APART`, whichever is larger."""
    return not counted / APART <= measured <= counted * APART


def measured(point: Point, folder: Path, rounds: int) -> Measure:
    """Measure a point; a network that is in the folder is not made again. Raises OvxaiError."""
    suffix = SUFFIXES[point.runtime]
    sizes = {"side": point.side, "cells": point.cells, "classes": point.classes, "batch": point.batch}
    path = folder / f"plain_{'_'.join(map(str, sizes.values()))}{suffix}"
    if not path.exists():
        write_network(path, widths=point.widths, **sizes)
    targets, _, score = point.targets.partition(" ")
    hooked = xai.insert(path, layer=LAYER, targets=targets, score=score or None, verify=False)  # type: ignore[arg-type]
    explaining = hooked.save(folder / f"hooked{suffix}", force=True)
    peak = plain_peak(path), peak_of(explaining)
    models = [open_model(file) for file in (path, explaining)]
    inputs = random_inputs(models[0], point.batch)
    plain, explained = (model.compile() for model in models)
    answers = [sum(array.nbytes for array in running(inputs).values()) for running in (plain, explained)]
    start = time.perf_counter()
    for running in (plain, explained):
        running.once(inputs)
    turn = time.perf_counter() - start
    count = max(FEWEST, min(rounds, int(MOST_SECONDS / turn)))
    taken = turns(plain, explained, inputs, count, clocks=(time.perf_counter, time.process_time))
    wall, cpu = ((float(plain), float(hooked)) for plain, hooked in np.median(taken, axis=2))
    layer = hooked.layer
    assert layer.cost is not None and layer.memory is not None
    return Measure(wall, cpu, count, peak, (answers[0], answers[1]), layer.cost, layer.memory)


def peak_of(path: Path) -> int:
    """The largest resident memory, in bytes, of a process that runs a file of a fixed batch three times."""
    return measure_alone(path, "CPU", "f32", "LATENCY", 1).peak_bytes


plain_peak = cache(peak_of)  # the same network is plain beside several hooks


class Journal:
    """Points on the disk, a line of JSON each, kept as soon as they are measured: what this code measured is read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.measures: dict[Point, Measure] = {}
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        for line in text.splitlines():
            try:
                entry: dict[str, Any] = json.loads(line)
                point, measure = _point(entry["point"]), _measure(entry["measure"])
            except (ValueError, KeyError, TypeError):
                continue  # a run that was stopped leaves half a line
            if entry.get("code") == code():
                self.measures[point] = measure
        self._is_torn = bool(text) and not text.endswith("\n")

    def add(self, point: Point, measure: Measure) -> None:
        """Keep a point. Raises OutputError."""
        line = json.dumps({"code": code(), "point": asdict(point), "measure": asdict(measure)})
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._is_torn else "") + line + "\n")
        self._is_torn = False
        self.measures[point] = measure


def _point(entry: Mapping[str, Any]) -> Point:
    return Point(**{**entry, "widths": tuple(entry["widths"])})


def _measure(entry: Mapping[str, Any]) -> Measure:
    pairs = {name: tuple(entry[name]) for name in ("wall", "cpu", "peak", "answer")}
    return Measure(**{**entry, **pairs})
