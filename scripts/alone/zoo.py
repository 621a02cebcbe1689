"""Models of the zoo, hooked, verified and looked at: a line of JSON each. `alone/zoo.py SECONDS MODEL onnx|ir [MODEL ...]`.

Each has a process of its own, and that many seconds; a crash is told as what became of a model.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import sys
import tempfile
import time
import traceback
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
import openvino as ov

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import InputError, ModelError, OutputsChanged, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.positions import Place, places

BATCH = 3
ROUNDING = 100  # times the step of a type at the largest value: less is no change
IMAGES = 8  # at most, where one is in doubt
CLEAR = 1.0  # a change is seen where a cell differs by twice what changes elsewhere make of it
WAYS_OUT = r"\b(name|export|convert|pass|say|choose|use|set|ask|try) |\bprobe\b|\bmethod\b"  # a refusal that tells one
APART = 1e-4  # of the largest value: what rounding may make of a map when other images stand beside its own


LIBRARIES = ("dialects.onnx", "dialects.openvino", "surgery.insert", "verify.hook")


def main(seconds: str, *cases: str) -> None:
    for library in LIBRARIES:  # each model's process finds them loaded
        import_module(f"openvino_xai.{library}")
    for path, dialect in zip(cases[::2], cases[1::2], strict=True):
        print(json.dumps(isolated(path, dialect, float(seconds))), flush=True)


def isolated(path: str, dialect: str, seconds: float) -> dict[str, Any]:
    """What became of a file, told by a process that may crash."""
    start = time.perf_counter()
    branch = get_context("fork")  # this one has loaded the libraries, and has run no model
    with tempfile.TemporaryFile("w+") as complaints:
        receiver, sender = branch.Pipe(duplex=False)
        process = branch.Process(target=tell, args=(path, dialect, sender, complaints))
        process.start()
        sender.close()
        record: dict[str, Any] = {"became": "too slow", "why": f"not done after {seconds:.0f} s"}
        if receiver.poll(seconds):
            try:
                record = receiver.recv()
            except EOFError:  # it ended without a word
                process.join()
                complaints.seek(0)
                lines = complaints.read().strip().splitlines()
                record = {"became": "crashed", "why": (lines or [f"exit {process.exitcode}"])[-1][:200]}
        process.kill()
        process.join()
    return {**record, "seconds": round(time.perf_counter() - start, 1)}


def tell(path: str, dialect: str, sender: Connection, complaints: TextIO) -> None:
    for stream in (1, 2):  # what a library prints is no line of ours
        os.dup2(complaints.fileno(), stream)
    try:
        model = opened(path, dialect)
    except RuntimeError as error:
        sender.send({"became": "runtime cannot", "why": str(error)[:1000]})
        return
    try:
        sender.send(became(model))
    except Exception as error:  # whatever was not foreseen is a fault
        frame = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
        sender.send({"became": "crashed", "why": why[:400]})


def opened(path: str, dialect: str) -> Any:
    """A file, or what OpenVINO reads from it."""
    as_it_is = dialect == "onnx" or not (path.endswith(".onnx") or Path(path).is_dir())
    return path if as_it_is else ov.Core().read_model(path)


def became(model: Any) -> dict[str, Any]:
    """What became of a model."""
    original = open_model(model)
    try:
        original.compile()
    except (InputError, ModelError) as error:
        return {"became": "runtime cannot", "why": str(error)}
    start, busy = time.perf_counter(), time.process_time()
    hooked = inserted(original)
    seconds = {"insert seconds": round(time.perf_counter() - start, 1), "processor": round(time.process_time() - busy, 1)}
    if isinstance(hooked, dict):
        return {**hooked, **seconds}
    assert hooked.verified is not None and hooked.layer.cost is not None
    record = {
        "method": hooked.record["method"],
        "layer": hooked.layer.name,
        "depth": round(hooked.layer.depth, 3),
        "cost": round(hooked.layer.cost, 3),
        "difference": f"{hooked.verified.difference:.1e}",
        **seconds,
    }
    if (why := influenced(original, hooked)) is not None:
        return {"became": "wrong", **record, "why": why}
    movements = [turned(original, value) for value in parts(original, hooked)]
    for moved in movements:
        if isinstance(moved, str):
            return {"became": "wrong", **record, "why": moved}
    return {"became": "explained", **record, "in place": "unclear" if True in movements else "seen"}


def parts(original: Deployed, hooked: xai.Hooked) -> list[Value]:
    """The values where the hook is: one, or those of a layer of several, whose names have commas between."""
    name = hooked.layer.name
    values = [value for node in original.graph.nodes for value in node.outputs]
    single = [value for value in values if layer_name(value) == name]
    several = single[:1] or [value for value in values if f",{layer_name(value)}," in f",{name},"]
    assert several, name
    return several


def inserted(original: Deployed) -> xai.Hooked | dict[str, Any]:
    """The hooked model, or why there is none, and whether that is `clear`: it names what is in the way, and a way out."""
    try:
        return xai.insert(original.object())  # read once: some readers number nodes anew each time
    except VerificationError as error:
        if not isinstance(error, OutputsChanged):  # of these the hook is right, but the runtime would not keep every bit
            return {"became": "wrong", "why": str(error)}
        return {"became": "refused", "why": str(error), "clear": clear(error, original)}
    except xai.OvxaiError as error:
        return {"became": "refused", "why": str(error), "clear": clear(error, original)}


def clear(error: xai.OvxaiError, original: Deployed) -> bool:
    """Whether a refusal names a node or value of the model, and says what to do."""
    graph = original.graph
    names = {name for node in graph.nodes for value in node.outputs for name in (value.name, *value.aliases)}
    names |= {node.name for node in graph.nodes} | {value.name for value in graph.inputs}
    named = error.node is not None or any(f"'{name}'" in str(error) for name in names)
    return named and (bool(error.options) or re.search(WAYS_OUT, str(error)) is not None)


def influenced(original: Deployed, hooked: xai.Hooked) -> str | None:
    """Why images influence each other's maps, or change the outputs, None where they do not."""
    if isinstance((original.graph.inputs[0].shape or (1,))[0], int):
        return None
    inputs = random_inputs(original, BATCH)
    plain, running = original.compile()(inputs), hooked.deployed.compile()
    together = running(inputs)
    for name, array in plain.items():
        if not np.array_equal(array, together[name]):
            return f"output '{name}' changed for {BATCH} images"
    if mixes(original, inputs, plain):
        return None  # the model itself gives an image other scores beside others
    for image in range(BATCH):
        alone = running(of_one(inputs, image))["saliency_map"][0]
        # maps are scaled to [0, 1]: what differs there by rounding is large only where a map is flat
        apart = np.abs(alone - together["saliency_map"][image]).mean()
        if apart > 100 * APART:
            return f"image {image} of {BATCH} has another map than alone: {apart:.1g}"
    return None


