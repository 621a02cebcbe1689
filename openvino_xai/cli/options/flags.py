"""Flags of single options, and what their help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from openvino_xai.cli.options.choices import PRECISIONS, Vocabulary, keys, literal, methods
from openvino_xai.cli.options.words import Word

HOOK, DETECTORS, RUNNING = "Hook", "Detectors", "Running"  # panels of a help, below the common options

_LAYER = "Node or tensor; by default the last with cells. A,B: branches, or several for layer_cam and zoom_cam."
_METHOD = (
    "How maps are made: reciprocam, cam, grad_cam, score_cam, ...; `ovxai methods` lists all. By default what suits the model."
)
_SCORE = (
    "How a class score is read: softmax, sigmoid or logit; one that ends the model is used as it is. By default softmax, and "
    "logit for gradients."
)
_SCORES = "The output that is explained, if several could be; repeatable, for a model (or a hook) with several heads."
_SCALE = "The maps' values: unit (f32 in [0, 1]), u8 (0..255) or none (raw scores)."
_PLAN = "lazy: as cheap as the algebra allows; direct: the definition as it is written. They give the same maps."
_TARGETS = (
    "The classes to explain: all, top:K of each image, ID,ID,..., ID-ID (what speaks for the first and not for the second), "
    "asked (by an input `explain_class`), or vector (an input `explain_vector`); of a detector boxes:D. "
    "By default all, and top:1 where each class has its price."
)
_CHANNELS = "abs_cam: ask only about so many channels for each class, those of the largest gradient; by default all."
_STEPS = "integrated_gradients: how many steps, which are rows of one inference; by default 50."
_BASELINE = (
    "integrated_gradients: what each pixel of the baseline holds, in the numbers of the input: one, or one for each channel, "
    "as 123.7,116.3,103.5; by default 0."
)
_SIMILARITY = "Of vectors: cosine (by default) or dot, the product."
_FEATURES = "Add an output `feature_vector` [B, C]: the mean over the cells of the layer."
_CONFIDENCE = (
    "Add an output `saliency_confidence` [B, K, H, W] in [0, 1]: how steady each cell of a map is in 5 noisy copies of the "
    "image, at the cost of as many inferences."
)
_GATE = "Add an input `explain` [B], boolean, that clients have to give: images not asked for cost nothing."
_PORTABLE = (
    "A hook of sums, products and maxima alone, for runtimes without TopK, GatherElements, Cast or Where, as ncnn: the same "
    "maps; `saliency_class` is f32."
)
_BOXES = (
    "The format of the boxes, where the model does not tell it: xyxy, xywh, yxyx (in pixels), xyxy01, xywh01, "
    "yxyx01 (shares of the image), yolox, fastestdet, offsets, distances, distances_pixels, dfl or dfl_corner. evaluate takes "
    "a .json of objects in photos, too: COCO's annotations, or {images: {photo: objects}}, in shares."
)
_CUT = (
    "Where: backbone, the last layers before levels mix, where maps show what a box is made of; or heads, the "
    "inputs of the heads: nearly free, and a blob around the middle of the box. By default backbone."
)
_MASK = (
    "reciprocam: keep one cell of the image and read what the box is left with, or drop it and read what the box "
    "loses. By default keep."
)
_MEMORY = "The largest value a hook may make for one image, as 500MB or 2GiB."


def check_model(model: str) -> None:
    """Raise InputError for a path that leads to no model."""
    from openvino_xai.dialects.open import check_model_file

    check_model_file(Path(model))


ModelPath: TypeAlias = Annotated[
    str,
    typer.Option("--model", "-m", help="OpenVINO IR (.xml), ONNX (.onnx), or what OpenVINO reads (.tflite, .pdmodel, .pb)."),
    Word("MODEL", check=check_model),
]
LayerName: TypeAlias = Annotated[str | None, typer.Option("--layer", "-l", help=_LAYER)]
Method: TypeAlias = Annotated[str | None, typer.Option(help=_METHOD), Vocabulary(methods)]
Score: TypeAlias = Annotated[str | None, typer.Option(help=_SCORE, rich_help_panel=HOOK), keys("SCORES", "contract")]
ScoresNames: TypeAlias = Annotated[list[str] | None, typer.Option("--scores", help=_SCORES)]
ImageInput: TypeAlias = Annotated[
    str | None, typer.Option(help="The input with the image, if several could be.", rich_help_panel=HOOK)
]
Layout: TypeAlias = Annotated[
    str | None,
    typer.Option(help="NCHW or NHWC, of the image.", rich_help_panel=HOOK),
    literal("Layout", "runtime.preprocessing"),
]
TargetClasses: TypeAlias = Annotated[str | None, typer.Option("--targets", help=_TARGETS)]
Scale: TypeAlias = Annotated[str, typer.Option(help=_SCALE), keys("SCALES", "hooks")]
Plan: TypeAlias = Annotated[str, typer.Option(help=_PLAN, rich_help_panel=HOOK), keys("PLANS", "contract")]
Grid: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Masks that keep a block of cells: rows x columns, as 14x14.", rich_help_panel=HOOK),
]
Kernel: TypeAlias = Annotated[
    str,
    typer.Option(help="How a mask of tokens weighs neighbours: gaussian (3x3) or cell.", rich_help_panel=HOOK),
    keys("KERNELS", "hooks"),
]
PrefixTokens: TypeAlias = Annotated[
    int | None, typer.Option(help="Tokens ahead of the patches, if the model does not tell.", rich_help_panel=HOOK)
]
TokenGrid: TypeAlias = Annotated[
    str | None, typer.Option(help="Rows x columns of patches, if the model does not tell.", rich_help_panel=HOOK)
]
Cells: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Rows x columns of the layer that is named, if they cannot be followed there.", rich_help_panel=HOOK),
]
BoxFormat: TypeAlias = Annotated[
    str | None,
    typer.Option("--boxes", help=_BOXES, rich_help_panel=DETECTORS),
    keys("FORMATS", "boxes.decoding", closed=False),
]
MaskName: TypeAlias = Annotated[
    str | None, typer.Option("--mask", help=_MASK, rich_help_panel=DETECTORS), literal("MaskKind", "contract")
]
CutName: TypeAlias = Annotated[
    str | None, typer.Option("--cut", help=_CUT, rich_help_panel=DETECTORS), literal("Cut", "plan.rows.decision")
]
Channels: TypeAlias = Annotated[int | None, typer.Option("--channels", help=_CHANNELS, min=1, rich_help_panel=HOOK)]
Steps: TypeAlias = Annotated[int | None, typer.Option("--steps", help=_STEPS, rich_help_panel=HOOK)]
Baseline: TypeAlias = Annotated[str | None, typer.Option("--baseline", help=_BASELINE, rich_help_panel=HOOK)]
Similarity: TypeAlias = Annotated[
    str | None, typer.Option("--similarity", help=_SIMILARITY, rich_help_panel=HOOK), keys("MEASURES", "contract")
]
Confidence: TypeAlias = Annotated[bool, typer.Option("--confidence", help=_CONFIDENCE, rich_help_panel=HOOK)]
FeatureVector: TypeAlias = Annotated[bool, typer.Option("--feature-vector", help=_FEATURES, rich_help_panel=HOOK)]
Portable: TypeAlias = Annotated[bool, typer.Option("--portable", help=_PORTABLE, rich_help_panel=HOOK)]
Gate: TypeAlias = Annotated[bool, typer.Option("--gate", help=_GATE, rich_help_panel=HOOK)]
MaxMemory: TypeAlias = Annotated[str, typer.Option(help=_MEMORY, rich_help_panel=HOOK)]
Device: TypeAlias = Annotated[str, typer.Option(help="The device to run on.", rich_help_panel=RUNNING)]
Precision: TypeAlias = Annotated[
    str,
    typer.Option(help="f32, f16, bf16, or default for what the device prefers.", rich_help_panel=RUNNING),
    PRECISIONS,
]
Inputs: TypeAlias = Annotated[
    list[str],
    typer.Option("--input", "-i", help="A photo, a folder, a pattern, or - (standard input); repeatable."),
    Word("PHOTO", None),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
