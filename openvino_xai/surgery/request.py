"""What is asked of a hook, checked as far as that goes without a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from openvino_xai.dialects.protocol import Runtime
from openvino_xai.errors import InputError
from openvino_xai.hooks import KERNELS, METHODS, SCALES

Score: TypeAlias = Literal["softmax", "sigmoid", "logit"]
Scale: TypeAlias = Literal["unit", "u8", "none"]
Kind: TypeAlias = Literal["lazy", "direct"]
Gate: TypeAlias = Literal["off", "any", "one"]  # how many images a hook is run for: all, any number, or one at least

Asked: TypeAlias = "str | int | Sequence[int] | Targets"

SCORES = get_args(Score)
PLANS = get_args(Kind)
CHOOSY = "abs_cam"  # the method that can be told how many channels it asks about


@dataclass(frozen=True)
class Targets:
    """The classes that are explained: the `top` most probable of each image, those with `ids`, one `asked` for, or all."""

    top: int | None = None
    ids: tuple[int, ...] | None = None
    asked: bool = False

    @classmethod
    def parse(cls, asked: Asked) -> Targets:
        """Targets from `all`, `top:K`, `asked`, `ID,ID,...`, or the ids themselves. Raises InputError."""
        if isinstance(asked, Targets):
            return asked
        if isinstance(asked, int):
            asked = [asked]
        if isinstance(asked, str):
            if asked in ("all", "asked"):
                return cls(asked=asked == "asked")
            if match := re.fullmatch(r"top:([1-9]\d*)", asked):
                return cls(top=int(match[1]))
            if not re.fullmatch(r"\d+(,\d+)*", asked):
                raise InputError(f"targets '{asked}' are not understood: all, top:K, asked or ID,ID,... is expected")
            asked = [int(item) for item in asked.split(",")]
        ids = tuple(asked)
        if len(set(ids)) != len(ids) or not ids:
            raise InputError(f"targets {list(ids)} name a class twice or none at all")
        return cls(ids=ids)

    def __str__(self) -> str:
        if self.top is not None:
            return f"top:{self.top}"
        if self.asked:
            return "asked"
        return "all" if self.ids is None else ",".join(map(str, self.ids))

    def checked(self, classes: int) -> Targets:
        """These targets, or an InputError where a class is not among `classes`."""
        unknown = [index for index in self.ids or () if not 0 <= index < classes]
        if unknown:
            raise InputError(f"class {unknown[0]} is not there: the model has {classes} classes, 0 to {classes - 1}")
        if self.top is not None and self.top > classes:
            raise InputError(f"top:{self.top} asks for more classes than the {classes} that the model has")
        return self


@dataclass(frozen=True)
class Request:
    """A method, the score it reads, the classes it explains, the scale of its maps, and how it is planned.

    A method of None is the one that suits the layer, and a score of None the one that suits the method. `grid` is the rows and
    columns of masks, None for one mask a cell; `kernel` says how a mask of tokens weighs the neighbours of a cell. A hook that
    is `apart` reads the model at its layer alone, computes again what it needs of the rest, and joins nothing of its own to
    what the model computes. `image` is the input with it. What a method asks the model beside its layer is asked in `chunks`,
    one after the other; of channels, about the `channels` of the largest weights. The hook is verified in `runtimes`; none
    stands for the dialect's own.
    """

    method: str | None = None
    score: Score | None = None
    targets: Targets = Targets()
    scale: Scale = "unit"
    plan: Kind = "lazy"
    grid: tuple[int, int] | None = None
    kernel: str = "gaussian"
    gate: Gate = "off"
    apart: bool = False
    image: str | None = None
    chunks: int = 1
    channels: int | None = None
    runtimes: tuple[Runtime, ...] = ()

    @property
    def reads(self) -> Score:
        """The score that is read: the one asked for, or the one that suits the method."""
        known = METHODS[self.method or "reciprocam"]
        if known.linear or known.score == "none":
            return "logit"
        return self.score or known.score

    @classmethod
    def parse(
        cls,
        *,
        method: str | None,
        score: str | None,
        targets: Asked | None,
        scale: str,
        plan: str = "lazy",
        grid: str | Sequence[int] | None = None,
        kernel: str = "gaussian",
        gate: bool = False,
        channels: int | None = None,
    ) -> Request:
        """A request from what a caller wrote. Raises InputError."""
        words: list[tuple[str, str | None, Iterable[str]]] = [
            ("method", method, METHODS),
            ("score", score, SCORES),
            ("scale", scale, SCALES),
            ("plan", plan, PLANS),
            ("kernel", kernel, KERNELS),
        ]
        for word, value, known in words:
            if value is not None and value not in known:
                raise InputError(f"{word} '{value}' is not known: one of {', '.join(known)} is expected")
        check_channels(channels, method)
        told = None if grid is None else rows_and_columns("grid", grid)
        few = method is not None and METHODS[method].few
        parsed = Targets.parse(targets if targets is not None else "top:1" if few else "all")
        if gate and parsed.asked:
            raise InputError("a gate says which images are explained, and `asked` which class of all of them: one of both")
        gating: Gate = "any" if gate else "off"
        return cls(
            method,
            cast("Score | None", score),
            parsed,
            cast(Scale, scale),
            cast(Kind, plan),
            told,
            kernel,
            gating,
            channels=channels,
        )


def check_channels(channels: int | None, method: str | None) -> None:
    """Raise InputError where `channels` is no number of channels, or a method asks about none in turn."""
    if channels is None:
        return
    if method != CHOOSY:
        raise InputError(
            f"channels is {channels}, which is for {CHOOSY} alone: "
            + (f"{method} does not choose among channels; leave it out" if method else f"ask for it with method {CHOOSY}")
        )
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise InputError(f"channels is {channels!r}; a whole number, 1 or more, is expected")


def rows_and_columns(word: str, told: str | Sequence[int]) -> tuple[int, int]:
    """(H, W) from `HxW` or two numbers. Raises InputError, with the `word` that is not understood."""
    sizes = told.lower().split("x") if isinstance(told, str) else [str(size) for size in told]
    if len(sizes) != 2 or not all(size.strip().isdigit() and int(size) for size in sizes):
        raise InputError(f"{word} '{told}' is not understood: rows and columns, as 14x14, are expected")
    return int(sizes[0]), int(sizes[1])
