"""Methods that explain the rows of a detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from openvino_xai.hooks.rows.class_maps import class_map, class_probability
from openvino_xai.hooks.rows.first_order import hires_cam, layer_cam
from openvino_xai.hooks.rows.reciprocam import reciprocam
from openvino_xai.hooks.rows.site import RowSite


class RowMethod(NamedTuple):
    """A method of rows, and what it explains: single `rows`, or every class of `classes` by all rows at once.

    One that `masks` keeps or drops image cells; others read gradients, or what the heads say.
    """

    hook: Callable[[Any, Any], Any]
    explains: Literal["rows", "classes"] = "rows"
    masks: bool = False


ROW_METHODS: dict[str, RowMethod] = {
    "layer_cam": RowMethod(layer_cam),
    "hires_cam": RowMethod(hires_cam),
    "reciprocam": RowMethod(reciprocam, masks=True),
    "class_map": RowMethod(class_map, "classes"),
    "class_probability": RowMethod(class_probability, "classes"),
}

__all__ = ["ROW_METHODS", "RowMethod", "RowSite"]
