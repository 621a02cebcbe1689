"""In the torch environment: export an architecture with seeded weights.

`export_zoo.py NAME torchscript|dynamo|openvino static|dynamic OUTPUT`; NAME is timm's, or torchvision/ and torchvision's.
"""

from __future__ import annotations

import sys

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import timm
import torch
import torchvision


def main(name: str, exporter: str, batch: str, output: str) -> None:
    torch.manual_seed(0)
    torch.backends.mha.set_fastpath_enabled(False)  # an operation that no exporter knows
    export(*network(name), exporter, batch, output)


@torch.no_grad()
def export(network: torch.nn.Module, size: tuple[int, int, int], exporter: str, batch: str, output: str) -> None:
    """Write a network as ONNX, or as IR with OpenVINO's own exporter."""
    for parameter in network.parameters():
        if parameter.abs().max() < 1e-3:  # what starts at zero would make every class the same
            torch.nn.init.normal_(parameter, std=0.02)
    image = torch.randn(1 if batch == "static" else 2, *size)
    if exporter == "openvino":
        import openvino as ov

        converted = ov.convert_model(network, example_input=image, input=[-1 if batch == "dynamic" else 1, *size])
        ov.save_model(converted, output, compress_to_fp16=False)
        return
    names = {"input_names": ["image"], "output_names": ["logits"]}
    if exporter == "dynamo":
        shapes = ({0: torch.export.Dim("batch")},) if batch == "dynamic" else None
        exported = torch.onnx.export(network, (image,), dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
        exported.save(output, external_data=False)
        return
    axes = {"image": {0: "B"}, "logits": {0: "B"}} if batch == "dynamic" else None
    torch.onnx.export(network, image, output, dynamo=False, opset_version=17, dynamic_axes=axes, **names)


def network(name: str) -> tuple[torch.nn.Module, tuple[int, int, int]]:
    """A network with random weights, and the size of its image."""
    if name.startswith("torchvision/"):
        kind = name.removeprefix("torchvision/")
        extra = {"init_weights": True} if kind in ("googlenet", "inception_v3") else {}
        side = 299 if kind == "inception_v3" else 224
        return torchvision.models.get_model(kind, weights=None, **extra).eval(), (3, side, side)
    network = timm.create_model(name, pretrained=False).eval()
    return network, network.default_cfg["input_size"]


if __name__ == "__main__":
    main(*sys.argv[1:])
