"""How maps are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openvino_xai.cli.options.choices import keys, literal
from openvino_xai.cli.options.flags import DETECTORS
from openvino_xai.cli.options.group import Group

if TYPE_CHECKING:
    from openvino_xai.render.overlay import Style


DRAWING = "Drawing"


@dataclass(frozen=True)
class StyleOptions(Group):
    """How maps are drawn."""

    style: Annotated[
        str,
        typer.Option(help="overlay (over the photo), heatmap (the map alone) or contours."),
        literal("Kind", "render.overlay"),
    ] = "overlay"
    colormap: Annotated[
        str, typer.Option(help="By matplotlib's name: jet, turbo, viridis, inferno, ..."), keys("COLORMAPS", "render.overlay")
    ] = "jet"
    opacity: Annotated[float, typer.Option(help="Of an overlay, from 0 to 1.")] = 0.5
    smoothing: Annotated[
        str,
        typer.Option(help="How cells become pixels: bilinear or nearest.", rich_help_panel=DRAWING),
        literal("Smoothing", "render.overlay"),
    ] = "bilinear"
    each: Annotated[
        bool, typer.Option("--each", help="A picture of each box, beside that of all.", rich_help_panel=DETECTORS)
    ] = False

    file_format: Annotated[
        str,
        typer.Option("--format", help="Of pictures: png, jpg or webp; or none, for maps alone."),
        literal("Format", "render.overlay", "--format"),
    ] = "png"

    def check(self) -> None:
        """Raise InputError for what is no style."""
        self.to_style()

    def to_style(self) -> Style:
        """The style. Raises InputError."""
        from openvino_xai.render.overlay import Format, Kind, Smoothing, Style

        return Style(
            cast(Kind, self.style),
            self.colormap,
            self.opacity,
            cast(Smoothing, self.smoothing),
            self.each,
            cast(Format, self.file_format),
        )
