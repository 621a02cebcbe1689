"""Image classifiers of Hugging Face transformers, of a few small layers with seeded weights, by every exporter.

Its own classifiers where it has one, and backbones with a linear layer behind what they pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import torch
import transformers

from families import torch_exports
from families.torch_exports import Export, exports_of

CLASSES = 7
SIDE = 64
# tokens of patches; depth, width and heads of every transformer here
DEEP: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
PATCHES: dict[str, Any] = {**DEEP, "image_size": SIDE, "patch_size": 8}
PLAIN: dict[str, Any] = {**PATCHES, "intermediate_size": 96}
STAGES: dict[str, Any] = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
WINDOWS: dict[str, Any] = {
    "image_size": SIDE,
    "patch_size": 4,
    "embed_dim": 12,
    "depths": [2, 2],
    "num_heads": [2, 2],
    "window_size": 4,
}
PYRAMID: dict[str, Any] = {**STAGES, "num_attention_heads": [1, 2, 2, 4], "mlp_ratios": [2, 2, 2, 2]}
TEXT: dict[str, Any] = {**DEEP, "intermediate_size": 96, "vocab_size": 64}
POSITIONS = {"use_relative_position_bias": True}

# name: what the class is called before "ForImageClassification" and "Config", side of the image, and the configuration
CLASSIFIERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "beit": ("Beit", SIDE, {**PLAIN, **POSITIONS}),
    "beit_token": ("Beit", SIDE, {**PLAIN, **POSITIONS, "use_mean_pooling": False}),
    "beit_shared": ("Beit", SIDE, {**PLAIN, "use_shared_relative_position_bias": True}),
    "bit": ("Bit", SIDE, {"embedding_size": 8, **STAGES, "num_groups": 4}),
    "convnext": ("ConvNext", SIDE, STAGES),
    "convnextv2": ("ConvNextV2", SIDE, STAGES),
    "cvt": ("Cvt", SIDE, {"embed_dim": [8, 16, 24], "num_heads": [1, 2, 2], "depth": [1, 2, 3]}),
    "data2vec": ("Data2VecVision", SIDE, {**PLAIN, **POSITIONS}),
    "deit": ("DeiT", SIDE, PLAIN),
    "dinov2": ("Dinov2", SIDE, {**PATCHES, "mlp_ratio": 2}),
    "dinov2_swiglu": ("Dinov2", SIDE, {**PATCHES, "mlp_ratio": 2, "use_swiglu_ffn": True}),
    "dinov2_registers": ("Dinov2WithRegisters", SIDE, {**PATCHES, "mlp_ratio": 2, "num_register_tokens": 2}),
    "donut_swin": ("DonutSwin", SIDE, WINDOWS),
    "efficientnet": (
        "EfficientNet",
        SIDE,
        {"image_size": SIDE, "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320},
    ),
    "efficientnet_max": (
        "EfficientNet",
        SIDE,
        {
            "image_size": SIDE,
            "width_coefficient": 0.25,
            "depth_coefficient": 0.3,
            "hidden_dim": 320,
            "pooling_type": "max",
        },
    ),
    "focalnet": ("FocalNet", SIDE, {"image_size": SIDE, "embed_dim": 12, "depths": [1, 1, 1, 1]}),
    "focalnet_layerscale": (
        "FocalNet",
        SIDE,
        {"image_size": SIDE, "embed_dim": 12, "depths": [1, 1, 1, 1], "use_layerscale": True, "use_post_layernorm": True},
    ),
    "hgnet_v2": (
        "HGNetV2",
        SIDE,
        {
            "stem_channels": [3, 8, 8],
            "stage_in_channels": [8, 16, 24, 32],
            "stage_mid_channels": [8, 8, 12, 16],
            "stage_out_channels": [16, 24, 32, 48],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [2, 2, 2, 2],
            "hidden_sizes": [16, 24, 32, 48],
        },
    ),
    "hiera": ("Hiera", 224, {"embed_dim": 12, "depths": [1, 1, 2, 1], "num_heads": [1, 1, 2, 2]}),
    "ijepa": ("IJepa", SIDE, PLAIN),
    "levit": (
        "Levit",
        SIDE * 2,
        {"image_size": SIDE * 2, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1]},
    ),
    "mobilenet_v1": ("MobileNetV1", SIDE, {"depth_multiplier": 0.25}),
    "mobilenet_v2": ("MobileNetV2", SIDE, {"depth_multiplier": 0.25}),
    "mobilevit": (
        "MobileViT",
        SIDE,
        {
            "image_size": SIDE,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 12, 16, 16, 24, 64],
            "num_attention_heads": 2,
        },
    ),
    "mobilevitv2": ("MobileViTV2", SIDE, {"image_size": SIDE, "width_multiplier": 0.25, "n_attn_blocks": [1, 1, 1]}),
    "poolformer": ("PoolFormer", SIDE, STAGES),
    "pp_lcnet": ("PPLCNet", SIDE, {"scale": 0.25, "class_expand": 64}),
    "pvt": ("Pvt", SIDE, {"image_size": SIDE, **PYRAMID}),
    "pvt_v2": ("PvtV2", SIDE, {"image_size": SIDE, **PYRAMID}),
    "pvt_v2_linear": ("PvtV2", SIDE, {"image_size": SIDE, **PYRAMID, "linear_attention": True}),
    "regnet": ("RegNet", SIDE, {"embedding_size": 8, **STAGES, "groups_width": 4}),
    "regnet_x": ("RegNet", SIDE, {"embedding_size": 8, **STAGES, "groups_width": 4, "layer_type": "x"}),
    "resnet": ("ResNet", SIDE, {"embedding_size": 8, **STAGES}),
    "resnet_basic": ("ResNet", SIDE, {"embedding_size": 8, **STAGES, "layer_type": "basic"}),
    "segformer": ("Segformer", SIDE, PYRAMID),
    "swiftformer": ("SwiftFormer", SIDE, {"embed_dims": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}),
    "swin": ("Swin", SIDE, WINDOWS),
    "swinv2": ("Swinv2", SIDE, WINDOWS),
    "textnet": (
        "TextNet",
        SIDE,
        {"image_size": [SIDE, SIDE], "stem_out_channels": 8, "hidden_sizes": [8, 8, 12, 16, 24]},
    ),
    "vit": ("ViT", SIDE, PLAIN),
    "vit_msn": ("ViTMSN", SIDE, PLAIN),
}
# the same of those that are two towers: name, side, and the vision tower's
TOWERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "clip": ("CLIP", SIDE, PLAIN),
    "metaclip_2": ("MetaClip2", SIDE, PLAIN),
    "siglip": ("Siglip", SIDE, PLAIN),
}
# name: the class of a backbone before "Model" and "Config", side, configuration, and what is read of its answer
BACKBONES: dict[str, tuple[str, int, dict[str, Any], str]] = {
    "aimv2": ("Aimv2Vision", SIDE, PLAIN, "pooler_output"),
    "altclip": ("AltCLIPVision", SIDE, PLAIN, "pooler_output"),
    "blip": ("BlipVision", SIDE, PLAIN, "pooler_output"),
    "dinov3": ("DINOv3ViT", SIDE, {**PLAIN, "num_register_tokens": 2}, "pooler_output"),
    "dinov3_gated": ("DINOv3ViT", SIDE, {**PLAIN, "num_register_tokens": 2, "use_gated_mlp": True}, "pooler_output"),
    "dinov3_convnext": ("DINOv3ConvNext", SIDE, STAGES, "pooler_output"),
    "siglip_map": ("SiglipVision", SIDE, PLAIN, "pooler_output"),
    "vit_mean": ("ViT", SIDE, PLAIN, "mean"),
    "yolos_tokens": ("Yolos", SIDE, {**PLAIN, "image_size": [SIDE, SIDE], "num_detection_tokens": 4}, "mean"),
    "clip_mean": ("CLIPVision", SIDE, PLAIN, "mean"),
    "vitdet": ("VitDet", SIDE, {**PATCHES, "mlp_ratio": 2, "window_size": 0}, "cells"),
}
EXPORTERS = tuple(torch_exports.EXPORTERS)
NAMES = (*CLASSIFIERS, *TOWERS, *BACKBONES)


class Classifier(torch.nn.Module):
    """The logits of a classifier, for pixels."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        answer = self.model(pixel_values=image)
        return answer.logits if "logits" in answer else answer.last_hidden_state  # one calls its logits so


