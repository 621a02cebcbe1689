"""What an explanation takes: of one class by each method, beside the plain network and beside the reference, in one process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from openvino_xai.contract import WANTED, reads
from openvino_xai.files.writing import written_whole
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.probed import Probed
from openvino_xai.runtime.sources import digest_of
from studies.pages import brief, code, grid
from studies.rows import Measured, masks_of

TURNS = 9  # of each network; the median counts
LONG = 20.0  # seconds: a method has no further turn when its turns took as long
PLAIN = "plain"
NO_PAPER: Mapping[str, float] = {}


def on_one_core() -> None:
    """Keep this process on one core, where the system lets it, so that no thread waits for another."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def distinct(compared: Sequence[Measured]) -> list[Measured]:
    """One study of each network: photos make no difference here."""
    return list({measured.model_digest: measured for measured in reversed(compared)}.values())[::-1]


def measure(measured: Measured) -> None:
    """Time each method that is not timed yet, in turn with the plain network and the reference.

    What counts is CPU time, which other work on the machine disturbs least.
    """
    for method in measured.plan.methods:
        path, key = _path(measured, method), _key(measured, method)
        if measured.place(method).kind in ("refused", "failed") or _measured_before(path, key) is not None:
            continue
        seconds = _seconds(measured, method)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({"key": key, "seconds": seconds}))


def times(measured: Measured) -> dict[str, dict[str, list[float]]]:
    """For each method that is timed, the seconds of each turn of the `plain` network, the `reference` and the `method`."""
    seconds_of = {method: _measured_before(_path(measured, method), _key(measured, method)) for method in measured.plan.methods}
    return {method: seconds for method, seconds in seconds_of.items() if seconds is not None}


def ratio(seconds: Mapping[str, Sequence[float]], other: str) -> float:
    """The median over the turns of what the method takes, over what the `other` took in the same turn."""
    return median(a / b for a, b in zip(seconds["method"], seconds[other], strict=True))


def table(studies: Sequence[Measured], other: str, paper: Mapping[str, float] = NO_PAPER) -> str:
    """One line a method, one column a network: times the `plain` network, or times the `reference`; and what a paper says."""
    columns = {measured.study.title.partition(",")[0]: times(measured) for measured in studies}
    columns = {title: column for title, column in columns.items() if column}
    methods = [method for method in studies[0].plan.methods if any(method in column for column in columns.values())]
    lines = []
    for method in methods:
        cells = [brief(ratio(column[method], other)) if method in column else "" for column in columns.values()]
        lines.append([f"`{method}`", *cells, *([brief(paper[method]) if method in paper else ""] if paper else [])])
    return grid(["method", *columns, *(["paper"] if paper else [])], lines)


def _seconds(measured: Measured, method: str) -> dict[str, list[float]]:
    """The CPU seconds of each turn. The first turn warms up and does not count, unless it is as long as all may take."""
    plain = measured.plain
    networks: dict[str, Network] = {PLAIN: plain}
    if measured.reference is not None:
        networks["reference"] = measured.network(measured.reference)
    networks["method"] = networks["reference"] if method == measured.reference else measured.network(method)
    image = plain.prepare(_photo(measured))
    k = int(plain.predict(image)[0].argmax())
    questions = {name: question_of(network, image, k) for name, network in networks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    spent = 0.0
    for _ in range(TURNS + 1):
        for name, question in questions.items():
            start = time.process_time()
            question()
            seconds[name].append(time.process_time() - start)
        spent += seconds["method"][-1]
        if spent > LONG:
            break
    return {name: turns[1:] or turns for name, turns in seconds.items()}


def question_of(network: Network, image: np.ndarray, k: int) -> Callable[[], Any]:
    """What answers with the outputs for an image, and the map of class k: of a plain or a hooked network one inference."""
    if isinstance(network, Probed):
        return lambda: network.maps(image, [k])
    batch, _ = next(iter(network.images.runs(network.images.laid_out(image), 1)))
    classes = np.full(len(batch), k) if reads(network.record, WANTED) else None
    return lambda: network(batch, classes=classes)


def _photo(measured: Measured) -> Any:
    return read_photo(measured.examples[0].path)


def _path(measured: Measured, method: str) -> Path:
    return measured.plan.work / "times" / measured.model_digest[:16] / f"{method}.json"


def _key(measured: Measured, method: str) -> str:
    masks = masks_of(measured.plan, method)
    return digest_of([code(), measured.model_digest, measured.study.layers.get(method), measured.reference, masks, TURNS])


def _measured_before(path: Path, key: str) -> dict[str, list[float]] | None:
    if not path.exists():
        return None
    entry = json.loads(path.read_text())
    return entry["seconds"] if entry["key"] == key else None
