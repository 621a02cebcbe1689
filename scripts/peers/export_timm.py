"""In the torch environment: export a timm architecture with seeded weights. `export_timm.py NAME static|dynamic OUTPUT`."""

from __future__ import annotations

import sys

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import timm
import torch


def main(name: str, batch: str, output: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    image = torch.randn(1 if batch == "static" else 2, *network.default_cfg["input_size"])
    open_axes = {"image": {0: "B"}, "logits": {0: "B"}} if batch == "dynamic" else None
    torch.onnx.export(
        network,
        image,
        output,
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes=open_axes,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
