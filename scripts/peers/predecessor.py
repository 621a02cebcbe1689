"""In the predecessor's environment: its hooked model and the plain one, timed in turn. `predecessor.py IR ITERATIONS`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino as ov

import openvino_xai


def main(path: str, iterations: str) -> None:
    core = ov.Core()
    plain = core.read_model(path)
    hooked = openvino_xai.insert_xai(core.read_model(path), task=openvino_xai.Task.CLASSIFICATION)
    image = np.random.default_rng(0).standard_normal(list(plain.inputs[0].shape)).astype(np.float32)
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    requests = [core.compile_model(model, "CPU", hints).create_infer_request() for model in (plain, hooked)]
    for request in requests * 3:
        request.infer([image], share_inputs=True, share_outputs=True)
    seconds = np.zeros((2, int(iterations)))
    for i in range(int(iterations)):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            start = time.perf_counter()
            requests[which].infer([image], share_inputs=True, share_outputs=True)
            seconds[which, i] = time.perf_counter() - start
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in (("plain", plain), ("hooked", hooked)):
            ov.save_model(model, Path(folder, f"{name}.xml"), compress_to_fp16=False)
            sizes.append(Path(folder, f"{name}.bin").stat().st_size)
    medians = np.median(seconds, axis=1)
    print(
        json.dumps({"latency_ratio": medians[1] / medians[0], "grown_bytes": sizes[1] - sizes[0], "openvino": ov.__version__})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
