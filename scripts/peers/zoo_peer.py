"""What the predecessor made of one model, held to the definition; one JSON object on standard output. `zoo_peer.py ONNX NPZ`.

NPZ is what `predecessor_zoo.py` writes. The definition is that of the method that the predecessor took, at the layer that
it took, as a hook of ours gives it, which is verified, on the same images. The predecessor's maps are bytes from 0 to 255 for
every class, ours raw scores, and both are brought to [0, 1].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import TooLarge
from openvino_xai.graph.model import Graph
from openvino_xai.locate.attention_blocks import blocks
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.positions import places
from openvino_xai.locate.scores import find_scores
from openvino_xai.surgery.classes import FAR

NO_LAYER = "Cannot find output backbone_node"
BYTES = 2 / 255  # maps are cut to bytes, and may be rounded up or down
ROUNDING = 2e-6  # of the largest score: what two versions of a runtime may differ by in one
CHANGED = 1e-5  # of the largest score: more than rounding in a runtime that fuses the nodes in another way
SCORES = 1e-3  # of the largest score: more, and the two versions do not run the same model
MEMORY = 4 * 2**30


def main(path: str, npz: str) -> None:
    print(json.dumps(judged(path, np.load(npz))))


def judged(path: str, answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The verdict, and what it rests on."""
    record: dict[str, Any] = json.loads(str(answers["report"]))
    if "failed" in record:
        return {"verdict": failed(record), **record}
    original = open_model(ov.Core().read_model(path))
    apart = "; fails at batch 3" if "failed_together" in record else ""
    try:
        hooked = definition(original, record)
    except TooLarge as error:
        return {"verdict": (early(costs(original)[record["layer"]]) or f"unchecked: {error}") + apart, **record}
    except xai.OvxaiError as error:
        return {"verdict": f"unchecked: {error}{apart}", **record}
    assert hooked.layer.cost is not None
    record["cost"] = round(hooked.layer.cost, 2)
    return {"verdict": (wrong(hooked, record, answers) or early(hooked.layer.cost) or "same") + apart, **record}


def failed(record: Mapping[str, Any]) -> str:
    """The verdict where there is no map."""
    if record.get("tried") == []:
        return "no layer"
    return f"fails: {record['failed'] if NO_LAYER not in record['failed'] else record['failed_before']}"


def definition(original: Deployed, record: Mapping[str, Any]) -> xai.Hooked:
    """A model that returns the maps that the predecessor's should be. Raises an OvxaiError."""
    layer, method = counterpart(original.graph, record["layer"], record["method"]), record["method"]
    return xai.insert(original.object(), layer=layer, method=method, score="logit", scale="none", max_memory=MEMORY)


def costs(original: Deployed) -> dict[str, float]:
    """What a hook costs at each layer, in runs of the model."""
    return {layer.name: layer.cost for layer in xai.layers(original.object()) if layer.cost is not None}


def early(cost: float) -> str | None:
    return f"early layer, {cost:.0f} times the cost" if cost > FAR else None


def wrong(hooked: xai.Hooked, record: dict[str, Any], answers: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with the predecessor's maps and scores, alone and, where the batch is open, together.

    How far the maps are apart is noted in `told`: on average, at most, and by how much more than what rounding may do.
    """
    running = hooked.deployed.compile()
    for batch in sorted({1, len(answers["images"])}):
        if f"map_{batch}" not in answers:
            continue
        ours = running({hooked.record["image"]: answers["images"][:batch]})
        scores, size = ours[hooked.record["scores"]], np.abs(ours[hooked.record["scores"]]).max()
        if record["changed"] > CHANGED * size:
            return f"other scores (by up to {record['changed']:.1g})"
        if np.abs(scores - answers[f"scores_{batch}"]).max() > SCORES * size:
            return "unchecked: the plain model has other scores in the predecessor's OpenVINO"
        maps, theirs = ours["saliency_map"], answers[f"map_{batch}"]
        if theirs.shape != maps.shape:
            return f"other map ({' x '.join(map(str, theirs.shape))} for {' x '.join(map(str, maps.shape))})"
        mean, largest, beyond = differences(maps, theirs)
        record["difference"] = {"mean": round(mean, 4), "largest": round(largest, 4), "beyond rounding": round(beyond, 4)}
        if beyond > 0:
            return f"other map (mean difference {mean:.2g}{f' at batch {batch}' if batch > 1 else ''})"
    return None


def counterpart(graph: Graph, name: str, method: str) -> str:
    """What we call the predecessor's layer: it names an attention block after what enters it, we after its normalisation."""
    if method == "reciprocam":
        return name
    image, where = find_image(graph)
    candidates = blocks(graph, image, find_scores(graph), places(graph, image, where))
    names = [block.name for block in candidates if block.residual is not None and layer_name(block.residual) == name]
    if len(names) != 1:
        raise xai.OvxaiError(f"'{name}' enters {len(names)} attention blocks that we know")
    return names[0]


def differences(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """How far maps [B, K, H, W] are apart in [0, 1]: on average, at most, and at most beyond what rounding may do."""
    low, high = (end(ours.astype(np.float64), axis=(2, 3), keepdims=True) for end in (np.min, np.max))
    span = np.maximum(high - low, 1e-12)
    apart = np.abs((ours - low) / span - theirs / 255.0)
    allowed = BYTES + 2 * ROUNDING * np.abs(ours).max() / span  # a class whose scores hardly vary is all rounding
    return float(apart.mean()), float(apart.max()), float((apart - allowed).max())


if __name__ == "__main__":
    main(*sys.argv[1:])