class Head(torch.nn.Module):
    """A linear layer behind a backbone's pooled answer, the mean of its tokens, or of its cells."""

    def __init__(self, model: torch.nn.Module, width: int, read: str) -> None:
        super().__init__()
        self.model, self.read = model, read
        self.head = torch.nn.Linear(width, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        answer = self.model(pixel_values=image)
        if self.read == "pooler_output":
            return self.head(answer.pooler_output)
        axes: Any = 1 if self.read == "mean" else (2, 3)
        return self.head(answer.last_hidden_state.mean(axes))


def classifier(name: str) -> torch.nn.Module:
    start, _, sizes = CLASSIFIERS[name]
    configuration = getattr(transformers, f"{start}Config")(num_labels=CLASSES, **sizes)
    return Classifier(getattr(transformers, f"{start}ForImageClassification")(configuration))


def tower(name: str) -> torch.nn.Module:
    start, _, sizes = TOWERS[name]
    configuration = getattr(transformers, f"{start}Config")(text_config=TEXT, vision_config=sizes, num_labels=CLASSES)
    return Classifier(getattr(transformers, f"{start}ForImageClassification")(configuration))


def backbone(name: str) -> torch.nn.Module:
    start, _, sizes, read = BACKBONES[name]
    model = getattr(transformers, f"{start}Model")(getattr(transformers, f"{start}Config")(**sizes))
    return Head(model, sizes["hidden_sizes"][-1] if "hidden_sizes" in sizes else sizes["hidden_size"], read)


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    torch.manual_seed(0)
    tables: tuple[tuple[dict[str, Any], Callable[[str], torch.nn.Module]], ...] = (
        (CLASSIFIERS, classifier),
        (TOWERS, tower),
        (BACKBONES, backbone),
    )
    for table, build in tables:
        if name in table:
            side = table[name][1]
            yield from exports_of(build(name), {"image": torch.randn(1, 3, side, side)}, folder, name, exporters)