def of_one(inputs: dict[str, np.ndarray], image: int) -> dict[str, np.ndarray]:
    """The inputs of one image; what is there once is of all."""
    return {name: array if len(array) == 1 else array[image : image + 1] for name, array in inputs.items()}


def mixes(original: Deployed, inputs: dict[str, np.ndarray], plain: dict[str, np.ndarray]) -> bool:
    """Whether the plain model gives an image other scores alone than beside others, by more than rounding, or at random."""
    running = original.compile()
    alone, again = (running(of_one(inputs, 0)) for _ in range(2))
    floats = {name: array for name, array in alone.items() if array.dtype.kind == "f" and array.ndim}
    others = any(
        np.abs(array[0] - plain[name][0]).max() > 0.01 * np.abs(plain[name][0]).max() for name, array in floats.items()
    )
    return others or any(not np.array_equal(array, again[name]) for name, array in alone.items())


def turned(original: Deployed, layer: Value) -> str | Literal[True] | None:
    """Why cells are not where the image says, None where a change in a corner of the image is seen in that of the cells.

    True where random weights spread a change so evenly that nothing can be told, or let none through, or nothing tells the
    layer's cells. Where one image says that they are elsewhere, several are asked.
    """
    image, where = find_image(original.graph, planar=False)
    place = places(original.graph, image, where, anywhere=True).get(layer)
    if place is None:
        return True
    running = original.probing(read={"seen": layer}, inputs={}).compile()
    responses = [response_shares(running, random_inputs(original, 1), image.name, where, place)]
    verdict = judged(responses, where, place)
    if isinstance(verdict, str):
        more = (random_inputs(original, 1, seed=seed) for seed in range(1, IMAGES))
        responses += [response_shares(running, inputs, image.name, where, place) for inputs in more]
        verdict = judged(responses, where, place)
    return verdict


