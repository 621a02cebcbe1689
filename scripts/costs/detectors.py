"""What hooks cost on detectors: CPU time of the hooked model over that of the plain one, in turn in one process, on one thread.

    python scripts/costs/detectors.py MODEL.onnx [...]

prints a table of medians, in ONNX Runtime and OpenVINO. CPU time of one thread says the same on a machine that others use, too;
with more threads a hook's many small operations gain less than a model's large ones.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.random_inputs import random_inputs

ITERATIONS = 12
CASES: dict[str, dict[str, str]] = {
    "class_map": {"targets": "all", "method": "class_map"},
    "layer_cam, heads, 16 boxes": {"targets": "boxes:16", "method": "layer_cam", "cut": "heads"},
    "reciprocam, heads, 16 boxes": {"targets": "boxes:16", "method": "reciprocam", "cut": "heads"},
    "layer_cam, backbone, 4 boxes": {"targets": "boxes:4", "method": "layer_cam"},
    "layer_cam, backbone, 16 boxes": {"targets": "boxes:16", "method": "layer_cam"},
}
Run = Callable[[Mapping[str, np.ndarray]], Any]


def of_onnxruntime(path: Path) -> Run:
    """Run a model on one thread of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    return lambda inputs: session.run(None, dict(inputs))


def of_openvino(path: Path) -> Run:
    """Run a model on one thread of OpenVINO, in f32."""
    more = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = openvino.Core().compile_model(str(path), "CPU", more).create_infer_request()
    return lambda inputs: request.infer(dict(inputs))


def ratio(plain: Run, hooked: Run, inputs: Mapping[str, np.ndarray]) -> float:
    """The median CPU time of one over that of the other."""
    seconds = np.zeros((2, ITERATIONS))
    for run in (plain, hooked):
        run(inputs)
    for i in range(ITERATIONS):
        for which, run in enumerate((plain, hooked)):
            start = time.process_time()
            run(inputs)
            seconds[which, i] = time.process_time() - start
    before, after = np.median(seconds, axis=1)
    return float(after / before)


def main(models: list[str]) -> None:
    """Print the table."""
    print("| model | hook | counted | ONNX Runtime | OpenVINO | file |\n| --- | --- | --- | --- | --- | --- |")
    for name in models:
        inputs = random_inputs(open_model(name), 1)
        for case, options in CASES.items():
            hooked = xai.insert(name, verify=False, **options)  # type: ignore[arg-type]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "hooked.onnx")
                hooked.save(path)
                ratios = [ratio(run(Path(name)), run(path), inputs) for run in (of_onnxruntime, of_openvino)]
                size = path.stat().st_size / Path(name).stat().st_size
            words = [Path(name).stem, case, hooked.record["cost"], *(f"{value:.2f}" for value in ratios), f"{size:.2f}"]
            print("| " + " | ".join(words) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
