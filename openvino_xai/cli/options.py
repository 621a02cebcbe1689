"""Options that several commands share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_type_hints

import typer

from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.graph.files import Model
    from openvino_xai.surgery.insert import Hooked

_LAYER = "Node or tensor name; by default the last layer that has cells and separates input from scores."
_METHOD = "reciprocam (cells of a feature map) or vit_reciprocam (tokens of an attention block); by default what suits."
_SCORE = "How a class score is read: softmax, sigmoid or logit; one that ends the model is used as it is."
_SCALE = "The maps' values: unit (f32 in [0, 1]), u8 (0..255) or none (raw scores)."
_PLAN = "lazy: as cheap as the algebra allows; direct: the definition as it is written. They give the same maps."
_TARGETS = "The classes to explain: all, top:K of each image, or ID,ID,..."
_MEMORY = "The largest value a hook may make for one image, as 500MB or 2GiB."

ModelPath: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="The model: OpenVINO IR (.xml), ONNX (.onnx), or what OpenVINO reads (.tflite, .pdmodel, .pb)."
    ),
]
LayerName: TypeAlias = Annotated["str | None", typer.Option("--layer", "-l", help=_LAYER)]
Method: TypeAlias = Annotated["str | None", typer.Option(help=_METHOD)]
Score: TypeAlias = Annotated[str, typer.Option(help=_SCORE)]
ScoresName: TypeAlias = Annotated[
    "str | None", typer.Option("--scores", help="The output with the scores, if several could be.")
]
ImageInput: TypeAlias = Annotated["str | None", typer.Option(help="The input with the image, if several could be.")]
TargetClasses: TypeAlias = Annotated[str, typer.Option("--targets", help=_TARGETS)]
Scale: TypeAlias = Annotated[str, typer.Option(help=_SCALE)]
Plan: TypeAlias = Annotated[str, typer.Option(help=_PLAN)]
Grid: TypeAlias = Annotated["str | None", typer.Option(help="Masks that keep a block of cells: rows x columns, as 14x14.")]
Kernel: TypeAlias = Annotated[str, typer.Option(help="How a mask of tokens weighs neighbours: gaussian (3x3) or cell.")]
PrefixTokens: TypeAlias = Annotated["int | None", typer.Option(help="Tokens ahead of the patches, if the model does not tell.")]
TokenGrid: TypeAlias = Annotated["str | None", typer.Option(help="Rows x columns of patches, if the model does not tell.")]
MaxMemory: TypeAlias = Annotated[str, typer.Option(help=_MEMORY)]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class LayerOptions:
    """Where a hook goes, and how it is made."""

    layer: LayerName = None
    method: Method = None
    score: Score = "softmax"
    scores: ScoresName = None
    image_input: ImageInput = None
    plan: Plan = "lazy"
    grid: Grid = None
    kernel: Kernel = "gaussian"
    prefix_tokens: PrefixTokens = None
    token_grid: TokenGrid = None
    max_memory: MaxMemory = "2GiB"

    def insert(self, model: Model, **changed: Any) -> Hooked:
        """The model with a hook; `changed` are more arguments of `insert`, or others than these."""
        from openvino_xai.surgery.insert import insert

        return insert(model, **{**asdict(self), "max_memory": parse_bytes(self.max_memory), **changed})


@dataclass(frozen=True)
class HookOptions(LayerOptions):
    """And what it returns."""

    targets: TargetClasses = "all"
    scale: Scale = "unit"


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with the fields of what it calls `options` as options of its own; they come after its first argument."""
    hints = get_type_hints(command, include_extras=True)
    kind = hints.pop("options")
    inner = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    given = [inspect.Parameter(f.name, keyword, default=f.default, annotation=inner[f.name]) for f in fields(kind)]
    own = [
        p.replace(annotation=hints[p.name], kind=keyword)
        for p in inspect.signature(command).parameters.values()
        if p.name in hints
    ]

    @wraps(command)
    def call(**told: Any) -> None:
        command(options=kind(**{field.name: told.pop(field.name) for field in fields(kind)}), **told)

    parameters = [*own[:1], *given, *own[1:]]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(told: str) -> int:
    """Bytes from `2GiB`. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\w*)", told)
    if match is None or match[2] not in UNITS:
        units = ", ".join(filter(None, UNITS))
        raise InputError(f"'{told}' is no amount of memory: a number and one of {units} is expected")
    return int(float(match[1]) * UNITS[match[2]])
