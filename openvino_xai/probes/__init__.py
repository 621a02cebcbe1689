"""Saliency methods that ask a model again and again: one a file, or a hook on a plain model. They know no graph.

A new method is a line in `PROBES`, or in `BOX_PROBES` for a detector's boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from openvino_xai.hooks.ablation_cam import ablation_cam
from openvino_xai.hooks.abs_cam import abs_cam
from openvino_xai.probes.aise import aise, aise_of_boxes
from openvino_xai.probes.classifier import Classifier, Scorer, Settings
from openvino_xai.probes.d_rise import BoxScorer, d_rise
from openvino_xai.probes.gradients import input_x_gradient, integrated_gradients, saliency, smooth_grad
from openvino_xai.probes.group_cam import group_cam
from openvino_xai.probes.occlusion import occlusion
from openvino_xai.probes.rise import rise
from openvino_xai.probes.score_cam import score_cam
from openvino_xai.probes.site import hook_maps


class Probe(NamedTuple):
    """A function from a classifier, an image [1, C, H, W] and classes to maps [K, h, w], and what it looks at beside scores."""

    ask: Callable[[Classifier, np.ndarray, Sequence[int], Settings], np.ndarray]
    looks_at: Literal["nothing", "layer", "layer gradients", "gradients"] = "nothing"


PROBES: dict[str, Probe] = {
    "score_cam": Probe(score_cam, "layer"),
    "ablation_cam": Probe(partial(hook_maps, ablation_cam), "layer"),
    "abs_cam": Probe(partial(hook_maps, abs_cam), "layer gradients"),
    "group_cam": Probe(group_cam, "layer gradients"),
    "rise": Probe(rise),
    "aise": Probe(aise),
    "occlusion": Probe(occlusion),
    "saliency": Probe(saliency, "gradients"),
    "input_x_gradient": Probe(input_x_gradient, "gradients"),
    "integrated_gradients": Probe(integrated_gradients, "gradients"),
    "smooth_grad": Probe(smooth_grad, "gradients"),
}

# of a detector, whose detections are given as if they were classes
BOX_PROBES: dict[str, Callable[[BoxScorer, np.ndarray, Sequence[int], Settings], np.ndarray]] = {
    "d_rise": d_rise,
    "aise": aise_of_boxes,
    "occlusion": occlusion,
}
PROBE_NAMES = tuple(dict.fromkeys([*PROBES, *BOX_PROBES]))

__all__ = ["BOX_PROBES", "PROBES", "PROBE_NAMES", "Classifier", "Probe", "Scorer", "Settings"]