def corners_of(where: Place) -> list[tuple[float, ...]]:
    """The middles of parts near the corners of an image, as shares of its sides."""
    return list(itertools.product((0.15, 0.85), repeat=len(where.cells)))


def response_shares(
    running: Running, inputs: dict[str, np.ndarray], image: str, where: Place, place: Place
) -> np.ndarray | None:
    """[corners, cells ...]: the share of each cell in what a change in a corner of the image moves; None where nothing does."""
    before = running(inputs)["seen"]
    responses = []
    for corner in corners_of(where):
        changed = {name: array.copy() for name, array in inputs.items()}
        at = [slice(None)] * inputs[image].ndim
        for axis, share in zip(where.cells, corner, strict=True):
            size = inputs[image].shape[axis]
            start = int((share - 0.1) * size)
            at[axis] = slice(start, max(int((share + 0.1) * size), start + 1))
        changed[image][tuple(at)] += 3
        moved = np.abs(running(changed)["seen"] - before)
        if moved.max() <= ROUNDING * np.spacing(np.abs(before).max()):
            return None
        response = along_cells(moved, place, len(where.cells))
        responses.append(response / max(response.sum(), 1e-30))
    return np.array(responses)


def judged(images: list[np.ndarray | None], where: Place, place: Place) -> str | Literal[True] | None:
    """What the responses of some images say: why cells are elsewhere, None where they are not, True where nothing is told."""
    clear = [responses for responses in images if responses is not None]
    if not clear:
        return True
    mean = np.mean(clear, axis=0)
    changes = np.maximum(mean / np.maximum(mean.mean(axis=0), 1e-30) - 1, 0)  # beyond what any change does
    if changes.max() < CLEAR:
        return True
    lengths = changes.shape[1:]
    offsets = np.stack(np.meshgrid(*((np.arange(size) + 0.5) / size - 0.5 for size in lengths), indexing="ij"))
    corners = corners_of(where)
    centres = changes.reshape(len(corners), -1) @ offsets.reshape(len(lengths), -1).T
    agree = (np.array(corners) - 0.5).T @ centres  # [axis of the image, axis of the cells]
    for axis in (axis for axis, size in enumerate(lengths) if size > 1):
        mirrored = len(lengths) == 2 and place.mirrored[axis]
        if agree[axis, axis] * (-1 if mirrored else 1) <= np.abs(np.delete(agree[axis], axis)).max(initial=0.0):
            return f"a change along axis {axis} of the image is not seen along that of the cells: {np.round(agree, 3).tolist()}"
    return None


def along_cells(moved: np.ndarray, place: Place, axes: int) -> np.ndarray:
    """How much each cell moved, as many axes as those of the image that hold cells."""
    others = tuple(axis for axis in range(moved.ndim) if axis not in place.cells)
    response = np.asarray(moved.sum(axis=others))
    if len(place.cells) > 1:
        return response.transpose(np.argsort(np.argsort(place.cells)))
    lengths = [int(str(size)) for size in place.lengths] if axes > 1 else [len(response) - place.prefix]
    return response[place.prefix : place.prefix + math.prod(lengths)].reshape(lengths)


if __name__ == "__main__":
    main(*sys.argv[1:])
