"""How maps are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from openvino_xai.render.overlay import Style


@dataclass(frozen=True)
class StyleOptions:
    """How maps are drawn."""

    style: Annotated[str, typer.Option(help="overlay (over the photo), heatmap (the map alone) or contours.")] = "overlay"
    colormap: Annotated[str, typer.Option(help="By matplotlib's name: jet, turbo, viridis, inferno, ...")] = "jet"
    opacity: Annotated[float, typer.Option(help="Of an overlay, from 0 to 1.")] = 0.5
    smoothing: Annotated[str, typer.Option(help="How cells become pixels: bilinear or nearest.")] = "bilinear"
    each: Annotated[bool, typer.Option("--each", help="Detectors: a picture of each box, beside that of all.")] = False

    def to_style(self) -> Style:
        """The style. Raises InputError."""
        from openvino_xai.render.overlay import Kind, Smoothing, Style

        return Style(cast(Kind, self.style), self.colormap, self.opacity, cast(Smoothing, self.smoothing), self.each)
