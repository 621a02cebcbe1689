"""Saliency methods that ask a model again and again: one a file, or a hook on a plain model. They know no graph.

A new method is a line in `BUILT_IN`, or in `BOX_PROBES` for a detector's boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from openvino_xai.choices import check_choice, quoted
from openvino_xai.errors import InputError
from openvino_xai.hooks.ablation_cam import ablation_cam
from openvino_xai.hooks.abs_cam import abs_cam
from openvino_xai.hooks.registry import Names, Registry
from openvino_xai.probes.aise import aise, aise_of_boxes
from openvino_xai.probes.channels.group_cam import group_cam
from openvino_xai.probes.channels.opti_cam import opti_cam
from openvino_xai.probes.channels.score_cam import score_cam
from openvino_xai.probes.channels.shap_cam import shap_cam
from openvino_xai.probes.channels.vit_cx import vit_cx
from openvino_xai.probes.classifier import Classifier, Scorer, Settings
from openvino_xai.probes.d_rise import BoxScorer, d_rise
from openvino_xai.probes.gradients import input_x_gradient, integrated_gradients, saliency, smooth_grad
from openvino_xai.probes.occlusion import occlusion
from openvino_xai.probes.rise import rise
from openvino_xai.probes.site import hook_maps
from openvino_xai.probes.superpixels.kernel_shap import kernel_shap
from openvino_xai.probes.superpixels.lime import lime
from openvino_xai.probes.tis import tis

Looks: TypeAlias = Literal["nothing", "layer", "layer gradients", "gradients", "layer and gradients", "tokens"]


class Probe(NamedTuple):
    """A function from a classifier, an image [1, C, H, W] and classes to maps [K, h, w], and what it looks at beside scores."""

    ask: Callable[[Classifier, np.ndarray, Sequence[int], Settings], np.ndarray]
    looks_at: Looks = "nothing"


GROUP = "ovxai.probes"  # of entry points: a function, or a `Probe` with one


def own_probe(name: str, probe: Any, looks_at: Looks = "nothing") -> Probe:
    """A probe of somebody else: a function, or a `Probe`. Raises InputError for what is neither."""
    if isinstance(probe, Probe):
        probe, looks_at = probe
    if not callable(probe) or isinstance(probe, type):
        raise InputError(f"the probe '{name}' is {quoted(probe)}: a function of (model, image, classes, settings) is expected")
    check_choice("looks_at", looks_at, get_args(Looks))
    return Probe(_guarded(name, probe), looks_at)


def _guarded(name: str, probe: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The same probe, whose maps [K, h, w] are held to be numbers, one for each class. Raises InputError where they are not."""

    @wraps(probe)
    def ask(model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Settings) -> np.ndarray:
        maps = np.asarray(probe(model, image, classes, settings))
        if maps.ndim != 3 or len(maps) != len(classes) or maps.dtype.kind not in "fiu" or not np.isfinite(maps).all():
            raise InputError(
                f"the probe '{name}', which was registered, returns {maps.dtype} {list(maps.shape)}: maps "
                f"[{len(classes)}, h, w] of finite numbers, one for each class, are expected",
                options=("method",),
            )
        return maps.astype(np.float32)

    return ask


BUILT_IN: dict[str, Probe] = {
    "score_cam": Probe(score_cam, "layer"),
    "ablation_cam": Probe(partial(hook_maps, ablation_cam), "layer"),
    "abs_cam": Probe(partial(hook_maps, abs_cam), "layer gradients"),
    "shap_cam": Probe(shap_cam, "layer"),
    "group_cam": Probe(group_cam, "layer gradients"),
    "opti_cam": Probe(opti_cam, "layer and gradients"),
    "vit_cx": Probe(vit_cx, "layer"),
    "tis": Probe(tis, "tokens"),
    "rise": Probe(rise),
    "aise": Probe(aise),
    "occlusion": Probe(occlusion),
    "lime": Probe(lime),
    "kernel_shap": Probe(kernel_shap),
    "saliency": Probe(saliency, "gradients"),
    "input_x_gradient": Probe(input_x_gradient, "gradients"),
    "integrated_gradients": Probe(integrated_gradients, "gradients"),
    "smooth_grad": Probe(smooth_grad, "gradients"),
}
PROBES = Registry(BUILT_IN, GROUP, own_probe)

# of a detector, whose detections are given as if they were classes
BOX_PROBES: dict[str, Callable[[BoxScorer, np.ndarray, Sequence[int], Settings], np.ndarray]] = {
    "d_rise": d_rise,
    "aise": aise_of_boxes,
    "occlusion": occlusion,
    "lime": lime,
    "kernel_shap": kernel_shap,
}
PROBE_NAMES = Names(PROBES, BOX_PROBES)

__all__ = ["BOX_PROBES", "PROBES", "PROBE_NAMES", "Classifier", "Probe", "Scorer", "Settings"]
