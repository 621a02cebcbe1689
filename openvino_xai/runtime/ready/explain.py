"""A model and images in, explanations out, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from inspect import signature
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

import numpy as np

from openvino_xai.arguments import SHARE, TEXT, check_arguments, takes
from openvino_xai.choices import check_choice, quoted, suggestion
from openvino_xai.contract import VECTOR_TARGETS
from openvino_xai.dialects.open import Compiled, Model
from openvino_xai.errors import InputError, warn
from openvino_xai.explanation import Explanation, HeadsExplanation, Match
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.registry import Names
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.method_table import methods
from openvino_xai.probes import PROBE_NAMES, Settings
from openvino_xai.runtime.detectors.probed import ProbedDetector
from openvino_xai.runtime.inputs.contrasts import may_contrast
from openvino_xai.runtime.inputs.doubts import doubts_of
from openvino_xai.runtime.inputs.fed import as_fed, is_batch, is_stack
from openvino_xai.runtime.inputs.labels_file import labels_of_caller
from openvino_xai.runtime.inputs.photos import ImageLike, array_of, is_array, path_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.probed import Probed
from openvino_xai.runtime.ready.networks import Making, Ready, Shelf
from openvino_xai.runtime.tasks.heads import Heads
from openvino_xai.runtime.wrapped import is_compiled, network_inside
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.insert import ARGUMENTS
from openvino_xai.words import AnyMethod, BoxFormat, CutWord, Kernel, LikenessWord, MaskWord, PlanWord, Precision, ScoreWord

Explained: TypeAlias = Explanation | HeadsExplanation | Match
SHELF = Shelf()


class HookOptions(TypedDict, total=False):
    """More of how a hook is made: see `insert`."""

    score: ScoreWord | None
    scores: str | Sequence[str] | None
    image_input: str | None
    plan: PlanWord
    grid: str | Sequence[int] | None
    kernel: Kernel
    prefix_tokens: int | None
    token_grid: str | Sequence[int] | None
    cells: str | Sequence[int] | None
    max_memory: int
    similarity: LikenessWord | None
    cut: CutWord | None
    boxes: BoxFormat | None
    mask: MaskWord | None
    verify: bool


class ProbeSettings(TypedDict, total=False):
    """What probes may be told: see `Settings`, and `methods` for which method reads which."""

    seed: int
    masks: int
    segments: int
    evaluations: int
    groups: int
    patch: int | None
    stride: int | None
    steps: int
    copies: int
    orders: int
    channels: int | None
    progress: Callable[[int, int], None]


class ExplainOptions(HookOptions, ProbeSettings, total=False):
    """What `explain` takes beside its own arguments."""


ANY_METHOD = Names(METHODS, ROW_METHODS, PROBE_NAMES)
HOOK_OPTIONS, PROBE_SETTINGS = tuple(HookOptions.__annotations__), tuple(ProbeSettings.__annotations__)


@takes(
    layer=TEXT.or_none(),
    min_score=SHARE.or_none(),
    device=TEXT,
    precision=TEXT,
)
def explain(
    model: Model | Hooked | Network | Heads | Compiled,
    image: ImageLike | Sequence[ImageLike],
    targets: TargetsOfImage | None = None,
    *,
    method: AnyMethod | None = None,
    layer: str | None = None,
    labels: Sequence[str] | str | Path | None = None,
    preprocess: Mapping[str, object] | str | None = None,
    min_score: float | None = None,
    against: ImageLike | None = None,
    device: str = "CPU",
    precision: Precision = "f32",
    **options: Unpack[ExplainOptions],
) -> Any:
    """The explanation of an image, or a list of them for a list: what `load(insert(model)).explain(image)` returns.

    `model` is a path (.xml, .onnx, ...), an `ov.Model` or an `onnx.ModelProto`, with a hook or without one, which gets one in
    memory or is probed, as `method` says (see `methods`); or what `insert` or `load` return, or a compiled model (an
    `ov.CompiledModel`, an `ort.InferenceSession`), in which no graph is left: that explains if it carries a hook, else by
    methods that look at images alone, as `rise`. Of files the last few networks are kept, so that a loop compiles once; a file
    that changes is read again. Whoever has an object, and a loop, calls `load` once.

    `image` is a path, encoded bytes, a PIL image, RGB bytes [H, W, 3], grey bytes [H, W], floats in [0, 1] of these shapes, or
    a list of such images. An array or tensor [B, C, H, W] is prepared already: it is fed as it is, and gives a list of B.

    `targets` are `top:K`, `all`, ids or labels, one or a list of them; by default what the model answers: the most probable
    class, the boxes of a detector, the largest regions of a segmentation. `A-B`, of ids or labels, or a list of pairs (A, B),
    contrasts two classes: what speaks for A and not for B. Of a detector `boxes:N` are the N best. `against` is
    another image, for a model whose output is a vector: the two are explained to each other.

    `labels` are names of classes, or the path of a file with one a line; `preprocess` a preset or values by the names of
    `model_info`, `min_score` the least score of a detector's boxes: see `Network.configure`. `device` and `precision` are those
    of `load`, `layer` and `options` those of `insert`; and what probes may be told (`masks=1000`, `seed=1`): see `Settings`.

    Returns an `Explanation`, `DetectionExplanation` (boxes), `SegmentationExplanation` (pixels), `HeadsExplanation` (several
    heads) or `Match` (vectors). Raises an OvxaiError that says what is in the way, and warns with a PreprocessingWarning where
    it is doubtful what the model expects.
    """
    _refuse_unknown(options)
    check_arguments(options, ARGUMENTS)
    if method is not None:
        check_choice("method", method, ANY_METHOD, options=("method",))
    settings = _settings(method, options)
    hook_options = {name: value for name, value in options.items() if name in HOOK_OPTIONS}
    if layer is not None:
        hook_options["layer"] = layer
    wanted: Any = targets
    if against is not None:
        if targets is not None:
            raise InputError("images are explained against another by their vectors: leave targets out", options=("targets",))
        wanted = VECTOR_TARGETS
    elif isinstance(targets, str) and targets == VECTOR_TARGETS:
        raise InputError("vectors are explained by their likeness to another image: say against=", options=("against",))
    names = labels_of_caller(labels)
    making = Making(
        method, wanted, hook_options, settings.channels, device, precision, labels=names if may_contrast(wanted) else None
    )
    network = _configured(_network(model, making, settings), settings, names, preprocess, min_score)
    images, is_list = _images(image, network)
    if any(not isinstance(item, _Tensor) for item in images):
        for doubt in doubts_of(network.preprocessing):
            warn(doubt)
    explained = [_explained(network, item, targets, against) for item in images]
    return explained if is_list else explained[0]


def _refuse_unknown(options: Mapping[str, object]) -> None:
    more = (*HOOK_OPTIONS, *PROBE_SETTINGS)
    arguments = [name for name in signature(explain).parameters if name != "options"]
    for name in options:
        if name not in more:
            raise InputError(
                f"explain has no option {quoted(name)}: it takes those of insert and of a probe's Settings"
                f"{suggestion(name, [*arguments, *more])}"
            )


def _settings(method: str | None, options: Mapping[str, Any]) -> Settings:
    """What a probe is told. Raises InputError for a setting that the method does not read, which would change nothing."""
    values = {name: value for name, value in options.items() if name in PROBE_SETTINGS}
    if not values:
        return Settings()
    rows = [row for row in methods(kind="probe") if row.name == method]
    read = {name for row in rows for name in row.settings} | ({"progress"} if rows else set())
    for name in values:
        if name not in read and not (rows and not rows[0].source):  # nobody knows what a method of one's own reads
            readers = [row.name for row in methods(kind="probe") if name in row.settings]
            raise InputError(
                f"{name} is a setting of {', '.join(readers) or 'probes'}, and "
                + (f"{method} does not read it" if method else "no method is named")
                + ": leave it out, or take another method",
                options=(name, "method"),
            )
    return Settings(**values)


def _network(model: Any, making: Making, settings: Settings) -> Ready:
    """What explains: a network that is there, made or kept. Raises an OvxaiError."""
    if is_compiled(model):
        return network_inside(model, making.method, settings, list(making.options))
    if isinstance(model, (Network, Heads)):
        foreign = [*making.options, *([] if making.method is None else ["method"])]
        if foreign:
            raise InputError(
                f"a network is compiled, and {foreign[0]} says how one is made: give explain the model",
                options=(foreign[0],),
            )
        return model
    path = None if isinstance(model, Hooked) else path_of(model)
    return making.of(model) if path is None else SHELF.network(path, making)


def _configured(
    network: Ready,
    settings: Settings,
    labels: Sequence[str] | None,
    preprocess: Mapping[str, object] | str | None,
    min_score: float | None,
) -> Ready:
    """The network as this caller wants it: a copy, as others may use the same one. Raises InputError."""
    if isinstance(network, Heads):
        network = Heads({scores: copy(head) for scores, head in network.items()})
    else:
        network = copy(network)
        if isinstance(network, (Probed, ProbedDetector)):
            network.settings = settings
    network.configure(labels=labels, preprocessing=preprocess, min_score=min_score)
    network.notify = None  # explain itself tells what is doubtful, where it was called
    return network


class _Tensor(np.ndarray):
    """One image [1, C, H, W] that is prepared already."""


def _images(image: Any, network: Ready) -> tuple[list[Any], bool]:
    """The images, each a photo of any kind or a prepared one; whether they came as several. Raises InputError."""
    if isinstance(image, (list, tuple)):
        nested = [item for item in image if isinstance(item, (list, tuple))]
        if nested:
            raise InputError(f"a list of images holds {quoted(nested[0])}: images are expected, and pixels as an array")
        return list(image), True
    if is_array(image):
        array = array_of(image)
        first = network if isinstance(network, Network) else next(iter(network.values()))
        if is_stack(array):
            return list(array), True
        if is_batch(array, first.images):
            return [item.view(_Tensor)[None] for item in array], True
        return [array], False
    return [image], False


def _explained(network: Ready, item: Any, targets: TargetsOfImage | None, against: ImageLike | None) -> Explained:
    """One image, explained. Raises InputError."""
    if isinstance(item, _Tensor):
        if against is not None:
            raise InputError("two images are explained to each other as photos, and one of them is a prepared tensor")
        ((fed, picture),) = as_fed(network, np.asarray(item))
        return fed.explain(picture, targets=targets)
    if against is None:
        return network.explain(item, targets=targets)
    if isinstance(network, Heads):
        raise InputError("a model of several heads explains classes, and no photo against another: leave against out")
    return network.match(item, against)
