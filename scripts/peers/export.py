"""In the torch environment: export an architecture with seeded weights to ONNX. `export.py NAME SIDE OUTPUT`."""

from __future__ import annotations

import sys

import networks
import torch


def main(name: str, side: str, output: str) -> None:
    image = torch.randn(1, 3, int(side), int(side))
    torch.onnx.export(
        networks.build(name), image, output, dynamo=False, opset_version=17, input_names=["image"], output_names=["logits"]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
