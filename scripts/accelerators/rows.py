"""A line of the table: a hooked file beside the plain one in one place, in one precision, at one batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

import openvino_xai as xai
from accelerators.places import FellBack, Place, Ready
from openvino_xai.benchmark.pairs import Pair
from openvino_xai.benchmark.pairs import measure as measured_in_turn
from openvino_xai.contract import INDEX, MAP
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import OvxaiError
from openvino_xai.locate.layers import is_quantised
from openvino_xai.render.photo import read_photo

CLOSE = 1e-4  # of maps in [0, 1]: what an f32 map may differ by from the CPU's
ITERATIONS = (6, 200)  # of latency, at least and at most
HEADS = (
    *("file", "place", "precision", "batch", "own outputs", "maps beside", "map differs by", "ran elsewhere: nodes, time"),
    *("plain, ms", "hooked, ms", "hooked / plain", "images/s, hooked / plain", "verdict"),
)

Verdict: TypeAlias = Literal["right", "told", "wrong", "refused", "left out"]


@dataclass(frozen=True)
class Case:
    """A file in a place, hooked: `plain` and `hooked` run there, and `scores` is the output that is explained."""

    title: str
    place: Place
    precision: str
    plain: Deployed
    hooked: Deployed
    scores: str


@dataclass(frozen=True)
class Row:
    """A line: its `verdict`, what became of it in words, and its cells, none where it was not measured."""

    title: str
    place: str
    precision: str
    batch: int
    verdict: Verdict
    reason: str = ""
    outputs: str = ""
    reference: str = ""
    maps: str = ""
    elsewhere: str = ""
    pair: Pair | None = None

    def cells(self) -> list[str]:
        """As `HEADS` name them."""
        times = ["", "", "", ""]
        if self.pair is not None:
            plain, hooked = np.median(self.pair.latency, axis=1) * 1e3
            times = [f"{plain:.2f}", f"{hooked:.2f}", f"{self.pair.latency_ratio:.2f}", f"{self.pair.throughput_ratio:.2f}"]
        verdict = self.verdict if not self.reason else f"{self.verdict}: {self.reason}"
        start = [
            self.title,
            self.place,
            self.precision,
            str(self.batch),
            self.outputs,
            self.reference,
            self.maps,
            self.elsewhere,
        ]
        return [cell_text(text) for text in (*start, *times, verdict)]


def cell_text(text: str) -> str:
    """A text on one line, with nothing in it that ends a cell of a Markdown table."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(line.replace("\\", "/").replace("|", "/").replace("`", "'").replace("<", "(").split())


def case_of(path: Path, title: str, place: Place, precision: str) -> Case:
    """A file, hooked for a place; in f32 the hook is verified on the CPU. Raises OvxaiError."""
    model = place.model(path, precision)
    hooked = xai.insert(model, verify=precision == "f32")
    return Case(title, place, precision, open_model(model), hooked.deployed, hooked.record["scores"])


def row_of(case: Case, batch: int, photos: Sequence[Path], seconds: float) -> Row:
    """What a batch of photos comes to, and how long it takes in about so many seconds of measuring."""
    precision = f"int8, {case.precision}" if is_quantised(case.plain.graph) else case.precision
    place, start = case.place, (case.title, case.place.name, precision, batch)
    sizes = {value.shape[0] for value in case.plain.graph.inputs if value.shape}
    if any(isinstance(size, int) and size != batch for size in sizes):
        return Row(*start, "left out", f"the file has a fixed batch of {', '.join(map(str, sizes))}")
    try:
        inputs = inputs_of(case, batch, photos)
        ready = {
            name: place.compile(model, case.precision, inputs)
            for name, model in (("plain", case.plain), ("hooked", case.hooked))
        }
        comparison = compared(case, ready, inputs)
    except (FellBack, OvxaiError) as error:
        return Row(*start, "refused", str(error))
    plain, hooked = ready["plain"].running, ready["hooked"].running
    begin = time.perf_counter()
    hooked.once(inputs)
    once = time.perf_counter() - begin
    iterations = int(np.clip(seconds / (4 * once), *ITERATIONS))
    pair = measured_in_turn(plain, hooked, inputs, iterations)
    return Row(*start, **comparison, elsewhere=ready["hooked"].elsewhere, pair=pair)


def inputs_of(case: Case, batch: int, photos: Sequence[Path]) -> dict[str, np.ndarray]:
    """Photos as the model sees them, mirrored where there are too few; noise for a model that takes no photos."""
    inputs = random_inputs(case.plain, batch)
    try:
        network = xai.load(case.hooked.object())
        images = np.concatenate([network.prepare(read_photo(path)) for path in photos])
    except (OvxaiError, AttributeError):
        return inputs
    images = np.concatenate([images, images[..., ::-1]])
    name = next(iter(inputs))
    batch_of_photos = images[np.arange(batch) % len(images)]
    if batch_of_photos.shape == inputs[name].shape:
        inputs[name] = np.ascontiguousarray(batch_of_photos.astype(inputs[name].dtype))
    return inputs


def compared(case: Case, ready: Mapping[str, Ready], inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The verdict, and the differences that it rests on: of the plain file's outputs, and of the maps on a CPU in f32."""
    plain, hooked = (ready[name].running(inputs) for name in ("plain", "hooked"))
    apart = max(difference_of(hooked[name], plain[name]) for name in plain)
    again: float | None = None
    if apart:  # kernels may be chosen anew for each session: then two plain ones differ, too
        second = case.place.compile(case.plain, case.precision, inputs).running(inputs)
        again = max(difference_of(second[name], plain[name]) for name in plain)
    reference, running = case.place.reference(case.hooked)
    expected = running(inputs)
    maps = map_difference(hooked, expected, case.scores)
    is_exact = case.precision == "f32" and not is_quantised(case.plain.graph)
    return {
        **verdict_of(apart, again, maps, is_exact=is_exact),
        "outputs": outputs_text(apart, again),
        "reference": f"{reference}, f32",
        "maps": f"{maps:.1e}" if maps else "0",
    }


def outputs_text(apart: float, again: float | None) -> str:
    """How the plain file's outputs came through, in a few words."""
    if not apart:
        return "same bits"
    return f"{apart:.1e} apart" + (f" (two plain sessions: {again:.1e})" if again else "")


def verdict_of(apart: float, again: float | None, maps: float, *, is_exact: bool) -> dict[str, Any]:
    """Right, wrong, or told: f16 and int8 are told, and outputs that differ where two plain sessions differ as much."""
    if not (np.isfinite(apart) and np.isfinite(maps)):
        return {"verdict": "wrong", "reason": "outputs or maps are no numbers, or have another shape"}
    if not is_exact:
        return {"verdict": "told"}
    if maps > CLOSE:
        return {"verdict": "wrong", "reason": f"maps are expected within {CLOSE:g}"}
    if apart and (again is None or apart > 2 * again):
        return {"verdict": "wrong", "reason": "the original outputs are expected to the bit"}
    return {"verdict": "told", "reason": "the runtime gives other bits in each session"} if apart else {"verdict": "right"}


def difference_of(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference as a share of the largest of `b`, 0 for the same bits; infinite for what is no number."""
    if a.shape != b.shape:
        return np.inf
    if np.array_equal(a, b):
        return 0.0
    difference = float(np.abs(a.astype(np.float64) - b).max() / max(float(np.abs(b).max()), 1e-30))
    return np.inf if np.isnan(difference) else difference


def map_difference(hooked: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], scores: str) -> float:
    """The largest difference of maps in [0, 1], of the most probable class of each image or of the rows that both explain.

    Of an improbable class a scaled map is rounding enlarged. Infinite where none can be compared.
    """
    maps, others = (outputs[MAP].astype(np.float64) for outputs in (hooked, expected))
    if maps.shape != others.shape:
        return np.inf
    span = 255 if hooked[MAP].dtype == np.uint8 else 1
    images = np.arange(len(maps))
    if INDEX in hooked:
        shared = (hooked[INDEX] == expected[INDEX]) & (expected[INDEX] >= 0)
        if not shared[:, 0].all():  # the best box of each image has to be the same
            return np.inf
        maps, others = maps[shared], others[shared]
    elif expected[scores].size == maps.shape[0] * maps.shape[1]:
        best = expected[scores].reshape(len(maps), -1).argmax(axis=1)
        maps, others = maps[images, best], others[images, best]
    difference = float(np.abs(maps - others).max(initial=0)) / span
    return np.inf if np.isnan(difference) else difference
