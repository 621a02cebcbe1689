"""A model, made ready to explain: one without a hook gets one, or is probed; the last few that came from files are kept."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, cast

from openvino_xai.contract import RECORD, VECTOR_TARGETS
from openvino_xai.dialects.digest import model_files
from openvino_xai.dialects.open import Model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.hooks import METHODS
from openvino_xai.locate.located import Where
from openvino_xai.locate.tasks.label_groups import labels_of
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.probes import PROBE_NAMES, PROBES, Settings
from openvino_xai.record.reading import records_of
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.inputs.contrasts import BY_IDS, may_contrast
from openvino_xai.runtime.inputs.targets import named_targets
from openvino_xai.runtime.loading import load, load_heads
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.probed import probe
from openvino_xai.runtime.sources import stamp
from openvino_xai.runtime.tasks.heads import Heads
from openvino_xai.runtime.tasks.segmenter import Segmenter
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.insert import insert
from openvino_xai.surgery.task import tells_pixels
from openvino_xai.words import AnyMethod, AnyProbe, HookName, Precision

Ready: TypeAlias = Network | Heads
Labels: TypeAlias = "Sequence[str] | None"
MOST = 4  # networks that are kept, of all files
OF_PROBES = (  # options that probes have, too
    "layer", "scores", "image_input", "layout", "prefix_tokens", "token_grid", "cells", "boxes",
)  # fmt: skip


@dataclass(frozen=True)
class Making:
    """How a network is made of a model: the `method`, the `options` of `insert` that a caller names, and what runs it.

    `targets` are those of an explanation, `labels` what names their classes, None for those of the model. `channels` are those
    of the probe abs_cam, which it asks about for each class.
    """

    method: AnyMethod | None = None
    targets: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    channels: int | None = None
    device: str = "CPU"
    precision: Precision = "f32"
    labels: Labels = None

    @property
    def probes(self) -> bool:
        """Whether a plain model is asked, again and again."""
        return self.method in PROBE_NAMES

    def key(self, *, of_pixels: bool) -> Hashable:
        """What is alike where the same network is made, of a model that tells classes of pixels or of another."""
        targets = None if self.probes else targets_of_hook(self.method, self.targets, of_pixels=of_pixels)
        if may_contrast(self.targets) and not self.probes:
            targets = self.targets  # which of them a hook explains only its model and labels tell
        name = self.method or ""
        registered = METHODS.get(name), PROBES.get(name)  # one's own may be another by now
        return _frozen({**vars(self), "targets": targets}), registered

    def of(self, model: Model | Hooked) -> Ready:
        """A network of a model. Raises an OvxaiError that names what is in the way."""
        if self.probes:
            return self._probed(model)
        scores = self.options.get("scores")
        names = [scores] if isinstance(scores, str) else list(scores or ())
        hooked = model if isinstance(model, Hooked) else self._hooked(model)
        deployed = hooked.deployed if isinstance(hooked, Hooked) else opened(hooked)
        heads = len(records_of(deployed.graph, deployed.info))
        if len(names) > 1 or (not names and heads > 1):
            return load_heads(hooked, device=self.device, precision=self.precision).chosen(names)
        head = names[0] if names and heads else None
        return load(hooked, device=self.device, precision=self.precision, scores=head)

    def _probed(self, model: Model | Hooked) -> Network:
        foreign = [name for name in self.options if name not in OF_PROBES]
        if foreign:
            raise InputError(
                f"{foreign[0]} says how a hook is made, and {self.method} asks the model without one: leave it out",
                options=(foreign[0],),
            )
        if isinstance(model, Hooked):
            raise InputError(f"{self.method} asks a model without a hook, and this has one: give it the original")
        return probe(
            model,
            cast("AnyProbe", self.method),
            **self.options,
            settings=Settings(channels=self.channels),
            device=self.device,
            precision=self.precision,
        )

    def _hooked(self, model: Model) -> Model | Hooked:
        """The model with a hook: its own, or one that is made. Raises InputError where it has one, and another is asked for."""
        options = dict(self.options)
        deployed = opened(model, options.get("layout"), options.get("image_input"))
        if record := deployed.info(RECORD):
            changed = [*(name for name in options if name != "scores"), *(["method"] if self.method else [])]
            if changed or (isinstance(self.targets, str) and self.targets == VECTOR_TARGETS != record.get("task")):
                raise InputError(
                    f"the model carries a hook already, of {record.get('method') or 'several heads'}: "
                    f"{', '.join(changed) or 'targets vector'} is for a model without one",
                    options=tuple(changed),
                )
            return model
        names = options.get("scores") or ()
        scores = [names] if isinstance(names, str) else list(names)
        where = partial(
            Where.parse, options.get("layer"), scores=scores[0] if scores else None, image_input=options.get("image_input")
        )
        targets = hook_targets(deployed, self.method, self.targets, scores=scores, where=where, labels=self.labels)
        return insert(model, method=cast("HookName | None", self.method), targets=targets, **options)


def hook_targets(
    deployed: Deployed,
    method: str | None,
    targets: Any,
    *,
    scores: Sequence[str],
    where: Callable[[], Where],
    labels: Labels = None,
) -> str | None:
    """What a hook of a model explains of which `targets` are to be explained, as `targets_of_hook`; contrasts by their ids.

    `scores` are the heads that are named, `where` what is said of the only one, and `labels` those of a caller. Raises
    InputError for contrasts of classes that are not there.
    """
    of_pixels = len(scores) < 2 and tells_pixels(deployed, where())
    return _contrasts(deployed, targets, scores, where, labels) or targets_of_hook(method, targets, of_pixels=of_pixels)


def _contrasts(
    deployed: Deployed, targets: Any, scores: Sequence[str], where: Callable[[], Where], labels: Labels
) -> str | None:
    """The contrasts that targets are, by ids; None where they are something else, or the model has no classes of images."""
    if not may_contrast(targets):
        return None
    if len(scores) > 1:
        return targets if isinstance(targets, str) and re.fullmatch(BY_IDS, targets, re.ASCII) else None
    try:
        description = Described.of(deployed.graph, deployed.info, where=where())
    except OvxaiError:
        return None  # it explains something else, which says what its targets are
    classes = description.scores.classes
    own_labels = labels_of(description.info, classes, description.groups)
    ids = named_targets(targets, own_labels if labels is None else labels, classes)
    return ids if isinstance(ids, str) else None


def targets_of_hook(method: str | None, targets: Any, *, of_pixels: bool) -> str | None:
    """What a hook explains of which `targets` are to be explained: all that comes nearly for nothing (None), or what is needed.

    A class of its own price is asked for at run time, so that one hook serves all classes.
    """
    words = targets if isinstance(targets, str) else ""
    if targets is None or words == VECTOR_TARGETS or re.fullmatch(r"boxes:\d+", words, re.ASCII):
        return words or None
    if re.fullmatch(r"\d+:\d+(,\d+:\d+)*", words, re.ASCII):
        return f"asked:{words.count(':')}"
    if of_pixels or (method is not None and method in METHODS and METHODS[method].per_class):
        return words if re.fullmatch(r"top:[1-9]\d{0,8}", words, re.ASCII) else "asked"
    return None


class Shelf:
    """The networks of the last few files, each for one way to make it, as long as no file of the model changes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._networks: OrderedDict[Hashable, tuple[object, Ready]] = OrderedDict()
        self._lock = Lock()

    def network(self, path: Path, making: Making) -> Ready:
        """The network that is kept of a file, or one that is made. Raises what making it raises."""
        stamps = _stamps(path)
        with self._lock:
            for of_pixels in (False, True):  # which of them a model is only reading it tells
                key = path.absolute(), making.key(of_pixels=of_pixels)
                entry = self._networks.get(key)
                if entry is not None and entry[0] == stamps and isinstance(entry[1], Segmenter) == of_pixels:
                    self._networks.move_to_end(key)
                    return entry[1]
        network = making.of(path)
        key = path.absolute(), making.key(of_pixels=isinstance(network, Segmenter))
        with self._lock:
            # of files that changed meanwhile nobody knows what was read
            if stamps is not None and _stamps(path) == stamps:
                self._networks[key] = stamps, network
                self._networks.move_to_end(key)
            while len(self._networks) > self._most:
                self._networks.popitem(last=False)
        return network


def _stamps(path: Path) -> object:
    """What changes with a model's files, None where they cannot be told."""
    try:
        return [(file, stamp(file)) for file in model_files(path)]
    except OvxaiError:
        return None


def _frozen(value: object) -> Hashable:
    """A value that can be a key; what is neither text, a number nor a collection of these equals nothing."""
    if isinstance(value, Mapping):
        return tuple((name, _frozen(item)) for name, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return value if value is None or isinstance(value, (str, int, float, Path)) else object()
