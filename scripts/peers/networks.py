"""In the torch environment: the architectures, and the layer of each that Grad-CAM reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# torchvision's binary part has no CPU build for every platform; without it, only these two operators are missed at import
for schema in ("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor", "qnms(Tensor a, Tensor b, float c) -> Tensor"):
    try:
        torch.library.define(f"torchvision::{schema.partition('(')[0]}", schema[schema.index("(") :])
    except RuntimeError:  # it is there
        break

from torchvision import models  # noqa: E402

LAYERS: dict[str, Callable[[Any], Any]] = {
    "resnet50": lambda net: net.layer4[-1],
    "efficientnet_b0": lambda net: net.features[-1],
    "convnext_tiny": lambda net: net.features[-1][-1],
    "mobilenet_v3_large": lambda net: net.features[-1],
    "densenet121": lambda net: net.features,
    "squeezenet1_1": lambda net: net.classifier[2],
    "vgg16": lambda net: net.features[-1],
}


def build(name: str) -> torch.nn.Module:
    """The network with seeded weights."""
    torch.manual_seed(0)
    return getattr(models, name)(weights=None).eval()
