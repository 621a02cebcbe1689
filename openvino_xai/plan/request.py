"""What is asked of a hook, checked as far as that goes without a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from openvino_xai.choices import check_choice
from openvino_xai.contract import MEASURES, PLANS, SCORES, Measure, PlanKind, Scale, Score
from openvino_xai.errors import InputError
from openvino_xai.graph.sizes import rows_and_columns
from openvino_xai.hooks import KERNELS, METHODS, SCALES
from openvino_xai.tail.target import All, AtRunTime, Likeness, Pick, Targets, parse_pick

CHOOSY = "abs_cam"  # the method that can be told how many channels it asks about


@dataclass(frozen=True)
class Request:
    """A method, the score it reads, the `pick` of classes that it explains, the scale of its maps, and how it is planned.

    What is None is for the model or the method to tell. `grid` is the rows and columns of masks, None for one mask a cell;
    `kernel` says how a mask of tokens weighs the neighbours of a cell, `gate` whether clients say which images are explained,
    and `channels` of how many a method asks that can ask of some. `feature_vector` asks for the mean of the features, too.
    """

    method: str | None = None
    score: Score | None = None
    pick: Pick = field(default_factory=All)
    scale: Scale = "unit"
    plan: PlanKind = "lazy"
    grid: tuple[int, int] | None = None
    kernel: str = "gaussian"
    gate: bool = False
    channels: int | None = None
    feature_vector: bool = False

    @classmethod
    def parse(
        cls,
        *,
        method: str | None,
        score: str | None,
        targets: Targets | None,
        scale: str,
        plan: str = "lazy",
        grid: str | Sequence[int] | None = None,
        kernel: str = "gaussian",
        gate: bool = False,
        channels: int | None = None,
        similarity: str | None = None,
        feature_vector: bool = False,
    ) -> Request:
        """A request from what a caller wrote. Raises InputError."""
        words: list[tuple[str, str | None, Collection[str]]] = [
            ("method", method, METHODS),
            ("score", score, SCORES),
            ("scale", scale, SCALES),
            ("plan", plan, PLANS),
            ("kernel", kernel, KERNELS),
            ("similarity", similarity, MEASURES),
        ]
        for word, value, expected in words:
            if value is not None:
                check_choice(word, value, expected, options=(word,))
        check_channels(channels, method)
        size = None if grid is None else rows_and_columns("grid", grid)
        per_class = method is not None and METHODS[method].per_class
        pick = parse_pick(targets if targets is not None else "top:1" if per_class else "all")
        if isinstance(pick, Likeness):
            pick = _likeness(score, method, similarity)
        elif similarity is not None:
            raise InputError(
                f"similarity is '{similarity}', which is for vectors alone: leave it out, or ask for targets vector",
                options=("similarity", "targets"),
            )
        if gate and isinstance(pick, (AtRunTime, Likeness)):
            raise InputError(f"a gate says which images are explained, and `{pick}` what of all of them: one of both")
        return cls(
            method,
            cast("Score | None", score),
            pick,
            cast(Scale, scale),
            cast(PlanKind, plan),
            size,
            kernel,
            gate,
            channels,
            feature_vector,
        )


def _likeness(score: str | None, method: str | None, similarity: str | None) -> Likeness:
    """A pick of vectors. Raises InputError for a score that vectors have not, or a method that takes another similarity."""
    if score is not None:
        raise InputError(f"score '{score}' is for classes: a vector has a similarity in its place", options=("similarity",))
    measure = similarity or "cosine"
    if measure == "cosine" and method is not None and METHODS[method].linear:
        raise InputError(
            f"{method} is for what is linear in the features, as dot is and a cosine is not", options=("similarity",)
        )
    return Likeness(cast(Measure, measure))


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
