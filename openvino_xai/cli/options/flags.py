"""Flags of single options, and what their help says."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

_LAYER = "Node or tensor name; by default the last layer that has cells and separates input from scores."
_METHOD = (
    "reciprocam (cells of a feature map) or vit_reciprocam (tokens of an attention block), by default what suits; cam (where a "
    "mean and linear layers end the model); activation_map (whatever the class); ablation_cam; by gradients grad_cam, "
    "grad_cam_plus_plus, smooth_grad_cam_plus_plus, xgrad_cam, layer_cam, hires_cam, abs_cam, abs_cam_init and fd_cam. Without "
    "a hook, and slower, explain, compare and evaluate also take score_cam, ablation_cam, abs_cam, group_cam, rise, "
    "aise, occlusion, and by the image's own gradient saliency, input_x_gradient, integrated_gradients and smooth_grad; "
    "explain takes d_rise, aise and occlusion for boxes."
)
_SCORE = (
    "How a class score is read: softmax, sigmoid or logit; one that ends the model is used as it is. By default softmax, and "
    "logit for gradients."
)
_SCORES = (
    "The output with the scores, if several could be; repeatable, for a model with several heads: each NAME has an output "
    "`saliency_map_NAME` then. Of a hook of several heads, the one that is meant."
)
_SCALE = "The maps' values: unit (f32 in [0, 1]), u8 (0..255) or none (raw scores)."
_PLAN = "lazy: as cheap as the algebra allows; direct: the definition as it is written. They give the same maps."
_TARGETS = (
    "The classes to explain: all, top:K of each image, ID,ID,..., or asked, by an input `explain_class`. By default all, and "
    "top:1 where each class has its price. Or vector: how much the model's vector is like that of an input `explain_vector`."
)
_CHANNELS = "abs_cam: ask only about so many channels for each class, those of the largest gradient; by default all."
_SIMILARITY = "Of vectors: cosine (by default) or dot, the product."
_FEATURES = "Add an output `feature_vector` [B, C]: the mean over the cells of the layer."
_GATE = "Add an input `explain` [B], boolean, that clients have to give: images not asked for cost nothing."
_BOXES = (
    "Detectors: the format of the boxes, where the model does not tell it: xyxy, xywh, yxyx (in pixels), xyxy01, xywh01, "
    "yxyx01 (shares of the image), yolox, fastestdet, offsets, distances, distances_pixels, dfl or dfl_corner. evaluate takes "
    "a .json of objects in photos: COCO's annotations, or {images: {photo: [[class, x, y, width, height]]}} in shares, too."
)
_CUT = (
    "Detectors: where: backbone, the last layers before levels mix, where maps show what a box is made of; or heads, the "
    "inputs of the heads: nearly free, and a blob around the middle of the box. By default backbone."
)
_MASK = (
    "Detectors, reciprocam: keep one cell of the image and read what the box is left with, or drop it and read what the box "
    "loses. By default keep."
)
_MEMORY = "The largest value a hook may make for one image, as 500MB or 2GiB."

ModelPath: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="The model: OpenVINO IR (.xml), ONNX (.onnx), or what OpenVINO reads (.tflite, .pdmodel, .pb)."
    ),
]
LayerName: TypeAlias = Annotated[str | None, typer.Option("--layer", "-l", help=_LAYER)]
Method: TypeAlias = Annotated[str | None, typer.Option(help=_METHOD)]
Score: TypeAlias = Annotated[str | None, typer.Option(help=_SCORE)]
ScoresNames: TypeAlias = Annotated[list[str] | None, typer.Option("--scores", help=_SCORES)]
ImageInput: TypeAlias = Annotated[str | None, typer.Option(help="The input with the image, if several could be.")]
TargetClasses: TypeAlias = Annotated[str | None, typer.Option("--targets", help=_TARGETS)]
Scale: TypeAlias = Annotated[str, typer.Option(help=_SCALE)]
Plan: TypeAlias = Annotated[str, typer.Option(help=_PLAN)]
Grid: TypeAlias = Annotated[str | None, typer.Option(help="Masks that keep a block of cells: rows x columns, as 14x14.")]
Kernel: TypeAlias = Annotated[str, typer.Option(help="How a mask of tokens weighs neighbours: gaussian (3x3) or cell.")]
PrefixTokens: TypeAlias = Annotated[int | None, typer.Option(help="Tokens ahead of the patches, if the model does not tell.")]
TokenGrid: TypeAlias = Annotated[str | None, typer.Option(help="Rows x columns of patches, if the model does not tell.")]
BoxFormat: TypeAlias = Annotated[str | None, typer.Option("--boxes", help=_BOXES)]
MaskName: TypeAlias = Annotated[str | None, typer.Option("--mask", help=_MASK)]
CutName: TypeAlias = Annotated[str | None, typer.Option("--cut", help=_CUT)]
Channels: TypeAlias = Annotated[int | None, typer.Option("--channels", help=_CHANNELS, min=1)]
Similarity: TypeAlias = Annotated[str | None, typer.Option("--similarity", help=_SIMILARITY)]
FeatureVector: TypeAlias = Annotated[bool, typer.Option("--feature-vector", help=_FEATURES)]
Gate: TypeAlias = Annotated[bool, typer.Option("--gate", help=_GATE)]
MaxMemory: TypeAlias = Annotated[str, typer.Option(help=_MEMORY)]
Inputs: TypeAlias = Annotated[list[str], typer.Option("--input", "-i", help="An image, a folder or a pattern; repeatable.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
