"""How many photos of a folder are explained and measured a second, beside what the plain model could do at most.

    python scripts/costs/folders.py FOLDER [--model MODEL] [--rounds N]

In one process, in turn: the photos in FOLDER are explained with maps alone, and with pictures of each format. Beside it stands
the bound, the same photos decoded, fed and inferred by the plain model, as many at a time. The bound of `evaluate` is the plain
model's time for as many images as the metrics ask for. Medians of ratios, and of milliseconds of processor time a photo.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from rich.progress import Progress

import openvino_xai as xai
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.evaluate.classes.run import evaluate
from openvino_xai.evaluate.examples import find_examples
from openvino_xai.render.overlay import Style
from openvino_xai.runtime.folder import explain_all
from openvino_xai.runtime.folders.pipeline import in_order
from openvino_xai.runtime.folders.search import Search
from openvino_xai.runtime.images import AT_ONCE
from openvino_xai.runtime.manifest import Manifest
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.sources import stamps

MODEL = "samples/models/efficientnet_lite0.xml"
SETS = {"adcc": ["average_drop", "coherency", "complexity"], "insertion and deletion": ["insertion", "deletion"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--model", default=MODEL, help="a classifier without a hook")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run")
    arguments = parser.parse_args()
    photos = list(Search().inside(arguments.folder))
    plain = xai.load(arguments.model, hint="THROUGHPUT")
    hooked = xai.load(xai.insert(arguments.model, targets="top:1"), hint="THROUGHPUT")
    of_all_classes = xai.load(xai.insert(arguments.model), hint="THROUGHPUT")
    runs: dict[str, Callable[[], None]] = {"decoded, fed, plain model": partial(infer, plain, photos)}
    for style in (Style(file_format="none"), Style(file_format="jpg"), Style()):
        runs[f"explained, {style.file_format}"] = partial(explain, hooked, photos, style)
    for name, metrics in SETS.items():
        images = counted(of_all_classes, photos[:1], metrics)
        runs[f"plain model, {images} images a photo"] = partial(infer_many, plain, photos, images)
        runs[f"measured, {name}"] = partial(measure, of_all_classes, photos, metrics)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    with Progress() as bar:
        task = bar.add_task("rounds", total=arguments.rounds * len(runs))
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                took[name].append(timed(run))
                bar.advance(task)
    print(table(took, len(photos)))


def infer(network: Network, photos: list[Path]) -> None:
    for outcome in in_order(photos, lambda index, pixels: network.outputs(network.prepare(pixels)), streams=network.streams):
        if isinstance(outcome.result, Exception):
            raise outcome.result


def explain(network: Network, photos: list[Path], style: Style) -> None:
    with tempfile.TemporaryDirectory() as folder:
        manifest = Manifest.read(Path(folder) / "explanations.jsonl", {}, stamps(photos))
        for outcome in explain_all(network, photos, manifest, targets=None, style=style):
            if isinstance(outcome, Exception):
                raise outcome
            manifest.add(outcome)
        manifest.settle()


def measure(network: Network, photos: list[Path], metrics: list[str]) -> None:
    examples = find_examples([str(photo) for photo in photos], network.labels, network.classes, Search())
    for row in evaluate(network, examples, metrics, target="predicted", choices=Choices()):
        if isinstance(row, Exception):
            raise row


def counted(network: Network, photos: list[Path], metrics: list[str]) -> int:
    """How many images the metrics ask for of one photo."""
    batches: list[int] = []
    real = network.running

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        batches.append(max(len(array) for array in inputs.values()))
        return real.run(inputs)  # type: ignore[no-any-return]

    network._running = replace(real, run=run)  # what it asks for is counted from outside
    measure(network, photos, metrics)
    network._running = real
    return sum(batches)


def infer_many(network: Network, photos: list[Path], images: int) -> None:
    """The plain model's time for so many images of each photo, of which each is decoded and fed once."""

    def inference(_: int, pixels: np.ndarray) -> None:
        sample = network.prepare(pixels)
        for start in range(0, images, AT_ONCE):
            network(np.repeat(sample, min(AT_ONCE, images - start), axis=0))

    for outcome in in_order(photos, inference, streams=network.streams):
        if isinstance(outcome.result, Exception):
            raise outcome.result


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    before, start = os.times(), time.perf_counter()
    run()
    seconds, after = time.perf_counter() - start, os.times()
    return seconds, after.user + after.system - before.user - before.system


def table(took: dict[str, list[tuple[float, float]]], photos: int) -> str:
    lines = ["| | photos a second | of the bound | processor time a photo, ms |", "| --- | --- | --- | --- |"]
    bound = next(iter(took.values()))
    for name, rounds in took.items():
        bound = rounds if name.startswith(("decoded", "plain")) else bound
        share = median(least[0] / seconds[0] for least, seconds in zip(bound, rounds, strict=True))
        seconds, processor = (median(column) / photos for column in zip(*rounds, strict=True))
        lines.append(f"| {name} | {1 / seconds:.1f} | {share:.2f} | {1000 * processor:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
