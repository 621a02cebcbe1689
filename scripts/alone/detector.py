"""One detector, looked at and hooked; one JSON object on standard output. `alone/detector.py MODEL TRUTH [--no-hooks]`.

Three hooks are tried: a map of each class, boxes by masks, nearest to the heads, where these are cheap, and boxes by gradients,
at the backbone. Where the boxes of a file are not known, rows are explained that a client names; where one set of layers is
refused, the other is taken.

TRUTH is the entry of the file in a truth.json, as JSON, or `{}`. Rows are held to it by value: numbers are put in at elements
of the values that truly hold the logits, and exactly the rows that are said to be made of them may move.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import OutputsChanged, OvxaiError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where
from openvino_xai.locate.rows import Rows

LEVELS, ELEMENTS = 6, 4  # how many levels are looked at, and how many elements of each
MOVED = 1e-6
BOXES, ROWS = "boxes:4", "asked:4"
HOOKS = {  # the method, and the set of layers to begin with
    "class map": ("class_map", None),
    "masks": ("reciprocam", "heads"),
    "gradients": ("layer_cam", "backbone"),
}
OTHER = {"heads": "backbone", "backbone": "heads"}


def main(path: str, truth: str, *options: str) -> None:
    print(json.dumps(became(path, json.loads(truth), hooks="--no-hooks" not in options)))


def became(path: str, truth: dict[str, Any], *, hooks: bool) -> dict[str, Any]:
    """What is found of rows, sets and boxes, and what became of each hook."""
    deployed, start = open_model(path), time.perf_counter()
    try:
        detector = Detector.of(deployed, Where.parse(None, scores=None, image_input=None))
    except OvxaiError as error:
        return {"rows": "refused", "why": str(error), "seconds": round(time.perf_counter() - start, 1)}
    rows = detector.rows
    result: dict[str, Any] = {
        "rows": judged_rows(detector, truth),
        "count": rows.count,
        "classes": rows.classes,
        "scores": rows.name,
        "squash": [factor.squash for factor in rows.factors],
        "background": rows.background,
        "sets": dict(judged_sets(detector, truth)),
    }
    try:
        result["boxes"] = detector.boxes().format.name
    except OvxaiError as error:
        result["boxes"] = f"refused: {error}"
    result["seconds"] = round(time.perf_counter() - start, 1)
    if hooks:
        result["hooks"] = {name: inserted(path, result, *how) for name, how in HOOKS.items()}
    return result


def inserted(path: str, facts: Mapping[str, Any], method: str, cut: str | None) -> dict[str, Any]:
    """What became of a hook: `explained` (what, and where), `refused` or `wrong` (why)."""
    sets, targets = facts["sets"], ROWS if facts["boxes"].startswith("refused") else BOXES
    if "all" in sets:
        return {"became": "refused", "why": sets["all"].partition(": ")[2], "seconds": 0.0}
    if cut is None:
        targets = "all"
    elif sets.get(cut, "refused").startswith("refused"):
        cut = OTHER[cut]
    start = time.perf_counter()
    try:
        hooked = xai.insert(path, method=method, targets=targets, cut=cut)
    except OutputsChanged as error:
        record = {"became": "refused", "why": f"{type(error).__name__}: {error}"}
    except VerificationError as error:
        record = {"became": "wrong", "why": str(error)}
    except OvxaiError as error:
        record = {"became": "refused", "why": f"{type(error).__name__}: {error}"}
    else:
        assert hooked.verified is not None
        record = {"became": "explained", "cost": hooked.record["cost"], "difference": f"{hooked.verified.difference:.1e}"}
    return {**record, "targets": targets, "cut": cut, "seconds": round(time.perf_counter() - start, 1)}


# ---- rows ----


def judged_rows(detector: Detector, truth: Mapping[str, Any]) -> str:
    """`right`, `unchecked`, `classes alone` where a client multiplies with an objectness, or what is wrong with the rows."""
    rows = detector.rows
    if not truth.get("logits"):
        return "unchecked"
    for word, number in (("rows", rows.count), ("classes", rows.classes)):
        if truth.get(word) is not None and truth[word] != number:
            return f"wrong: {number} {word}, and there are {truth[word]}"
    logits = [value for name in truth["logits"] if (value := named(detector.deployed, name)) is not None]
    if len(logits) < len(truth["logits"]):
        return "unchecked"
    objectness = [value for name in truth.get("objectness") or () if (value := named(detector.deployed, name)) is not None]
    heads = {head.value for head in rows.heads}
    if not heads.isdisjoint(logits) and not heads <= {*logits, *objectness}:
        return "wrong: " + ", ".join(f"'{value.name}'" for value in heads - {*logits, *objectness}) + " hold no scores"
    reasons = [why for value in logits[:LEVELS] if (why := moved_wrongly(detector, logits, value)) is not None]
    if reasons:
        return f"wrong: {reasons[0]}"
    if objectness and len(rows.factors) == 1:
        is_apart = rows.of_classes.squash == "logit"
        return "classes alone: their objectness is an output of its own" if is_apart else "wrong: an objectness is left out"
    return "right"


def named(deployed: Deployed, name: str) -> Value | None:
    """The value that is called so, or is made by a node that is."""
    value_of_node = None
    for node in deployed.graph.nodes:
        for value in node.outputs:
            if name == value.name or name in value.aliases:
                return value
        if node.name == name:
            value_of_node = node.outputs[0]
    return value_of_node


def moved_wrongly(detector: Detector, logits: Sequence[Value], value: Value) -> str | None:
    """Why elements of a value with logits are not those that the rows are said to be made of, None where they are."""
    rows, run = detector.rows, Running(detector.deployed, logits)
    before = run.scores(rows, {})
    shape, rng = run.arrays[value].shape[1:], np.random.default_rng(0)
    touched = 0
    for flat in rng.permutation(int(np.prod(shape)))[: 3 * ELEMENTS]:
        changed = run.arrays[value].copy()
        element = changed.reshape(len(changed), -1)[:, flat]
        among_all = changed.max() + 3  # of a softmax, less may leave a probability of 0 what it is
        alone = np.where(np.abs(element - 0.5) < 0.5, -1, 0.5)
        changed.reshape(len(changed), -1)[:, flat] = among_all if rows.of_classes.squash == "softmax" else alone
        after = run.scores(rows, {value: changed})
        moved = np.argwhere(np.abs(after - before) > MOVED * np.maximum(np.abs(before), 1e-3))
        if not len(moved):
            continue  # it is no score, as boxes in the same value are not
        if (why := placed_wrongly(rows, value, shape, int(flat), moved)) is not None:
            return why
        touched += 1
        if touched == ELEMENTS:
            break
    return None if touched else f"no row moves with '{value.name}'"


def placed_wrongly(rows: Rows, value: Value, shape: tuple[int, ...], flat: int, moved: np.ndarray) -> str | None:
    """Why the rows and classes that moved are not those of one element, None where they are."""
    anchors, classes = np.unique(moved[:, 0]), np.unique(moved[:, 1])
    if len(anchors) != 1:
        return f"rows {anchors.tolist()[:4]} all move with one element of '{value.name}'"
    (anchor,) = anchors
    factor = rows.of_classes
    of_row = len(classes) > 1 or rows.classes == 1
    for candidate in rows.factors if of_row else (factor,):
        head = candidate.heads[int(candidate.level[anchor])]
        if head.value is not value:
            continue
        elements = candidate.element[anchor]
        if (flat in elements) if of_row or factor.squash == "softmax" else (elements[classes[0]] == flat):
            return None
    if any(head.value is value for head in rows.heads):
        return f"row {anchor} moves with element {np.unravel_index(flat, shape)} of '{value.name}', and is said not to"
    return same_cell(rows, int(anchor), shape, flat)


def same_cell(rows: Rows, anchor: int, shape: tuple[int, ...], flat: int) -> str | None:
    """Whether a row is said to lie at the cell of an element of a map, where the map is not its head itself."""
    factor = rows.of_classes
    head = factor.heads[int(factor.level[anchor])]
    if len(shape) != 3 or head.place is None:
        return None
    grid = tuple(map(int, map(str, head.place.grid)))
    element = int(factor.element[anchor, 0])
    sizes = tuple(int(str(size)) for size in (head.value.shape or ())[1:])
    where = np.unravel_index(element, sizes)
    cell = tuple(int(where[axis - 1]) for axis in head.place.cells)
    true = tuple(int(i) for i in np.unravel_index(flat, shape)[1:])
    return None if (grid, cell) == (shape[1:], true) else f"row {anchor} is said to lie at {cell} of {grid}, and lies at {true}"


class Running:
    """A model for one image, with changes to some of its values."""

    def __init__(self, deployed: Deployed, values: Sequence[Value]) -> None:
        self._deployed, self._inputs = deployed, random_inputs(deployed, 1)
        self._values = list(dict.fromkeys(values))
        names = {f"true_{i}": value for i, value in enumerate(self._values)}
        results = deployed.probing(read=names, inputs={}).compile()(self._inputs)
        self.arrays = {value: results[name] for name, value in names.items()}
        self._running: Any = None

    def scores(self, rows: Rows, changes: Mapping[Value, np.ndarray]) -> np.ndarray:
        """[A, C]: what is read of the rows."""
        read = {f"read_{i}": value for i, value in enumerate(rows.read.values())}
        there = {name: value for name, value in read.items() if value not in self.arrays}
        if self._running is None and there:
            inputs = {f"in_{i}": value for i, value in enumerate(self._values)}
            probing = self._deployed.probing(read=there, inputs=inputs)
            self._running = probing.compile(), {value.name for value in probing.reread().graph.inputs}
        arrays = {**self.arrays, **changes}
        results: dict[str, np.ndarray] = {}
        if there:
            running, expected = self._running
            feeds = {**self._inputs, **{f"in_{i}": arrays[value] for i, value in enumerate(self._values)}}
            results = running({name: array for name, array in feeds.items() if name in expected})
        flat = [(arrays[value] if value in arrays else results[name])[0].reshape(-1) for name, value in read.items()]
        return np.asarray(np.concatenate(flat)[rows.places], np.float64)


# ---- sets ----


def judged_sets(detector: Detector, truth: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of each set: `same` as the truth, `separates` where the image is not seen past it, or what is wrong or refused."""
    try:
        sets = detector.sets
    except OvxaiError as error:
        yield "all", f"refused: {error}"
        return
    for name, letter in (("backbone", "C"), ("heads", "P")):
        layer = sets[name]
        if layer.reason is not None:
            yield name, f"refused: {layer.reason}"
            continue
        cut = [part.value for part in layer.cut]
        true = {value for title in truth.get(letter) or () if (value := named(detector.deployed, title)) is not None}
        if not separates(detector, cut):
            yield name, f"wrong: rows see the image past {layer.name}"
        else:
            yield name, "same" if set(cut) == true else f"separates: {layer.name}"


def separates(detector: Detector, cut: Sequence[Value]) -> bool:
    """Whether no row moves with the image while a set of values stays what it is."""
    if detector.image in cut:
        return True
    heads = list(dict.fromkeys(head.value for head in detector.rows.heads))
    others = [value for value in heads if value not in cut]
    running = Running(detector.deployed, cut)
    names = {f"in_{i}": value for i, value in enumerate(running.arrays)}
    probing = detector.deployed.probing(read={f"head_{i}": value for i, value in enumerate(others)}, inputs=names)
    compiled, expected = probing.compile(), {value.name for value in probing.reread().graph.inputs}
    feeds = {name: running.arrays[value] for name, value in names.items()}
    results = []
    for seed in (0, 1):
        image = random_inputs(detector.deployed, 1)
        array = image[detector.image.name]
        image[detector.image.name] = np.random.default_rng(seed).random(array.shape).astype(array.dtype)
        outputs = compiled({name: array for name, array in {**image, **feeds}.items() if name in expected})
        results.append([outputs[f"head_{i}"] for i in range(len(others))])
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(*results, strict=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
