"""One model of the zoo, hooked, verified and looked at; one JSON object on standard output. `zoo_one.py MODEL onnx|ir`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Literal

import numpy as np
import openvino as ov

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import InputError, OutputsChanged, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.positions import places

BATCH = 3
CLEAR = 1.0  # a change is seen where a cell differs by twice what changes elsewhere make of it
APART = 1e-4  # of the largest value: what rounding may make of a map when other images stand beside its own


def main(path: str, dialect: str) -> None:
    print(json.dumps(became(opened(path, dialect))))


def opened(path: str, dialect: str) -> Any:
    """A file, or what OpenVINO reads from it."""
    return path if dialect == "onnx" or not path.endswith(".onnx") else ov.Core().read_model(path)


def became(model: Any) -> dict[str, Any]:
    """What became of a model."""
    original = open_model(model)
    try:
        original.compile()
    except InputError as error:
        return {"became": "runtime cannot", "why": str(error)}
    start = time.perf_counter()
    hooked = inserted(original)
    seconds = {"insert seconds": round(time.perf_counter() - start, 1)}
    if isinstance(hooked, dict):
        return {**hooked, **seconds}
    assert hooked.verified is not None and hooked.layer.cost is not None
    value = next(v for node in original.graph.nodes for v in node.outputs if layer_name(v) == hooked.layer.name)
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
    moved = turned(original, value)
    if moved is not None and moved is not True:
        return {"became": "wrong", **record, "why": moved}
    return {"became": "explained", **record, "in place": "seen" if moved is None else "unclear"}


def inserted(original: Deployed) -> xai.Hooked | dict[str, str]:
    """The hooked model, or why there is none."""
    try:
        return xai.insert(original.object())  # read once: some readers number nodes anew each time
    except OutputsChanged as error:  # the hook is right, but the runtime would not keep every bit
        return {"became": "refused", "why": str(error)}
    except VerificationError as error:
        return {"became": "wrong", "why": str(error)}
    except xai.OvxaiError as error:
        return {"became": "refused", "why": str(error)}


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
    for image in range(BATCH):
        alone = running({name: array[image : image + 1] for name, array in inputs.items()})["saliency_map"][0]
        # maps are scaled to [0, 1]: what differs there by rounding is large only where a map is flat
        apart = np.abs(alone - together["saliency_map"][image]).mean()
        if apart > 100 * APART:
            return f"image {image} of {BATCH} has another map than alone: {apart:.1g}"
    return None


def turned(original: Deployed, layer: Value) -> str | Literal[True] | None:
    """Why cells are not where the image says, None where a change in a corner of the image is seen in that of the cells.

    True where random weights spread a change so evenly that nothing can be told.
    """
    image, where = find_image(original.graph)
    place = places(original.graph, image, where)[layer]
    inputs = random_inputs(original, 1)
    running = original.probing(read={"seen": layer}, inputs={}).compile()
    before = running(inputs)["seen"]
    rows, columns = where.cells
    height, width = (before.shape[axis] for axis in place.cells) if len(place.cells) == 2 else map(int, map(str, place.grid))
    responses = []
    corners = [(h, w) for h in (0.15, 0.85) for w in (0.15, 0.85)]
    for h, w in corners:
        changed = {name: array.copy() for name, array in inputs.items()}
        at: list[slice] = [slice(None)] * 4
        for axis, share in ((rows, h), (columns, w)):
            size = inputs[image.name].shape[axis]
            at[axis] = slice(int((share - 0.1) * size), int((share + 0.1) * size))
        changed[image.name][tuple(at)] += 3
        moved = np.abs(running(changed)["seen"] - before)
        others = tuple(axis for axis in range(moved.ndim) if axis not in place.cells)
        response = moved.sum(axis=others)
        if len(place.cells) == 1:
            response = response[place.prefix : place.prefix + height * width].reshape(height, width)
        elif place.cells[0] > place.cells[1]:
            response = response.T
        responses.append(response / max(response.sum(), 1e-30))
    changes = np.maximum(
        np.array(responses) / np.maximum(np.mean(responses, axis=0), 1e-30) - 1, 0
    )  # beyond what any change does
    if changes.max() < CLEAR:
        return True
    shares = [(np.arange(size) + 0.5) / size - 0.5 for size in (height, width)]
    centres = np.stack([(changes * shares[0][:, None]).sum(axis=(1, 2)), (changes * shares[1]).sum(axis=(1, 2))], axis=1)
    agree = (np.array(corners) - 0.5).T @ centres  # [axis of the image, axis of the cells]
    for axis in (0, 1):
        if agree[axis, axis] <= abs(agree[axis, 1 - axis]):
            return f"a change along axis {axis} of the image is not seen along that of the cells: {np.round(agree, 3).tolist()}"
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
