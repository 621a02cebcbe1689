"""`insert_xai` of openvino_xai 1.1.0, upon the surgery of this package: the same call, and maps of the same definition.

What is other than it was: a batch keeps its maps, tokens ahead of the patches are not taken for patches, bytes are rounded and
not cut off, and a model whose layer cannot be explained exactly is refused. `docs/migration.md` has the list, with figures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from openvino_xai.contract import MAP
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.hooks import METHODS
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Located, Where
from openvino_xai.locate.rows import Rows
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.predecessor.words import Method, Task
from openvino_xai.surgery.insert import insert
from openvino_xai.words import ClassHook, Kernel, RowHook, ScaleWord, ScoreWord

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model

HOOKS: dict[Method, ClassHook] = {
    Method.RECIPROCAM: "reciprocam",
    Method.VITRECIPROCAM: "vit_reciprocam",
    Method.ACTIVATIONMAP: "activation_map",
}
OF_DETECTORS: RowHook = "class_probability"
SIDE = 23


def has_xai(model: Model) -> bool:
    """Whether a model has an output `saliency_map`."""
    return MAP in open_model(model).graph.outputs


def insert_xai(
    model: Model,
    task: Task,
    explain_method: Method | None = None,
    target_layer: str | Sequence[str] | None = None,
    embed_scaling: bool | None = True,
    *,
    use_gaussian: bool = True,
    cls_token: bool = True,
    final_norm: bool | None = None,
    k: int = 1,
    num_anchors: Sequence[int] | None = None,
    saliency_map_size: Sequence[int] = (SIDE, SIDE),
) -> Any:
    """The model with one more output, `saliency_map` [B, K, h, w], of the kind that came in (`ov.Model`).

    Maps are u8 in 0..255, each scaled by its least and largest value, or f32 and raw without `embed_scaling`: logits, or the
    probabilities where a sigmoid ends the model. Of a detector they are shares of classes, [B, K, 23, 23].

    `use_gaussian` weighs the neighbours in a mask of tokens. `final_norm` and `num_anchors` told where to look, and structure
    tells that here. `target_layer` names the layer; of a detector the layers with the scores of classes, which are found, too.

    A model that has a `saliency_map` is returned as it is. Raises an OvxaiError that names what is in the way.
    """
    task = _word(Task, "task", task)
    method = None if explain_method is None else _word(Method, "explain_method", explain_method)
    deployed = _opened(model)
    if MAP in deployed.graph.outputs:
        return deployed.object() if isinstance(model, (str, os.PathLike)) else model
    scale: ScaleWord = "u8" if embed_scaling else "none"
    if task is Task.DETECTION:
        if method not in (None, Method.DETCLASSPROBABILITYMAP):
            raise InputError(f"{method} is not for detectors: Method.DETCLASSPROBABILITYMAP is", options=("explain_method",))
        if tuple(saliency_map_size) != (SIDE, SIDE):
            raise InputError(
                f"saliency_map_size is {tuple(saliency_map_size)}, and these maps have {SIDE} x {SIDE} cells: resize what "
                "comes out, or insert(model, method='class_map') has as many as the finest level",
                options=("saliency_map_size",),
            )
        if target_layer is not None:
            names = [target_layer] if isinstance(target_layer, str) else list(target_layer)
            _refuse_other_layers(names, Detector.of(deployed, Where()).rows)
        return insert(model, method=OF_DETECTORS, targets="all", scale=scale).model
    if method is not None and method not in HOOKS:
        raise InputError(f"{method} is not for classifiers in one inference: {_help_for(method)}", options=("explain_method",))
    if not cls_token or k != 1:
        raise InputError(
            f"cls_token is {cls_token} and k is {k}: the class token is kept here, and an earlier block is named by "
            "target_layer; `ovxai layers` lists them",
            options=("target_layer",),
        )
    if target_layer is not None and not isinstance(target_layer, str):
        raise InputError(f"target_layer is {target_layer!r}: the name of one layer is expected", options=("target_layer",))
    where = Where(target_layer)
    located = Located.of(deployed, where)
    hook = HOOKS[method] if method else cast("ClassHook", located.choose().method)
    kernel: Kernel = "gaussian" if use_gaussian else "cell"
    score = _score(located, hook)
    targets = [0] if METHODS[hook].score == "none" else "all"  # a map that is the same for all classes comes once
    return insert(model, layer=target_layer, method=hook, score=score, targets=targets, scale=scale, kernel=kernel).model


def _word(words: type[Any], option: str, value: object) -> Any:
    """A member of an enumeration, from itself or its value. Raises InputError."""
    try:
        return words(value)
    except ValueError:
        expected = ", ".join(f"{words.__name__}.{word.name}" for word in words)
        raise InputError(f"{option} is {value!r}: one of {expected} is expected", options=(option,)) from None


def _opened(model: Model) -> Deployed:
    """An open model. Raises InputError, which tells what to do with a module of PyTorch."""
    if any(kind.__module__.partition(".")[0] == "torch" for kind in type(model).__mro__):
        raise InputError(
            "a module of PyTorch is no deployed model: export it (torch.onnx.export, openvino.convert_model), and hook the file"
        )
    return opened(model)


def _score(located: Located, hook: str) -> ScoreWord | None:
    """The score that 1.1.0 read: logits, ahead of a softmax, but what the model returns of a sigmoid, or behind tokens."""
    if METHODS[hook].score == "none":
        return None
    scale = cast("ScoreWord", located.scores.scale)
    return scale if scale == "sigmoid" or hook == "vit_reciprocam" else "logit"


def _refuse_other_layers(names: Sequence[str], rows: Rows) -> None:
    """Raise InputError where `names` are not the layers that hold the scores of a detector's classes."""
    heads = [{head.value.name, *([head.value.producer.name] if head.value.producer else [])} for head in rows.heads]
    unknown = [name for name in names if not any(name in head for head in heads)]
    if unknown or len(names) != len(heads):
        raise InputError(
            f"target_layer is {', '.join(map(repr, names))}, and the scores of classes are at "
            f"{', '.join(repr(head.value.name) for head in rows.heads)}: leave it out, or name these",
            options=("target_layer",),
        )


def _help_for(method: Method) -> str:
    if method is Method.DETCLASSPROBABILITYMAP:
        return "it is for Task.DETECTION"
    return f"explain(model, image, method='{method.value}') asks the model again and again"
