"""Saliency methods, one a file: pure functions of a vocabulary `xp` and a `Site`. A new method is a line in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from openvino_xai.hooks.abs_cam import abs_cam, abs_cam_init
from openvino_xai.hooks.activation_map import activation_map
from openvino_xai.hooks.cam import cam
from openvino_xai.hooks.fd_cam import fd_cam
from openvino_xai.hooks.grad_cam import grad_cam
from openvino_xai.hooks.grad_cam_plus_plus import grad_cam_plus_plus
from openvino_xai.hooks.hires_cam import hires_cam
from openvino_xai.hooks.layer_cam import layer_cam
from openvino_xai.hooks.reciprocam import reciprocam
from openvino_xai.hooks.scale import SCALES
from openvino_xai.hooks.site import Site
from openvino_xai.hooks.smooth_grad_cam_plus_plus import smooth_grad_cam_plus_plus
from openvino_xai.hooks.vit_reciprocam import KERNELS, vit_reciprocam
from openvino_xai.hooks.xgrad_cam import xgrad_cam


class Method(NamedTuple):
    """A hook; what it masks: cells of a feature map, tokens that enter an attention block, or nothing; and what it reads.

    A `linear` one is for tails that are linear in the features, and reads their logits. One that reads `gradients` takes logits
    and the most probable class, unless it is told otherwise.
    """

    hook: Callable[[Any, Site], Any]
    masks: Literal["cells", "tokens", "nothing"]
    linear: bool = False
    gradients: bool = False


METHODS: dict[str, Method] = {
    "reciprocam": Method(reciprocam, "cells"),
    "vit_reciprocam": Method(vit_reciprocam, "tokens"),
    "cam": Method(cam, "cells", linear=True),
    "activation_map": Method(activation_map, "nothing"),
    "grad_cam": Method(grad_cam, "nothing", gradients=True),
    "grad_cam_plus_plus": Method(grad_cam_plus_plus, "nothing", gradients=True),
    "xgrad_cam": Method(xgrad_cam, "nothing", gradients=True),
    "layer_cam": Method(layer_cam, "nothing", gradients=True),
    "hires_cam": Method(hires_cam, "nothing", gradients=True),
    "smooth_grad_cam_plus_plus": Method(smooth_grad_cam_plus_plus, "nothing", gradients=True),
    "abs_cam": Method(abs_cam, "nothing", gradients=True),
    "abs_cam_init": Method(abs_cam_init, "nothing", gradients=True),
    "fd_cam": Method(fd_cam, "nothing", gradients=True),
}

__all__ = ["KERNELS", "METHODS", "SCALES", "Method", "Site"]
