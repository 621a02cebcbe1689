"""Options that several commands share."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import typer

from openvino_xai.errors import InputError

_LAYER = "Node or tensor name; by default the last layer that has cells and separates input from scores."
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
Method: TypeAlias = Annotated[str, typer.Option(help="The saliency method: reciprocam.")]
Score: TypeAlias = Annotated[str, typer.Option(help=_SCORE)]
ScoresName: TypeAlias = Annotated[
    "str | None", typer.Option("--scores", help="The output with the scores, if several could be.")
]
ImageInput: TypeAlias = Annotated["str | None", typer.Option(help="The input with the image, if several could be.")]
TargetClasses: TypeAlias = Annotated[str, typer.Option("--targets", help=_TARGETS)]
Scale: TypeAlias = Annotated[str, typer.Option(help=_SCALE)]
Plan: TypeAlias = Annotated[str, typer.Option(help=_PLAN)]
Grid: TypeAlias = Annotated["str | None", typer.Option(help="Masks that keep a block of cells: rows x columns, as 14x14.")]
MaxMemory: TypeAlias = Annotated[str, typer.Option(help=_MEMORY)]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(told: str) -> int:
    """Bytes from `2GiB`. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\w*)", told)
    if match is None or match[2] not in UNITS:
        units = ", ".join(filter(None, UNITS))
        raise InputError(f"'{told}' is no amount of memory: a number and one of {units} is expected")
    return int(float(match[1]) * UNITS[match[2]])
