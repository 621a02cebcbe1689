"""A plain model and its hooked variants: latency, throughput, compile time, memory and file size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openvino_xai.benchmark.alone import Alone, measure_alone
from openvino_xai.benchmark.pairs import ROUNDS, Pair, measure
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.record.reading import record_of


@dataclass(frozen=True)
class Setting:
    """Where and how models run."""

    device: str = "CPU"
    precision: str = "f32"
    hint: str = "LATENCY"
    batch: int = 1
    iterations: int = 60


@dataclass(frozen=True)
class Row:
    """What was measured of one model; ratios are over the plain model of the same pair, None for the plain model itself."""

    name: str
    precision: str
    latency_p50: float
    latency_p95: float
    latency_ratio: float | None
    throughput: float
    throughput_ratio: float | None
    compile_seconds: float
    peak_bytes: int
    file_bytes: int


def compare(
    plain: Deployed,
    hooked: Mapping[str, Deployed],
    setting: Setting,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Row]:
    """The plain model, then each hooked one, timed in turn with it. `progress` is told what goes on, and how far it is."""
    inputs = random_inputs(plain, setting.batch)
    runs = {name: _runs(name, model, inputs, setting.batch) for name, model in hooked.items()}
    total = sum(map(len, runs.values())) * (setting.iterations + ROUNDS) + len(hooked) + 1
    done = 0

    def tick(what: str) -> None:
        nonlocal done
        done += 1
        progress(what, done, total)

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        alone, sizes = _alone({"plain": plain, **hooked}, Path(folder), setting, tick)
    compiled = plain.compile(setting.device, setting.precision, setting.hint)
    for name, model in hooked.items():
        running = model.compile(setting.device, setting.precision, setting.hint)
        for title, feed in runs[name].items():
            pair = measure(compiled, running, feed, setting.iterations, lambda title=title: tick(f"timing {title}"))  # type: ignore[misc]
            if not rows:
                rows.append(_row("plain", compiled.precision, pair, 0, alone=alone["plain"], size=sizes["plain"]))
            rows.append(_row(title, running.precision, pair, 1, alone=alone[name], size=sizes[name]))
    return rows


def _runs(name: str, model: Deployed, inputs: Mapping[str, np.ndarray], batch: int) -> dict[str, dict[str, np.ndarray]]:
    """What a hooked model is given: with a gate, once to explain all images, once half of them, and once none."""
    gate = record_of(model.graph, model.info).get("gate")
    if gate is None:
        return {name: dict(inputs)}
    which = {"all": np.ones(batch, bool), "half": np.arange(batch) % 2 == 0, "none": np.zeros(batch, bool)}
    return {
        f"{name}, {word} asked": {**inputs, gate: selection} for word, selection in which.items() if batch > 1 or word != "half"
    }


def _alone(
    models: Mapping[str, Deployed], folder: Path, setting: Setting, tick: Callable[[str], None]
) -> tuple[dict[str, Alone], dict[str, int]]:
    alone, sizes = {}, {}
    for name, model in models.items():
        files = model.save(folder / f"{name}{model.suffix}")
        sizes[name] = sum(file.stat().st_size for file in files)
        alone[name] = measure_alone(files[0], setting.device, setting.precision, setting.hint, setting.batch)
        tick(f"compiling {name} alone")
    return alone, sizes


def _row(name: str, precision: str, pair: Pair, which: int, *, alone: Alone, size: int) -> Row:
    return Row(
        name=name,
        precision=precision,
        latency_p50=float(np.median(pair.latency[which])),
        latency_p95=float(np.quantile(pair.latency[which], 0.95)),
        latency_ratio=pair.latency_ratio if which else None,
        throughput=float(np.median(pair.throughput[which])),
        throughput_ratio=pair.throughput_ratio if which else None,
        compile_seconds=alone.compile_seconds,
        peak_bytes=alone.peak_bytes,
        file_bytes=size,
    )
