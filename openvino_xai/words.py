"""The words that options take, as types: what is misspelled, a type checker says before anything runs.

A method of one's own has a name that no type checker knows: `register_method` and `register_probe` return it as an `OwnMethod`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

ClassHook: TypeAlias = Literal[
    "reciprocam",
    "vit_reciprocam",
    "cam",
    "activation_map",
    "eigen_cam",
    "attention_rollout",
    "legrad",
    "chefer",
    "ablation_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "smooth_grad_cam_plus_plus",
    "finer_cam",
    "xgrad_cam",
    "lift_cam",
    "layer_cam",
    "hires_cam",
    "zoom_cam",
    "abs_cam",
    "abs_cam_init",
    "fd_cam",
    "input_gradient",
    "integrated_gradients",
]
RowHook: TypeAlias = Literal["layer_cam", "hires_cam", "reciprocam", "class_map", "class_probability"]
ProbeName: TypeAlias = Literal[
    "score_cam",
    "ablation_cam",
    "abs_cam",
    "shap_cam",
    "group_cam",
    "opti_cam",
    "vit_cx",
    "tis",
    "rise",
    "aise",
    "occlusion",
    "lime",
    "kernel_shap",
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "smooth_grad",
    "d_rise",
]
Kernel: TypeAlias = Literal["gaussian", "cell"]
BoxFormat: TypeAlias = Literal[
    "xyxy",
    "xywh",
    "xyxy01",
    "xywh01",
    "yxyx",
    "yxyx01",
    "yolox",
    "fastestdet",
    "offsets",
    "distances",
    "distances_pixels",
    "dfl",
    "dfl_corner",
]
Precision: TypeAlias = Literal["f32", "f16", "bf16", "default"]
Hint: TypeAlias = Literal["LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT"]
RuntimeWord: TypeAlias = Literal["onnxruntime", "openvino", "both"]
ScoreWord: TypeAlias = Literal["softmax", "sigmoid", "logit"]
ScaleWord: TypeAlias = Literal["unit", "u8", "none"]
PlanWord: TypeAlias = Literal["lazy", "direct"]
LikenessWord: TypeAlias = Literal["cosine", "dot"]
MaskWord: TypeAlias = Literal["keep", "drop"]
CutWord: TypeAlias = Literal["backbone", "heads"]
Preset: TypeAlias = Literal["imagenet", "inception", "caffe", "unit", "raw"]


class OwnMethod(str):
    """The name of a method of one's own, as it was registered."""

    __slots__ = ()


HookName: TypeAlias = ClassHook | RowHook | OwnMethod
AnyProbe: TypeAlias = ProbeName | OwnMethod
AnyMethod: TypeAlias = ClassHook | RowHook | ProbeName | OwnMethod
