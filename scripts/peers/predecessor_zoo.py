"""In the predecessor's environment: hook a model as its documentation says, and run it. `predecessor_zoo.py ONNX OUTPUT`.

OUTPUT is an .npz: `told`, a JSON object with the method and the layer that it chose by itself, every pair of these that it
tried and, where it came so far, the largest change of the scores, or why it failed (the last attempt, and the one before);
`images`, and of those that ran, `map_1` and `scores_1` for the first image, and for models with an open batch `map_3` and
`scores_3` for all three. Whatever the predecessor raises is a result.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from typing import Any

import numpy as np
import openvino as ov

import openvino_xai
from openvino_xai.common.utils import logger
from openvino_xai.inserter.model_parser import IRParserCls

IMAGES = 3
MEMORY = 12 * 2**30  # bytes of address space: a hook at an early layer would take the whole machine
METHODS = {"CNN": "reciprocam", "TRANSFORMER": "vit_reciprocam"}
HINTS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def main(path: str, output: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    core = ov.Core()
    report: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    try:
        plain = core.read_model(path)
        arrays["images"] = images(plain)
        watch(report)
        hooked = openvino_xai.insert_xai(core.read_model(path), task=openvino_xai.Task.CLASSIFICATION)
        runs = [core.compile_model(model, "CPU", HINTS) for model in (plain, hooked)]
        report["changed"] = run(runs, arrays, 1)
    except Exception as error:  # any failure of the peer is what is asked for
        report["failed"] = said(str(error))
    if "changed" in report and plain.inputs[0].partial_shape[0].is_dynamic:
        try:
            run(runs, arrays, IMAGES)
        except Exception as error:
            report["failed_together"] = said(str(error))
    np.savez(output, report=np.array(json.dumps(report)), **arrays)


def images(model: ov.Model) -> np.ndarray:
    """Random images: as many as the batch has, or IMAGES where it is open."""
    shape = model.inputs[0].partial_shape
    sizes = [IMAGES if shape[0].is_dynamic else shape[0].get_length(), *(shape[axis].get_length() for axis in (1, 2, 3))]
    return np.random.default_rng(0).standard_normal(sizes).astype(np.float32)


def watch(report: dict[str, Any]) -> None:
    """Note which layer is found whenever none is named, and why an attempt failed; the last is the one that counts."""
    original = IRParserCls.get_target_node

    def watched(model: ov.Model, model_type: Any = None, target_node_name: str | None = None, k: int = 1) -> Any:
        if target_node_name is not None:
            return original(model, model_type, target_node_name, k)
        report.update(method=METHODS[model_type.name], layer=None, shape=None, tried=report.get("tried", []))
        node = original(model, model_type, None, k)
        report.update(layer=node.get_friendly_name(), shape=str(node.get_output_partial_shape(0)))
        report["tried"].append([report["method"], report["layer"]])
        return node

    def noted(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith("Not successfull due to '"):
            report["failed_before"] = said(message.partition("'")[2].rpartition("'")[0])
        return False

    IRParserCls.get_target_node = watched
    logger.addFilter(noted)


def run(runs: list[ov.CompiledModel], arrays: dict[str, np.ndarray], batch: int) -> float:
    """Run the plain model and the hooked one; returns the largest change of the scores."""
    plain, hooked = (compiled(arrays["images"][:batch]) for compiled in runs)
    arrays[f"scores_{batch}"] = hooked[0]
    arrays[f"map_{batch}"] = hooked["saliency_map"]
    return float(np.abs(plain[0] - hooked[0]).max())


def said(message: str) -> str:
    """What an error says, without where in the sources it was found: that stands ahead of it."""
    lines = [line.strip() for line in message.splitlines()]
    sentences = [line for line in lines if line and not line.startswith(("Exception from", "Check ", "While "))]
    return (sentences or lines or ["?"])[-1][:150]


if __name__ == "__main__":
    main(*sys.argv[1:])
