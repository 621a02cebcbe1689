"""In the predecessor's environment: the map of a detector. `predecessor_detector.py ONNX NPZ OUTPUT NAME,NAME,...`.

The names are those of the tensors with the logits of classes, one a level; NPZ has an `image` [1, C, H, W]. OUTPUT is an .npz
with `class_probability` [1, classes, 23, 23], before the predecessor scales it.
"""

from __future__ import annotations

import sys

import numpy as np
import openvino as ov

import openvino_xai


def main(path: str, arrays: str, output: str, names: str) -> None:
    core = ov.Core()
    model = core.read_model(path)
    tensors = names.split(",")
    layers = [op.get_friendly_name() for op in model.get_ordered_ops() for port in op.outputs() if port.names & set(tensors)]
    hooked = openvino_xai.insert_xai(
        model, task=openvino_xai.Task.DETECTION, target_layer=layers, embed_scaling=False, saliency_map_size=(23, 23)
    )
    compiled = core.compile_model(hooked, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.savez(output, class_probability=compiled(np.load(arrays)["image"])["saliency_map"])


if __name__ == "__main__":
    main(*sys.argv[1:])
