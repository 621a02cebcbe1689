"""What the page was started with, and the networks that come of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.options import LayerOptions, NetworkOptions, ProbeOptions
from openvino_xai.cli.options.preprocessing import PreprocessingOptions

if TYPE_CHECKING:
    from openvino_xai.runtime.network import Network
    from openvino_xai.surgery.layer import Layer
    from openvino_xai.ui.question import Choice
    from openvino_xai.ui.session import Progress

FED = tuple(field.name for field in fields(PreprocessingOptions))


@dataclass(frozen=True)
class Start:
    """What the command was started with."""

    model: str
    options: LayerOptions
    probing: ProbeOptions
    running: NetworkOptions
    against: Path | None = None
    similarity: str | None = None

    def load(self, choice: Choice, tell: Progress) -> Network:
        """The model with the hook of a choice, fed as itself says. Raises an OvxaiError."""
        from openvino_xai.contract import RECORD, VECTOR_TARGETS
        from openvino_xai.locate.tasks.opening import opened
        from openvino_xai.surgery.task import detector_of, tells_pixels

        options, deployed = self.chosen(choice), opened(self.model)
        nothing: dict[str, Any] = dict.fromkeys(FED)
        load = partial(replace(self.running, **nothing).load, self.model, options, self.probing.settings(tell), tell=False)
        if self.against is not None:
            return load(targets=VECTOR_TARGETS, similarity=self.similarity)
        hooked = bool(deployed.info(RECORD))
        # classes are asked for one at a time where each has its price; boxes and regions are as many as usual
        is_other = hooked or detector_of(deployed, options.where()) is not None or tells_pixels(deployed, options.where())
        return load(targets=None if is_other else "all")

    def insert(self, method: str) -> object:
        """A hook by a method, which nobody runs. Raises an OvxaiError."""
        from openvino_xai.contract import VECTOR_TARGETS

        vectors = {} if self.against is None else {"targets": VECTOR_TARGETS, "similarity": self.similarity}
        return replace(self.options, method=method, layer=None, cells=None).insert(self.model, verify=False, **vectors)

    def layers(self) -> list[Layer]:
        """Where a hook can go."""
        from openvino_xai.surgery.layers import layers

        where = {name: getattr(self.options, name) for name in ("image_input", "prefix_tokens", "token_grid")}
        return layers(self.model, scores=self.options.head, **where)

    def chosen(self, choice: Choice) -> LayerOptions:
        """The options of a hook, with what the page chooses."""
        options = self.options
        return replace(options, method=choice.method or options.method, layer=choice.layer or options.layer)
