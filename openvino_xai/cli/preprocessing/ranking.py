"""`--preprocess auto`: presets, orders of channels and resizes, ranked by labelled photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from openvino_xai.cli.options.preprocessing import AUTO, PreprocessingOptions
from openvino_xai.cli.text import progress, warn
from openvino_xai.errors import InputError, ModelError
from openvino_xai.evaluate.ranking import ITSELF
from openvino_xai.runtime.inputs.presets import PRESET, preset_of

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.evaluate.ranking import Candidate, Ranking
    from openvino_xai.locate.located import Where
    from openvino_xai.runtime.network import Network

Options = TypeVar("Options", bound=PreprocessingOptions)
SHOWN, NAMED = 8, 3  # rows of a table, and candidates that an error names


def ranking_of(
    model: Model,
    where: Where,
    examples: str | None,
    values: Mapping[str, object],
    labels: Sequence[str] | None,
    *,
    device: str = "CPU",
    precision: str = "f32",
) -> Ranking:
    """The ranking of what a classifier may be fed, by examples as `evaluate` reads them. Raises an OvxaiError."""
    from openvino_xai.evaluate.classes.run import some_of
    from openvino_xai.evaluate.examples import find_examples
    from openvino_xai.evaluate.ranking import MOST, rank

    if examples is None:
        raise InputError(
            f"the preset {AUTO} is found by photos of which the class is known: say where they are", options=("examples",)
        )
    layout = values.get("layout")
    network = plain_network(model, where, device, precision, layout=None if layout is None else str(layout))
    network.configure(labels=labels)
    photos = find_examples([examples], network.labels, network.classes)
    if len(photos) > MOST:
        warn(f"{MOST} of {len(photos)} examples are looked at, picked at random")
    with progress("ranking") as show:
        return rank(
            network, some_of(photos, MOST, 0), values, progress=lambda done, total: show("ranking presets", done, total)
        )


def plain_network(
    model: Model, where: Where, device: str = "CPU", precision: str = "f32", *, layout: str | None = None
) -> Network:
    """A classifier without its hook, ready to predict. Raises InputError for what explains no classes of images."""
    from openvino_xai.locate.located import Where
    from openvino_xai.locate.tasks.opening import opened
    from openvino_xai.record.reading import record_with, records_of
    from openvino_xai.record.removal import unhooked
    from openvino_xai.runtime.described import Described
    from openvino_xai.runtime.network import Network

    deployed = opened(model, layout, where.image)
    if records := records_of(deployed.graph, deployed.info):
        record = record_with(records, where.scores)
        if "task" in record:
            raise InputError(
                f"{AUTO} ranks by the classes of images, and the model's hook explains {record['task']}: say a preset"
            )
        deployed, where = unhooked(deployed), Where.parse(scores=record["scores"], image_input=record["image"])
    try:
        description = Described.of(deployed.graph, deployed.info, where=where)
    except ModelError as error:
        raise InputError(
            f"{AUTO} ranks by the classes of images: say a preset. {error}", options=("preprocess", *error.options)
        ) from error
    return Network(deployed.compile(device, precision), description, device)


def table(ranking: Ranking) -> list[str]:
    """The best candidates as lines of text; `=` marks those that are level with the best."""
    cells = [("", "preset", "order", "resize", "right", "the same pixels")]
    for candidate in ranking.candidates[: max(SHOWN, min(len(ranking.level), 2 * SHOWN))]:
        level = "=" if candidate in ranking.level and ranking.winner is None else ""
        right = f"{candidate.right} of {ranking.images}"
        alike = "; ".join(map(_typed, candidate.alike))
        cells.append((level, candidate.name, candidate.order, candidate.preprocessing.resize_type, right, alike))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    left = len(ranking.candidates) - len(cells) + 1
    return [*lines, *([f"and {left} more that name {ranking.candidates[len(cells) - 1].right} or fewer"] if left else [])]


def resolved(
    options: Options,
    model: Model,
    where: Callable[[], Where],
    labels: Sequence[str] | None,
    *,
    device: str = "CPU",
    precision: str = "f32",
) -> Options:
    """The options, with what examples find in place of `auto`; the table and what was chosen are told.

    `where` is asked only then: examples are ranked by the scores of one head.

    Raises InputError where no candidate clearly wins, or where examples are given and nobody asks for their answer.
    """
    if options.preprocess != AUTO:
        if options.examples is not None:
            raise InputError(f"examples find out what to feed where the preset is {AUTO}", options=("preprocess",))
        return options
    values = options.values()
    del values[PRESET]
    ranking = ranking_of(model, where(), options.examples, values, labels, device=device, precision=precision)
    for line in table(ranking):
        warn(line)
    if ranking.winner is None:
        raise InputError(undecided(ranking), options=("preprocess",))
    warn(chosen(ranking, ranking.winner))
    changes: dict[str, Any] = {"preprocess" if name == PRESET else name: value for name, value in ranking.winner.values.items()}
    if ranking.winner.name == ITSELF:
        changes["preprocess"] = None
    return replace(options, examples=None, **{**changes, **values})


def chosen(ranking: Ranking, best: Candidate) -> str:
    """What is taken, and what comes next."""
    following = ranking.candidates[1:2]
    behind = f"; the next, {flags(following[0])}, {following[0].right}" if following else ""
    return f"chosen: {flags(best)}, which names {best.right} of {ranking.images} examples rightly{behind}"


def undecided(ranking: Ranking) -> str:
    """Why a person has to choose, and among what."""
    several = [flags(candidate) for candidate in ranking.level[:NAMED]]
    rest = f" or {len(ranking.level) - NAMED} more" if len(ranking.level) > NAMED else ""
    if not ranking.level[0].right:
        return f"no preset names one of the {ranking.images} examples rightly: are their classes those of the model?"
    return (
        f"{ranking.images} examples do not tell which is right: {' or '.join(several)}{rest} are level. Choose one, say the "
        "part that you know, or give more examples"
    )


def flags(candidate: Candidate) -> str:
    """A candidate as somebody would type it."""
    return _typed(candidate.values)


def _typed(values: Mapping[str, str]) -> str:
    """The preset, and what differs from its own order of channels and resize."""
    if values[PRESET] == ITSELF:
        return "what the model's model_info says"
    preset = preset_of(values[PRESET])
    usual = {"reverse_input_channels": "yes" if preset.order == "RGB" else "no", "resize_type": preset.resize_type}
    others = [f"--{name} {text}" for name, text in values.items() if name != PRESET and usual[name] != text]
    return " ".join([f"--preprocess {values[PRESET]}", *others])
