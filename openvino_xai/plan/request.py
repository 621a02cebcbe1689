"""What is asked of a hook, checked as far as that goes without a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from openvino_xai.arguments import is_number, is_whole
from openvino_xai.choices import check_choice, quoted
from openvino_xai.contract import MEASURES, PLANS, SCORES, Measure, PlanKind, Scale, Score
from openvino_xai.errors import InputError
from openvino_xai.graph.sizes import rows_and_columns
from openvino_xai.hooks import KERNELS, METHODS, SCALES
from openvino_xai.tail.target import All, AtRunTime, Contrasts, Likeness, Pick, Targets, parse_pick

CHOOSY = "abs_cam"  # the method that can be told how many channels it asks about
STEPS = 50  # on the way from a baseline, where nobody says how many
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Request:
    """A method, the score it reads, the `pick` of classes that it explains, the scale of its maps, and how it is planned.

    What is None is for the model or the method to tell. `grid` is the rows and columns of masks, None for one mask a cell;
    `kernel` says how a mask of tokens weighs the neighbours of a cell, `gate` whether clients say which images are explained,
    and `channels` of how many a method asks that can ask of some. `feature_vector` asks for the mean of the features, too,
    `confidence` for how steady each cell is, and `portable` for a hook that small runtimes read. `steps` are those on the way
    from a `baseline`, a number for each channel of the image or one for all, where a method takes some.
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
    steps: int = STEPS
    baseline: tuple[float, ...] = (0.0,)
    portable: bool = False
    confidence: bool = False

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
        steps: int | None = None,
        baseline: float | Sequence[float] | str | None = None,
        portable: bool = False,
        confidence: bool = False,
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
        check_way(method, steps, baseline)
        if method is not None and not METHODS[method].takes_layer:
            _refuse_of_layers(method, grid=grid is not None, feature_vector=feature_vector, confidence=confidence)
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
        if isinstance(pick, Contrasts) and method is not None and METHODS[method].score == "none":
            raise InputError(
                f"{method} knows no classes: a contrast of two, {pick}, has nothing to tell apart; take another method",
                options=("method", "targets"),
            )
        if gate and isinstance(pick, (AtRunTime, Likeness)):
            raise InputError(f"a gate says which images are explained, and `{pick}` what of all of them: one of both")
        refuse_unportable(portable=portable, gate=gate, scale=scale)
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
            STEPS if steps is None else int(steps),
            (0.0,) if baseline is None else baseline_of(baseline),
            portable,
            confidence,
        )


def refuse_unportable(*, portable: bool, gate: bool, scale: str) -> None:
    """Raise InputError for what a portable hook cannot have: a gate, which picks images, and bytes, made by a cast."""
    if portable and gate:
        raise InputError(
            "a gate picks images by operations that a portable hook does without: leave one of both out",
            options=("gate", "portable"),
        )
    if portable and scale == "u8":
        raise InputError(
            "scale u8 is made by a cast, which a portable hook does without: maps are f32 there, by scale unit",
            options=("scale", "portable"),
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


def _refuse_of_layers(method: str, **options: bool) -> None:
    """Raise InputError for what is said of the layer of a hook, where the method says itself where it looks."""
    for name, is_there in options.items():
        if is_there:
            word = name.replace("_", "-")
            looks = "looks at all attention blocks" if METHODS[method].attention else "explains each element of the image"
            raise InputError(f"{method} {looks}: a {word} is for layers; leave it out", options=(name,))


def check_way(method: str | None, steps: int | None, baseline: object) -> None:
    """Raise InputError for a way from a baseline that no method takes, or none that can be taken."""
    # what is no method is refused by who knows them all
    traits = METHODS[method].of_elements if method is not None and method in METHODS else None
    for name, value in (("steps", steps), ("baseline", baseline)):
        if value is not None and (traits is None or not traits.steps):
            takers = " and ".join(other for other, item in METHODS.items() if item.of_elements and item.of_elements.steps)
            raise InputError(
                f"{name} is {quoted(value)}, which is for {takers} alone: "
                + (f"{method} takes no way from a baseline; leave it out" if method else f"ask for it with method {takers}"),
                options=(name, "method"),
            )
    if steps is not None and (not is_whole(steps) or not 1 <= steps <= MOST_STEPS):
        raise InputError(f"steps is {quoted(steps)}; a whole number from 1 to {MOST_STEPS} is expected", options=("steps",))
    if baseline is not None:
        baseline_of(baseline)


def baseline_of(baseline: object) -> tuple[float, ...]:
    """The numbers of a baseline: one, or a list of them, as text with commas between. Raises InputError."""
    items: Any = baseline.split(",") if isinstance(baseline, str) else baseline
    numbers = items if isinstance(items, (list, tuple)) else [items]
    try:
        values = tuple(float(item) if isinstance(item, str) or is_number(item) else float("nan") for item in numbers)
    except ValueError:
        values = ()
    if not values or not all(map(is_number, values)):
        raise InputError(
            f"the baseline is {quoted(baseline)}: a number that each pixel holds, or one for each channel, is expected",
            options=("baseline",),
        )
    return values


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
