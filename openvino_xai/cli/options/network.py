"""Options of how a model runs, and the network that they make of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, Unpack, cast

import typer

from openvino_xai.cli.options.command import texts
from openvino_xai.cli.options.flags import DETECTORS, Device, Precision
from openvino_xai.cli.options.hook import LayerOptions
from openvino_xai.cli.options.preprocessing import AUTO, PreprocessingOptions, fed_by, tell_doubts
from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.dialects.protocol import Deployed
    from openvino_xai.probes import Settings
    from openvino_xai.runtime.network import Network
    from openvino_xai.runtime.tasks.heads import Heads
    from openvino_xai.surgery.hooked import Hooked
    from openvino_xai.words import AnyProbe, Hint
    from openvino_xai.words import Precision as PrecisionWord

_MIN_SCORE = "The least score of a box; by default the model's confidence_threshold, or 0.25."


OF_PROBES = ("layer", "image_input", "prefix_tokens", "token_grid", "cells")  # where a hook goes, or a probe looks


class How(TypedDict, total=False):
    """How `load_heads` makes a network of a model."""

    targets: str | None
    similarity: str | None
    verify: bool
    tell: bool
    hint: Hint


@dataclass(frozen=True)
class NetworkOptions(PreprocessingOptions):
    """How a model runs, and what it expects of an image."""

    labels: Annotated[Path | None, typer.Option(help="A text file with one label a line.")] = None
    min_score: Annotated[float | None, typer.Option(help=_MIN_SCORE, rich_help_panel=DETECTORS)] = None
    device: Device = "CPU"
    precision: Precision = "f32"

    def check(self) -> None:
        """Raise InputError for labels that are none, and a least score that is none."""
        super().check()
        if self.labels is not None:
            read_labels(self.labels)
        if self.min_score is not None and not 0 <= self.min_score <= 1:  # NaN is neither
            raise InputError(f"{self.min_score} is no score of a box; 0 to 1 is expected", options=("min_score",))

    def load(
        self,
        model: Model,
        options: LayerOptions,
        settings: Settings,
        **how: Unpack[How],
    ) -> Network:
        """The model, ready to explain `targets`; one without a hook gets one, or is probed, as `options` say.

        See `load_heads` for `how`. Raises an OvxaiError.
        """
        from openvino_xai.runtime.tasks.heads import Heads

        options.refuse_several()
        network = self.load_heads(model, options, settings, **how)
        if isinstance(network, Heads):
            heads = ", ".join(map(repr, network))
            raise InputError(f"the hook of {model} explains {heads}, and one is looked at here: name it", options=("scores",))
        return network

    def load_heads(
        self,
        model: Model,
        options: LayerOptions,
        settings: Settings,
        *,
        targets: str | None = "all",
        similarity: str | None = None,
        verify: bool = True,
        tell: bool = True,
        hint: Hint = "LATENCY",
    ) -> Network | Heads:
        """As `load`; or all heads where several are named, or where the hook explains several and none is named.

        The `similarity` is for targets `vector`, None for that of the hook, or the cosine. What is doubtful about what a file
        is fed is told, unless `tell` is False. The `hint` is of hooks: a probe asks for many inferences of each photo.
        """
        from openvino_xai.contract import RECORD
        from openvino_xai.locate.tasks.opening import opened
        from openvino_xai.probes import PROBE_NAMES
        from openvino_xai.runtime.inputs.doubts import doubts_of
        from openvino_xai.runtime.loading import load, load_heads
        from openvino_xai.runtime.probed import probe

        if isinstance(model, str) and (self.preprocess == AUTO or self.examples is not None):
            return self.resolved(model, options).load_heads(
                model, options, settings, targets=targets, similarity=similarity, verify=verify, tell=tell, hint=hint
            )
        deployed = opened(model, self.layout, options.image_input)
        record, named = deployed.info(RECORD), options.scores or []
        if record and options.of_hook != LayerOptions():
            raise InputError(f"{model} carries a hook already; --layer and what else makes a hook is for a model without one")
        precision = cast("PrecisionWord", self.precision)
        network: Network | Heads
        if options.method in PROBE_NAMES:
            network = probe(
                model,
                cast("AnyProbe", options.method),
                **{name: getattr(options, name) for name in (*OF_PROBES, "boxes")},
                scores=options.head,
                layout=self.layout,
                settings=replace(settings, channels=options.channels),
                device=self.device,
                precision=precision,
            )
        else:
            hooked: Model | Hooked = model
            if not record:
                own_targets = self._hook_targets(deployed, options, targets)
                hooked = options.insert(model, verify=verify, targets=own_targets, similarity=similarity, layout=self.layout)
            if len(named) > 1 or (not named and "heads" in record):
                network = load_heads(hooked, device=self.device, precision=precision, hint=hint).chosen(named)
            else:
                head = options.head if record else None
                network = load(hooked, device=self.device, precision=precision, hint=hint, scores=head)
        network.configure(
            labels=read_labels(self.labels) if self.labels else None, preprocessing=self.values(), min_score=self.min_score
        )
        network.notify = None  # who types a command is told in one line each, and not for each variant of a model
        if isinstance(model, (str, os.PathLike)) and tell:
            tell_doubts(doubts_of(network.preprocessing), model=Path(model).name)
        return network

    def resolved(self, model: str, options: LayerOptions) -> NetworkOptions:
        """These options, with what examples find in place of a preset `auto`. Raises an OvxaiError."""
        from openvino_xai.cli.preprocessing.ranking import resolved

        labels = read_labels(self.labels) if self.labels else None
        return resolved(self, model, options.where, labels, device=self.device, precision=self.precision)

    def loader(
        self,
        model: str,
        options: LayerOptions,
        settings: Settings,
        folder: Path,
        *,
        targets: str | None = "all",
        hint: Hint = "LATENCY",
    ) -> Callable[[], Network]:
        """A function that loads the model in any process. A model without a hook gets one now, once, in a file in `folder`."""
        from openvino_xai.contract import RECORD
        from openvino_xai.dialects.digest import model_digest
        from openvino_xai.locate.tasks.opening import opened
        from openvino_xai.probes import PROBE_NAMES
        from openvino_xai.runtime.inputs.doubts import doubts_of
        from openvino_xai.runtime.sources import digest_of
        from openvino_xai.version import __version__

        deployed, head = opened(model, self.layout, options.image_input), options.head
        if "heads" in deployed.info(RECORD) and head is None:
            raise InputError(
                f"the hook of {model} explains several heads, and one is looked at here: name it", options=("scores",)
            )
        tell_doubts(doubts_of(fed_by(self, deployed, options.image_input)), model=Path(model).name)
        if options.method in PROBE_NAMES or deployed.info(RECORD):
            return partial(self.load, model, options, settings, tell=False, hint=hint)
        own_targets = self._hook_targets(deployed, options, targets)  # by ids, which labels may change
        made_from = digest_of([__version__, model_digest(model), texts(asdict(options)), own_targets, self.layout])[:16]
        path = folder / f"model_xai-{made_from}{deployed.suffix}"
        if not exists(path):
            options.insert(model, targets=own_targets, layout=self.layout).save(path)
        return partial(self.load, str(path), LayerOptions(scores=options.scores), settings, tell=False, hint=hint)

    def _hook_targets(self, deployed: Deployed, options: LayerOptions, targets: str | None) -> str | None:
        """What a hook in memory explains."""
        from openvino_xai.runtime.ready.networks import hook_targets

        labels = read_labels(self.labels) if self.labels else None
        scores = options.scores or []
        return hook_targets(deployed, options.method, targets, scores=scores, where=options.where, labels=labels)


def read_labels(path: Path) -> list[str]:
    """One label a line. Raises InputError."""
    from openvino_xai.runtime.inputs.labels_file import read_labels as read

    return read(path)
