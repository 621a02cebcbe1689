"""Write a hooked file, then run it with plain OpenVINO, as an endpoint would: `python samples/hooked_inference.py OUTPUT`."""

import sys
from pathlib import Path

import numpy as np
import openvino as ov

import openvino_xai as xai

SAMPLES = Path(__file__).parent


def main(output: Path) -> None:
    hooked = xai.insert(SAMPLES / "models" / "efficientnet_lite0.xml", layer="head_relu6", targets="top:1")
    path = hooked.save(output / "efficientnet_lite0_xai.xml", force=True)

    compiled = ov.Core().compile_model(path, "CPU")
    batch = np.random.default_rng(0).normal(0, 1, (4, 3, 224, 224)).astype(np.float32)
    results = compiled(batch)
    print("logits", results["logits"].shape)
    print("maps", results["saliency_map"].shape, "of classes", results["saliency_class"].ravel().tolist())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
