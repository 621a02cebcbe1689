"""The options of `ovxai evaluate` on which the literature does not agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openvino_xai.choices import quoted
from openvino_xai.cli.options.choices import literal
from openvino_xai.cli.options.group import Group
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.evaluate.classes.case import Choices, Compared, Covered, Read, Scaled

CHOICES = "Choices where the literature does not agree"
_COVERED = "What masks leave where they are 0: zero, as the network sees it; black; or blur, the photo blurred."
_SCALED = (
    "How a map becomes a mask: minmax; over its max with what is below 0 cut off; or half, the half of the pixels where it is "
    "largest."
)
_READ = (
    "The score that drop, increase, insertion and deletion look at: probability, by default of classes, or logit, always of "
    "contrasts (these are no fractions then)."
)
_COMPARED = "Where coherency compares maps: on their cells, or on the image's pixels, to which they are enlarged."
_STEP = (
    "Pixels that insertion and deletion change at a time, or their share of the image, as 3.6%; by default a 28th of it "
    "(224 x 8 of 224 x 224)."
)


@dataclass(frozen=True)
class MetricOptions(Group):
    """The choices on which the literature does not agree."""

    covered: Annotated[
        str, typer.Option(help=_COVERED, rich_help_panel=CHOICES), literal("Covered", "evaluate.classes.case")
    ] = "zero"
    scaled: Annotated[str, typer.Option(help=_SCALED, rich_help_panel=CHOICES), literal("Scaled", "evaluate.classes.case")] = (
        "minmax"
    )
    read: Annotated[str | None, typer.Option(help=_READ, rich_help_panel=CHOICES), literal("Read", "evaluate.classes.case")] = (
        None
    )
    compared: Annotated[
        str, typer.Option(help=_COMPARED, rich_help_panel=CHOICES), literal("Compared", "evaluate.classes.case")
    ] = "cells"
    step: Annotated[str | None, typer.Option(help=_STEP, rich_help_panel=CHOICES)] = None

    def check(self) -> None:
        """Raise InputError for a choice that there is not."""
        self.choices(seed=0)

    def choices(self, seed: int) -> Choices:
        """The choices as metrics take them. Raises InputError."""
        from openvino_xai.evaluate.classes.case import Choices

        words = cast("Covered", self.covered), cast("Scaled", self.scaled), cast("Read", self.read or "probability")
        return Choices(*words, _step(self.step), seed, cast("Compared", self.compared))

    def refuse_for_contrasts(self) -> None:
        """Raise InputError for a score that no contrast has."""
        if self.read not in (None, "logit"):
            raise InputError(f"the score of a contrast is a difference of logits, and --read is {self.read}: leave it out")

    def refuse_for_boxes(self, target: str | None, engine: str | None, report: Path | None, *, parquet: bool) -> None:
        """Raise InputError for options that are of classes, or not yet of boxes."""
        for word, is_given in (
            ("scaled", self.scaled != "minmax"),
            ("read", self.read is not None),
            ("compared", self.compared != "cells"),
            ("step", self.step is not None),
            ("target", target is not None),
            ("engine", engine is not None),
            ("parquet", parquet),
            ("report", report is not None),
        ):
            if is_given:
                raise InputError(f"--{word} is of classes of images, and the model explains boxes: leave it out")


def _step(text: str | None) -> int | float | None:
    """A number of pixels, or a share of them. Raises InputError."""
    if text is None:
        return None
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 < share < 1:
                return share
        elif text.isascii() and int(text) >= 1:
            return int(text)
    except ValueError:
        pass
    raise InputError(
        f"step is {quoted(text)}: a number of pixels, or their share of the image, as 3.6%, is expected", options=("step",)
    )
