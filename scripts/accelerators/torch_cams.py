"""ResNet-50, Grad-CAM and Score-CAM in PyTorch, timed. `torch_cams.py WEIGHTS IMAGE CUDA ITERATIONS SECONDS`.

WEIGHTS is an NPZ with the arrays of `resnet.py`, IMAGE one with `image` [1, 3, H, W] and the `logits` that ONNX gives it; CUDA
is 1 or 0. One JSON object on standard output. Grad-CAM (Selvaraju et al., 2017, equations 1 and 2) goes backwards through the
head alone, which is the least it can take. Score-CAM (Wang et al., 2020, algorithm 1) asks one question for each of 2048
channels.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

BATCH = 64  # questions of Score-CAM at once
BLOCKS = (3, 4, 6, 3)
ROUNDS = 3  # chunks of Score-CAM by which its time is foreseen


class Network:
    """ResNet-50, as features and head."""

    def __init__(self, arrays: dict[str, torch.Tensor]) -> None:
        self.arrays = arrays

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 2048, H / 32, W / 32]"""
        x = F.max_pool2d(self._convolved("stem", x, 2).relu(), 3, 2, 1)
        for stage, blocks in enumerate(BLOCKS, 1):
            for block in range(blocks):
                name, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
                y = self._convolved(f"{name}.reduce", x, 1).relu()
                y = self._convolved(f"{name}.expand", self._convolved(f"{name}.spatial", y, stride).relu(), 1)
                x = (y + (x if block else self._convolved(f"{name}.shortcut", x, stride))).relu()
        return x

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return features.mean((2, 3)) @ self.arrays["head.weight"] + self.arrays["head.bias"]

    def _convolved(self, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        weight = self.arrays[f"{name}.weight"]
        return F.conv2d(x, weight, self.arrays[f"{name}.bias"], stride, weight.shape[-1] // 2)


def grad_cam(network: Network, image: torch.Tensor) -> torch.Tensor:
    """[H, W] in [0, inf): the map of the most probable class."""
    with torch.inference_mode(mode=False), torch.no_grad():
        features = network.features(image)
    features.requires_grad_()
    logits = network.head(features)
    gradient = torch.autograd.grad(logits[0, int(logits.argmax())], features)[0]
    return (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()[0].detach()


@torch.no_grad()
def score_cam(network: Network, image: torch.Tensor, limit: float = float("inf")) -> float:
    """The seconds that remain when `limit` seconds would not do, else 0: what it computes is only timed."""
    features = network.features(image)
    logits = network.head(features)
    k = int(logits.argmax())
    channels, weights, start = features.shape[1], [], time.perf_counter()
    for number, first in enumerate(range(0, channels, BATCH), 1):
        masks = F.interpolate(features[0, first : first + BATCH, None], image.shape[2:], mode="bilinear", align_corners=False)
        low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
        masks = torch.where(high > low, (masks - low) / (high - low).clamp_min(1e-12), 0)
        weights.append(network.head(network.features(masks * image)).softmax(1)[:, k])
        if number == ROUNDS:
            synchronised(image)
            total = (time.perf_counter() - start) * channels / BATCH / ROUNDS
            if total > limit:
                return total
    (torch.cat(weights)[:, None, None] * features[0]).sum(0).relu()
    return 0.0


def synchronised(tensor: torch.Tensor) -> None:
    """Wait for what was begun on the tensor's device."""
    if tensor.is_cuda:
        torch.cuda.synchronize()


def median_of(call: Callable[[], Any], image: torch.Tensor, iterations: int) -> float:
    """The median of the seconds that a call takes."""
    seconds = []
    for _ in range(iterations):
        start = time.perf_counter()
        call()
        synchronised(image)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main(weights: str, example: str, cuda: str, iterations: str, seconds: str) -> None:
    begin = time.perf_counter()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if cuda == "1" else "cpu"
    network = Network({name: torch.from_numpy(array).to(device) for name, array in np.load(weights).items()})
    arrays = np.load(example)
    image = torch.from_numpy(arrays["image"]).to(device)
    with torch.no_grad():
        logits = network.head(network.features(image)).cpu().numpy()
    difference = float(np.abs(logits - arrays["logits"]).max() / np.abs(arrays["logits"]).max())

    def plain() -> None:
        with torch.inference_mode():
            network.head(network.features(image))

    calls = {"plain": plain, "Grad-CAM": lambda: grad_cam(network, image)}
    for call in calls.values():
        call()
    result: dict[str, Any] = {name: median_of(call, image, int(iterations)) for name, call in calls.items()}
    remaining = float(seconds) - (time.perf_counter() - begin)
    start = time.perf_counter()
    foreseen = score_cam(network, image, remaining)
    synchronised(image)
    result |= {"Score-CAM foreseen": foreseen} if foreseen else {"Score-CAM": time.perf_counter() - start}
    name = torch.cuda.get_device_name() if cuda == "1" else "CPU"
    print(json.dumps(result | {"torch": torch.__version__, "device": name, "difference": difference}))


if __name__ == "__main__":
    main(*sys.argv[1:])
