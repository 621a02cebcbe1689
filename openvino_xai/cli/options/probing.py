"""The settings of probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_xai.cli.options.group import Group

if TYPE_CHECKING:
    from openvino_xai.probes import Settings

PROBES = "Probes (methods that ask a model without a hook again and again)"


@dataclass(frozen=True)
class ProbeOptions(Group):
    """The settings of probes, which ask a model without a hook again and again."""

    seed: Annotated[int, typer.Option(help="Of what is random.", rich_help_panel=PROBES)] = 0
    masks: Annotated[
        int, typer.Option(help="rise, d_rise, lime, kernel_shap, tis: how many masks.", rich_help_panel=PROBES)
    ] = 4000
    segments: Annotated[int, typer.Option(help="lime, kernel_shap: about how many superpixels.", rich_help_panel=PROBES)] = 50
    evaluations: Annotated[
        int, typer.Option(help="aise: how many masks of each width, for each class or box.", rich_help_panel=PROBES)
    ] = 50
    groups: Annotated[int, typer.Option(help="group_cam: how many groups of channels.", rich_help_panel=PROBES)] = 32
    patch: Annotated[
        int | None, typer.Option(help="occlusion: pixels that are covered; a seventh.", rich_help_panel=PROBES)
    ] = None
    stride: Annotated[int | None, typer.Option(help="occlusion: pixels to the next; half a patch.", rich_help_panel=PROBES)] = (
        None
    )
    steps: Annotated[int, typer.Option(help="integrated_gradients, opti_cam: how many steps.", rich_help_panel=PROBES)] = 50
    copies: Annotated[int, typer.Option(help="smooth_grad: how many noisy copies.", rich_help_panel=PROBES)] = 25
    orders: Annotated[int, typer.Option(help="shap_cam: how many orders of channels.", rich_help_panel=PROBES)] = 10

    def check(self) -> None:
        """Raise InputError for a number that is none."""
        self.settings()

    def settings(self, progress: Callable[[int, int], None] | None = None) -> Settings:
        """The settings; `progress` hears how far a probe is. Raises InputError."""
        from openvino_xai.probes import Settings

        return Settings(**asdict(self)) if progress is None else Settings(**asdict(self), progress=progress)
