"""Saliency methods, one a file: pure functions of a vocabulary `xp` and a `Site`. A new method is a line in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from openvino_xai.hooks.activation_map import activation_map
from openvino_xai.hooks.cam import cam
from openvino_xai.hooks.reciprocam import reciprocam
from openvino_xai.hooks.scale import SCALES
from openvino_xai.hooks.site import Site
from openvino_xai.hooks.vit_reciprocam import KERNELS, vit_reciprocam


class Method(NamedTuple):
    """A hook, and what it masks: cells of a feature map, tokens that enter an attention block, or nothing.

    A `linear` one is for tails that are linear in the features, and reads their logits.
    """

    hook: Callable[[Any, Site], Any]
    masks: Literal["cells", "tokens", "nothing"]
    linear: bool = False


METHODS: dict[str, Method] = {
    "reciprocam": Method(reciprocam, "cells"),
    "vit_reciprocam": Method(vit_reciprocam, "tokens"),
    "cam": Method(cam, "cells", linear=True),
    "activation_map": Method(activation_map, "nothing"),
}

__all__ = ["KERNELS", "METHODS", "SCALES", "Method", "Site"]
