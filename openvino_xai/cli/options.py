"""Options that several commands share."""

from __future__ import annotations

import glob
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast, get_type_hints

import typer

from openvino_xai.cli.preprocessing.options import AUTO, PreprocessingOptions, fed_by, tell_doubts
from openvino_xai.cli.text import warn
from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists, is_folder

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.locate.located import Where
    from openvino_xai.probes import Settings
    from openvino_xai.render.overlay import Style
    from openvino_xai.runtime.network import Network
    from openvino_xai.runtime.tasks.heads import Heads
    from openvino_xai.surgery.hooked import Hooked

_LAYER = "Node or tensor name; by default the last layer that has cells and separates input from scores."
_METHOD = (
    "reciprocam (cells of a feature map) or vit_reciprocam (tokens of an attention block), by default what suits; cam (where a "
    "mean and linear layers end the model); activation_map (whatever the class); ablation_cam; by gradients grad_cam, "
    "grad_cam_plus_plus, smooth_grad_cam_plus_plus, xgrad_cam, layer_cam, hires_cam, abs_cam, abs_cam_init and fd_cam. Without "
    "a hook, and slower, explain, compare and evaluate also take score_cam, ablation_cam, abs_cam, group_cam, rise, "
    "aise, occlusion, and by the image's own gradient saliency, input_x_gradient, integrated_gradients and smooth_grad; "
    "explain takes d_rise, aise and occlusion for boxes."
)
_SCORE = (
    "How a class score is read: softmax, sigmoid or logit; one that ends the model is used as it is. By default softmax, and "
    "logit for gradients."
)
_SCORES = (
    "The output with the scores, if several could be; repeatable, for a model with several heads: each NAME has an output "
    "`saliency_map_NAME` then. Of a hook of several heads, the one that is meant."
)
_SCALE = "The maps' values: unit (f32 in [0, 1]), u8 (0..255) or none (raw scores)."
_PLAN = "lazy: as cheap as the algebra allows; direct: the definition as it is written. They give the same maps."
_TARGETS = (
    "The classes to explain: all, top:K of each image, ID,ID,..., or asked, by an input `explain_class`. By default all, and "
    "top:1 where each class has its price. Or vector: how much the model's vector is like that of an input `explain_vector`."
)
_CHANNELS = "abs_cam: ask only about so many channels for each class, those of the largest gradient; by default all."
_SIMILARITY = "Of vectors: cosine (by default) or dot, the product."
_FEATURES = "Add an output `feature_vector` [B, C]: the mean over the cells of the layer."
_GATE = "Add an input `explain` [B], boolean, that clients have to give: images not asked for cost nothing."
_MIN_SCORE = "Detectors: the least score of a box; by default the model's confidence_threshold, or 0.25."
_BOXES = (
    "Detectors: the format of the boxes, where the model does not tell it: xyxy, xywh, yxyx (in pixels), xyxy01, xywh01, "
    "yxyx01 (shares of the image), yolox, fastestdet, offsets, distances, distances_pixels, dfl or dfl_corner. evaluate takes "
    "a .json of objects in photos: COCO's annotations, or {images: {photo: [[class, x, y, width, height]]}} in shares, too."
)
_CUT = (
    "Detectors: where: backbone, the last layers before levels mix, where maps show what a box is made of; or heads, the "
    "inputs of the heads: nearly free, and a blob around the middle of the box. By default backbone."
)
_MASK = (
    "Detectors, reciprocam: keep one cell of the image and read what the box is left with, or drop it and read what the box "
    "loses. By default keep."
)
_MEMORY = "The largest value a hook may make for one image, as 500MB or 2GiB."

