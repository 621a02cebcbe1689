"""In the torch environment: a dozen small networks with random weights, one of each kind. `small_zoo.py FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import onnx
import torch
from families.torch_exports import EXPORTERS, Case, prepared
from timm import models

SIDE = 64
K = {"num_classes": 7}
IMAGE = {"img_size": SIDE, "patch_size": 16, **K}
NETWORKS: dict[str, tuple[str, str, Callable[[], torch.nn.Module]]] = {  # name: exporter, batch, and how it is made
    "resnet": ("torchscript", "static", lambda: resnet()),
    "densenet": ("dynamo", "dynamic", lambda: models.densenet.DenseNet(4, (2, 2), **K)),
    "repvit": ("dynamo", "dynamic", lambda: models.repvit.RepVit(embed_dim=(8, 8, 16, 16), depth=(1, 1, 1, 1), **K)),
    "convnext": ("torchscript", "dynamic", lambda: models.convnext.ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 12, 16, 24), **K)),
    "vit": (
        "torchscript",
        "dynamic",
        lambda: models.vision_transformer.VisionTransformer(embed_dim=32, depth=2, num_heads=2, init_values=0.1, **IMAGE),
    ),
    "deit": (
        "torchscript",
        "static",
        lambda: models.deit.VisionTransformerDistilled(embed_dim=32, depth=2, num_heads=2, **IMAGE),
    ),
    "eva": ("dynamo", "dynamic", lambda: eva()),
    "swin": ("torchscript", "dynamic", lambda: swin()),
    "mixer": ("dynamo", "dynamic", lambda: models.mlp_mixer.MlpMixer(num_blocks=2, embed_dim=24, **IMAGE)),
    "pvt": ("torchscript", "dynamic", lambda: pvt()),
    "cait": ("dynamo", "dynamic", lambda: models.cait.Cait(embed_dim=24, depth=2, num_heads=2, **IMAGE)),
    "levit": ("torchscript", "dynamic", lambda: levit()),
}


def resnet() -> torch.nn.Module:
    return models.resnet.ResNet(models.resnet.BasicBlock, (1, 1, 1, 1), channels=(4, 8, 12, 16), **K)


def eva() -> torch.nn.Module:
    """A class token, and positions that turn queries and keys."""
    return models.eva.Eva(
        embed_dim=32, depth=2, num_heads=2, use_rot_pos_emb=True, swiglu_mlp=True, global_pool="token", **IMAGE
    )


def swin() -> torch.nn.Module:
    return models.swin_transformer.SwinTransformer(
        img_size=SIDE, window_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 2), **K
    )


def pvt() -> torch.nn.Module:
    sizes = {"depths": (1, 1, 1, 1), "embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2), "mlp_ratios": (2, 2, 2, 2)}
    return models.pvt_v2.PyramidVisionTransformerV2(**sizes, **K)


def levit() -> torch.nn.Module:
    return models.levit.Levit(img_size=SIDE, embed_dim=(16, 24), key_dim=8, depth=(1, 1), num_heads=(2, 2), **K)


def main(folder: str) -> None:
    for name, (exporter, batch, make) in NETWORKS.items():
        torch.manual_seed(0)
        path = Path(folder) / f"{name}.onnx"
        case = Case(prepared(make()), {"image": torch.randn(1, 3, SIDE, SIDE)}, {"image": 0}, batch, path, 17, ("logits",))
        with torch.no_grad():
            EXPORTERS[exporter](case)
        model = onnx.load(path)
        strip(model)
        onnx.save(model, path)


def strip(model: onnx.ModelProto) -> None:
    """Remove what the dynamo exporter notes of its own work: traces with the paths of the machine that it ran on."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


if __name__ == "__main__":
    main(*sys.argv[1:])
