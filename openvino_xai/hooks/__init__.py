"""Saliency methods, one a file: pure functions of a vocabulary `xp` and a `Site`. A new method is a line in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openvino_xai.hooks.reciprocam import reciprocam
from openvino_xai.hooks.scale import SCALES
from openvino_xai.hooks.site import Site

METHODS: dict[str, Callable[[Any, Site], Any]] = {"reciprocam": reciprocam}

__all__ = ["METHODS", "SCALES", "Site"]