ModelPath: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="The model: OpenVINO IR (.xml), ONNX (.onnx), or what OpenVINO reads (.tflite, .pdmodel, .pb)."
    ),
]
LayerName: TypeAlias = Annotated[str | None, typer.Option("--layer", "-l", help=_LAYER)]
Method: TypeAlias = Annotated[str | None, typer.Option(help=_METHOD)]
Score: TypeAlias = Annotated[str | None, typer.Option(help=_SCORE)]
ScoresNames: TypeAlias = Annotated[list[str] | None, typer.Option("--scores", help=_SCORES)]
ImageInput: TypeAlias = Annotated[str | None, typer.Option(help="The input with the image, if several could be.")]
TargetClasses: TypeAlias = Annotated[str | None, typer.Option("--targets", help=_TARGETS)]
Scale: TypeAlias = Annotated[str, typer.Option(help=_SCALE)]
Plan: TypeAlias = Annotated[str, typer.Option(help=_PLAN)]
Grid: TypeAlias = Annotated[str | None, typer.Option(help="Masks that keep a block of cells: rows x columns, as 14x14.")]
Kernel: TypeAlias = Annotated[str, typer.Option(help="How a mask of tokens weighs neighbours: gaussian (3x3) or cell.")]
PrefixTokens: TypeAlias = Annotated[int | None, typer.Option(help="Tokens ahead of the patches, if the model does not tell.")]
TokenGrid: TypeAlias = Annotated[str | None, typer.Option(help="Rows x columns of patches, if the model does not tell.")]
BoxFormat: TypeAlias = Annotated[str | None, typer.Option("--boxes", help=_BOXES)]
MaskName: TypeAlias = Annotated[str | None, typer.Option("--mask", help=_MASK)]
CutName: TypeAlias = Annotated[str | None, typer.Option("--cut", help=_CUT)]
Channels: TypeAlias = Annotated[int | None, typer.Option("--channels", help=_CHANNELS, min=1)]
Similarity: TypeAlias = Annotated[str | None, typer.Option("--similarity", help=_SIMILARITY)]
FeatureVector: TypeAlias = Annotated[bool, typer.Option("--feature-vector", help=_FEATURES)]
Gate: TypeAlias = Annotated[bool, typer.Option("--gate", help=_GATE)]
MaxMemory: TypeAlias = Annotated[str, typer.Option(help=_MEMORY)]
Inputs: TypeAlias = Annotated[list[str], typer.Option("--input", "-i", help="An image, a folder or a pattern; repeatable.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class LayerOptions:
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
    max_memory: MaxMemory = "2GiB"
    channels: Channels = None
    boxes: BoxFormat = None
    cut: CutName = None
    mask: MaskName = None

    def hook_targets(self, targets: str | None) -> str | None:
        """What a hook in memory explains: all that comes nearly for nothing (None), else what is asked for.

        Of a detector, its best boxes, as many as `boxes:N` says; or rows that it is told, as many as `ROW:CLASS,...` names.
        """
        from openvino_xai.contract import VECTOR_TARGETS
        from openvino_xai.hooks import METHODS

        if targets in (None, VECTOR_TARGETS) or re.fullmatch(r"boxes:\d+", targets or "", re.ASCII):
            return targets
        if targets is not None and re.fullmatch(r"\d+:\d+(,\d+:\d+)*", targets, re.ASCII):
            return f"asked:{targets.count(':')}"
        per_class = self.method in METHODS and METHODS[self.method].per_class
        return ("asked" if targets == "all" else targets) if per_class else None

    @property
    def head(self) -> str | None:
        """The output with the scores, where one is named. Raises InputError where several are."""
        if self.scores and len(self.scores) > 1:
            raise InputError(
                f"outputs {', '.join(map(repr, self.scores))} are named, and one is looked at here: name one of them",
                options=("scores",),
            )
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


PROBES = "Probes (methods that ask a model without a hook again and again)"


@dataclass(frozen=True)
class ProbeOptions:
    """The settings of probes, which ask a model without a hook again and again."""

    seed: Annotated[int, typer.Option(help="Of what is random.", rich_help_panel=PROBES)] = 0
    masks: Annotated[int, typer.Option(help="rise, d_rise: how many random masks.", rich_help_panel=PROBES)] = 4000
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
    steps: Annotated[int, typer.Option(help="integrated_gradients: how many steps.", rich_help_panel=PROBES)] = 50
    copies: Annotated[int, typer.Option(help="smooth_grad: how many noisy copies.", rich_help_panel=PROBES)] = 25

    def settings(self, progress: Callable[[int, int], None] | None = None) -> Settings:
        """The settings; `progress` hears how far a probe is. Raises InputError."""
        from openvino_xai.probes import Settings

        return Settings(**asdict(self)) if progress is None else Settings(**asdict(self), progress=progress)


@dataclass(frozen=True)
class NetworkOptions(PreprocessingOptions):
    """How a model runs, and what it expects of an image."""

    labels: Annotated[Path | None, typer.Option(help="A text file with one label a line.")] = None
    min_score: Annotated[float | None, typer.Option(help=_MIN_SCORE)] = None
    device: Annotated[str, typer.Option(help="The device to run on.")] = "CPU"
    precision: Annotated[str, typer.Option(help="f32, f16, bf16, or default for what the device prefers.")] = "f32"

    def __post_init__(self) -> None:
        """Raise InputError for a least score that is none."""
        if self.min_score is not None and not 0 <= self.min_score <= 1:  # NaN is neither
            raise InputError(f"{self.min_score} is no score of a box; 0 to 1 is expected", options=("min_score",))

    def load(
        self,
        model: Model,
        options: LayerOptions,
        settings: Settings,
        *,
        targets: str | None = "all",
        similarity: str | None = None,
        verify: bool = True,
        tell: bool = True,
    ) -> Network:
        """The model, ready to explain `targets`; one without a hook gets one, or is probed, as `options` say.

        The `similarity` is for targets `vector`, None for that of the hook, or the cosine. What is doubtful about what a file
        is fed is told, unless `tell` is False.

        Raises an OvxaiError.
        """
        from openvino_xai.runtime.tasks.heads import Heads

        _ = options.head  # one, or none
        network = self.load_heads(model, options, settings, targets=targets, similarity=similarity, verify=verify, tell=tell)
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
    ) -> Network | Heads:
        """As `load`; or all heads where several are named, or where the hook explains several and none is named."""
        from openvino_xai.contract import RECORD
        from openvino_xai.dialects.open import open_model
        from openvino_xai.probes import PROBE_NAMES
        from openvino_xai.runtime.inputs.doubts import doubts_of
        from openvino_xai.runtime.loading import load, load_heads
        from openvino_xai.runtime.probed import probe
        from openvino_xai.surgery.task import tells_pixels

        if isinstance(model, str) and (self.preprocess == AUTO or self.examples is not None):
            return self.resolved(model, options).load_heads(
                model, options, settings, targets=targets, similarity=similarity, verify=verify, tell=tell
            )
        deployed = open_model(model)
        record, named = deployed.info(RECORD), options.scores or []
        if record and options.of_hook != LayerOptions():
            raise InputError(f"{model} carries a hook already; --layer and what else makes a hook is for a model without one")
        network: Network | Heads
        if options.method in PROBE_NAMES:
            network = probe(
                model,
                options.method,
                **{name: getattr(options, name) for name in ("layer", "image_input", "prefix_tokens", "token_grid", "boxes")},
                scores=options.head,
                settings=replace(settings, channels=options.channels),
                device=self.device,
                precision=self.precision,
            )
        else:
            hooked: Model | Hooked = model
            if not record:
                of_pixels = len(named) < 2 and tells_pixels(deployed, options.where())
                hook_targets = targets if of_pixels else options.hook_targets(targets)
                hooked = options.insert(model, verify=verify, targets=hook_targets, similarity=similarity)
            if len(named) > 1 or (not named and "heads" in record):
                network = load_heads(hooked, device=self.device, precision=self.precision).chosen(named)
            else:
                head = options.head if record else None
                network = load(hooked, device=self.device, precision=self.precision, scores=head)
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
        self, model: str, options: LayerOptions, settings: Settings, folder: Path, *, targets: str | None = "all"
    ) -> Callable[[], Network]:
        """A function that loads the model in any process. A model without a hook gets one now, once, in a file in `folder`."""
        from openvino_xai.contract import RECORD
        from openvino_xai.dialects.digest import model_digest
        from openvino_xai.dialects.open import open_model
        from openvino_xai.probes import PROBE_NAMES
        from openvino_xai.runtime.inputs.doubts import doubts_of
        from openvino_xai.runtime.sources import digest_of
        from openvino_xai.version import __version__

        deployed, head = open_model(model), options.head
        if "heads" in deployed.info(RECORD) and head is None:
            raise InputError(
                f"the hook of {model} explains several heads, and one is looked at here: name it", options=("scores",)
            )
        tell_doubts(doubts_of(fed_by(self, deployed, options.image_input)), model=Path(model).name)
        if options.method in PROBE_NAMES or deployed.info(RECORD):
            return partial(self.load, model, options, settings, tell=False)
        made_from = digest_of([__version__, model_digest(model), texts(asdict(options)), targets])[:16]
        path = folder / f"model_xai-{made_from}{deployed.suffix}"
        if not exists(path):
            options.insert(model, targets=options.hook_targets(targets)).save(path)
        return partial(self.load, str(path), LayerOptions(scores=options.scores), settings, tell=False)


