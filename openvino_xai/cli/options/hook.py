"""Options that say where a hook goes, how it is made, and what it returns."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.options.flags import (
    Baseline,
    BoxFormat,
    Cells,
    Channels,
    Confidence,
    CutName,
    FeatureVector,
    Gate,
    Grid,
    ImageInput,
    Kernel,
    LayerName,
    MaskName,
    MaxMemory,
    Method,
    Plan,
    Portable,
    PrefixTokens,
    Scale,
    Score,
    ScoresNames,
    Similarity,
    Steps,
    TargetClasses,
    TokenGrid,
)
from openvino_xai.cli.options.group import Group
from openvino_xai.cli.options.memory import parse_bytes
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.locate.located import Where
    from openvino_xai.surgery.hooked import Hooked


@dataclass(frozen=True)
class LayerOptions(Group):
    """Where a hook goes, and how it is made."""

    layer: LayerName = None
    method: Method = None
    score: Score = None
    scores: ScoresNames = None
    image_input: ImageInput = None
    plan: Plan = "lazy"
    grid: Grid = None
    kernel: Kernel = "gaussian"
    prefix_tokens: PrefixTokens = None
    token_grid: TokenGrid = None
    cells: Cells = None
    max_memory: MaxMemory = "2GiB"
    channels: Channels = None
    boxes: BoxFormat = None
    cut: CutName = None
    mask: MaskName = None

    def check(self) -> None:
        """Raise InputError for an amount, a grid or a number that is none."""
        from openvino_xai.graph.sizes import rows_and_columns
        from openvino_xai.plan.request import check_channels

        parse_bytes(self.max_memory)
        for word, text in (("grid", self.grid), ("token_grid", self.token_grid), ("cells", self.cells)):
            if text is not None:
                rows_and_columns(word, text)
        check_channels(self.channels, self.method)

    def refuse_several(self) -> None:
        """Raise InputError where several outputs are named."""
        if self.scores and len(self.scores) > 1:
            raise InputError(
                f"outputs {', '.join(map(repr, self.scores))} are named, and one is looked at here: name one of them",
                options=("scores",),
            )

    @property
    def head(self) -> str | None:
        """The output with the scores, where one is named. Raises InputError where several are."""
        self.refuse_several()
        return self.scores[0] if self.scores else None

    @property
    def of_hook(self) -> LayerOptions:
        """What says how a hook is made, and not which of its heads is meant."""
        return replace(self, scores=None)

    def where(self) -> Where:
        """What is said of the model."""
        from openvino_xai.locate.located import Where

        return Where(self.layer, self.head, self.image_input)

    def insert(self, model: Model, **changed: Any) -> Hooked:
        """The model with a hook; `changed` are more arguments of `insert`, or others than these."""
        from openvino_xai.hooks import METHODS
        from openvino_xai.probes import PROBE_NAMES
        from openvino_xai.surgery.insert import insert

        if self.method in PROBE_NAMES and self.method not in METHODS:
            raise InputError(f"{self.method} asks a model without a hook: `ovxai explain`, `compare` and `evaluate` take it")
        return insert(model, **{**asdict(self), "max_memory": parse_bytes(self.max_memory), **changed})


@dataclass(frozen=True)
class HookOptions(LayerOptions):
    """Where a hook goes, how it is made, and what it returns."""

    targets: TargetClasses = None
    scale: Scale = "unit"
    gate: Gate = False
    similarity: Similarity = None
    feature_vector: FeatureVector = False
    confidence: Confidence = False
    steps: Steps = None
    baseline: Baseline = None
    portable: Portable = False

    def check(self) -> None:
        """Raise InputError for targets, steps or a baseline, too, that are none."""
        from openvino_xai.plan.request import check_way

        super().check()
        check_way(self.method, self.steps, self.baseline)
        check_targets(self.targets, named=False)


def check_targets(targets: str | None, *, named: bool) -> None:
    """Raise InputError for targets that no model has; where they may be `named`, labels of classes are some, too."""
    from openvino_xai.tail.rows.pick import is_of_rows, parse_row_pick
    from openvino_xai.tail.target import parse_pick

    if targets is None or (named and not re.match(r"(top|boxes)(:|$)", targets)):
        return
    parse = parse_row_pick if is_of_rows(targets) else parse_pick
    parse(targets)
