"""In the torch environment: logits and Grad-CAM of the top class, beside logits alone. `grad_cam.py NAME SIDE ITERATIONS`."""

from __future__ import annotations

import json
import os
import sys
import time

import networks
import numpy as np
import torch
from pytorch_grad_cam import GradCAM


def main(name: str, side: str, iterations: str) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    network = networks.build(name)
    image = torch.randn(1, 3, int(side), int(side))
    explainer = GradCAM(model=network, target_layers=[networks.LAYERS[name](network)])

    def plain() -> None:
        with torch.inference_mode():
            network(image)

    def explained() -> None:
        explainer(input_tensor=image, targets=None)  # the top class; its logits are computed on the way

    calls = (plain, explained)
    for call in calls * 2:
        call()
    seconds = np.zeros((2, int(iterations)))
    for i in range(int(iterations)):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            start = time.perf_counter()
            calls[which]()
            seconds[which, i] = time.perf_counter() - start
    medians = np.median(seconds, axis=1)
    result = {"plain_seconds": medians[0], "explained_seconds": medians[1], "torch": torch.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