def read_labels(path: Path) -> list[str]:
    """One label a line. Raises InputError."""
    from openvino_xai.runtime.inputs.labels_file import read_labels as read

    return read(path)


def find_photos(inputs: list[str], *outputs: Path | None) -> list[Path]:
    """The images that paths, folders and patterns mean, each once, in order. Raises InputError where there are none.

    Where a folder or a pattern is searched, what runs wrote, and what lies in `outputs`, is left out.
    """
    from openvino_xai.runtime.folders.search import Search

    search = Search(outputs)
    photos: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        if is_folder(path):
            photos.update(dict.fromkeys(search.inside(path)))
        elif glob.has_magic(entry) and not os.path.lexists(path):
            photos.update(dict.fromkeys(search.matching(entry)))
        else:
            photos[path] = None
    if search.left_out:
        warn(search.note)
    if not photos:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return list(photos)


def texts(values: dict[str, Any]) -> dict[str, Any]:
    """The options with their paths as text, as JSON holds them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: every field of a group of options is an option of the command, in the group's place."""
    hints = get_type_hints(command, include_extras=True)
    arguments = inspect.signature(command).parameters
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in arguments.items():
        if name in groups:
            inner = get_type_hints(groups[name], include_extras=True)
            options = [(field.name, field.default, inner[field.name]) for field in fields(groups[name])]
        else:
            options = [(name, parameter.default, hints[name])]
        parameters += [inspect.Parameter(n, parameter.KEYWORD_ONLY, default=d, annotation=a) for n, d, a in options]

    @wraps(command)
    def call(**values: Any) -> None:
        instances = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        command(**instances, **values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(text: str) -> int:
    """Bytes from `2GiB`. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\w*)", text)
    if match is None or match[2] not in UNITS:
        units = ", ".join(filter(None, UNITS))
        raise InputError(f"'{text}' is no amount of memory: a number and one of {units} is expected")
    return int(float(match[1]) * UNITS[match[2]])
