"""One model of the zoo, hooked, verified and looked at; one JSON object on standard output. `zoo_one.py MODEL onnx|ir`."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import openvino as ov

import openvino_xai as xai
from openvino_xai.errors import InputError, OutputsChanged, VerificationError
from openvino_xai.graph.files import open_model
from openvino_xai.graph.neutral import Graph, Value
from openvino_xai.graph.protocol import Deployed
from openvino_xai.surgery.cost import operations
from openvino_xai.surgery.locate import find_image, layer_name
from openvino_xai.surgery.places import places
from openvino_xai.surgery.verify import random_inputs

BATCH = 3
APART = 1e-4  # of the largest value: what rounding may make of a map when other images stand beside its own


def main(path: str, dialect: str) -> None:
    model = path if dialect == "onnx" or path.endswith(".xml") else ov.Core().read_model(path)
    print(json.dumps(became(model)))


def became(model: Any) -> dict[str, Any]:
    """What became of a model."""
    original = open_model(model)
    try:
        original.compile()
    except InputError as error:
        return {"became": "runtime cannot", "why": str(error)}
    try:
        hooked = xai.insert(model)
    except OutputsChanged as error:  # the hook is right, but the runtime would not keep every bit
        return {"became": "refused", "why": str(error)}
    except VerificationError as error:
        return {"became": "wrong", "why": str(error)}
    except xai.OvxaiError as error:
        return {"became": "refused", "why": str(error)}
    assert hooked.verified is not None and hooked.layer.cost is not None
    value = next(v for node in original.graph.nodes for v in node.outputs if layer_name(v) == hooked.layer.name)
    told = {
        "method": hooked.record["method"],
        "layer": hooked.layer.name,
        "depth": round(depth(original.graph, value), 3),
        "cost": round(hooked.layer.cost, 3),
        "difference": f"{hooked.verified.difference:.1e}",
    }
    for check in (alone, in_place):
        if (why := check(original, hooked, value)) is not None:
            return {"became": "wrong", **told, "why": why}
    return {"became": "explained", **told}


def depth(graph: Graph, layer: Value) -> float:
    """The share of a model's operations that lead to a layer."""
    wanted = {layer}
    before = []
    for node in reversed(graph.nodes):
        if any(value in wanted for value in node.outputs):
            before.append(node)
            wanted.update(value for _, value in node.operands)
    return operations(before) / max(operations(graph.nodes), 1)


def alone(original: Deployed, hooked: xai.Hooked, layer: Value) -> str | None:
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
        one = running({name: array[image : image + 1] for name, array in inputs.items()})["saliency_map"][0]
        # maps are scaled to [0, 1]: what differs there by rounding is large only where a map is flat
        apart = np.abs(one - together["saliency_map"][image]).mean()
        if apart > 100 * APART:
            return f"image {image} of {BATCH} has another map than alone: {apart:.1g}"
    return None


def in_place(original: Deployed, hooked: xai.Hooked, layer: Value) -> str | None:
    """Why cells are not where the image says: a change in a corner must be seen nearest to that corner; None where it is."""
    image, where = find_image(original.graph)
    place = places(original.graph, image, where)[layer]
    inputs = random_inputs(original, 1)
    running = original.probing(read={"seen": layer}, given={}).compile()
    before = running(inputs)["seen"]
    rows, columns = where.cells
    height, width = hooked.layer.cells
    assert isinstance(height, int) and isinstance(width, int)
    nearest = []
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
        seen = moved.sum(axis=others)
        if len(place.cells) == 1:
            seen = seen[place.prefix : place.prefix + height * width].reshape(height, width)
        elif place.cells[0] > place.cells[1]:
            seen = seen.T
        weight = seen - seen.min()
        centre = [
            float((weight.sum(axis=1 - axis) * (np.arange(size) + 0.5) / size).sum() / max(weight.sum(), 1e-30))
            for axis, size in enumerate((height, width))
        ]
        nearest.append(centre)
    found = np.array(nearest)
    for axis in (0, 1):
        low = [found[i, axis] for i, corner in enumerate(corners) if corner[axis] < 0.5]
        high = [found[i, axis] for i, corner in enumerate(corners) if corner[axis] > 0.5]
        if np.mean(low) >= np.mean(high):
            return f"a change in the image is not seen where it is: centres {np.round(found, 2).tolist()}"
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
