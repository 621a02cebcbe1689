"""`ovxai compare`: do two networks look at the same things?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.choices import quoted
from openvino_xai.cli.options import Inputs, Json, LayerOptions, NetworkOptions, ProbeOptions, find_photos, takes_options
from openvino_xai.cli.options.flags import check_model
from openvino_xai.cli.options.preprocessing import tell_counted
from openvino_xai.cli.options.words import Word
from openvino_xai.cli.text import message, progress, say, say_table, spelled, warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    import numpy as np

    from openvino_xai.evaluate.compare import Compared
    from openvino_xai.evaluate.similarity import Similarity
    from openvino_xai.runtime.network import Network
    from openvino_xai.tail.target import Pair


@takes_options
def compare(
    model: Annotated[
        list[str],
        typer.Option("--model", "-m", help="Two models, each with its own --model: the first is the reference."),
        Word("MODEL", 2, check_model),
    ],
    inputs: Inputs,
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A picture (.png) of the images that differ most.")
    ] = None,
    worst: Annotated[int, typer.Option(help="How many of them.", min=1)] = 6,
    target: Annotated[
        str | None,
        typer.Option(help="A-B contrasts two classes, by ids or labels; by default the class that the first predicts."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two networks, as the float and the INT8 one: their maps for the class that the first predicts.

    Per image and overall: Pearson's and Spearman's correlation, structural similarity, whether the top cells meet, and whether
    both predict the same class. The images that differ most are listed, and drawn side by side into --output. Images that
    cannot be read are reported and skipped; the exit status is 1 then.

    Of two detectors, the maps of boxes are compared that both see: of one class, with an IoU above 0.5.
    """
    from openvino_xai.cli.evaluation.boxes import DEFAULT_TARGETS
    from openvino_xai.evaluate.similarity import MEASURES
    from openvino_xai.files.writing import check_output
    from openvino_xai.render.photo import write_picture
    from openvino_xai.render.sheet import sheet

    if len(model) != 2:
        raise InputError(f"{len(model)} models are given; two are compared: --model a.xml --model b.onnx")
    if output is not None and output.suffix != ".png":
        raise InputError(f"{output} does not end in .png, which the picture is written as")
    if output is not None:
        check_output(output)
    photos = find_photos(inputs, output)
    targets = DEFAULT_TARGETS if options.boxes is not None or options.cut is not None else target or "all"
    with spelled("targets", "target"):
        first, second = (running.load(path, options, probing.settings(), targets=targets) for path in model)
        compared, summary = _ways(first, second, target)
    failed: list[ImageError] = []
    rows: list[Any] = []
    with progress("comparing", shown=len(photos) > 1) as show:
        for row in compared(first, second, photos, failed.append):
            rows.append(row)
            show("comparing", len(rows) + len(failed), len(photos))
    for error in failed:
        warn(f"skipped: {message(error)}")
    if not rows:
        raise InputError("none of the images can be read")
    comparison = summary(rows, model, worst)
    if output is not None and (pictures := comparison.pictures()):
        write_picture(output, sheet(pictures))
    elif output is not None:
        warn(f"{output} is not written: there is nothing that both networks see")
    if as_json:
        say(to_json(comparison.result))
    else:
        columns = ["", *(name.replace("_", " ") for name in MEASURES), comparison.last]
        say_table(columns, comparison.cells, texts=("",), title=comparison.title)
    if failed:
        raise typer.Exit(1)


def _ways(
    first: Network, second: Network, target: str | None
) -> tuple[Callable[..., Iterable[Any]], Callable[..., Comparison]]:
    """How photos are compared, and how that is summed up. Raises InputError for a detector and a classifier."""
    from openvino_xai.cli.boxes.compare import of_boxes
    from openvino_xai.evaluate.boxes.compare import compare_boxes
    from openvino_xai.evaluate.compare import compare as compare_classes
    from openvino_xai.runtime.detectors.detector import Detector

    are_of_boxes = [isinstance(network, Detector) for network in (first, second)]
    if are_of_boxes[0] != are_of_boxes[1]:
        raise InputError("one model explains boxes, and the other classes of images: two of a kind can be compared")
    if are_of_boxes[0] and target is not None:
        raise InputError("--target is of classes of images, and the models explain boxes: leave it out")
    return (
        (compare_boxes, of_boxes)
        if are_of_boxes[0]
        else (partial(compare_classes, contrast=_contrast(first, target)), _of_classes)
    )


def _contrast(first: Network, target: str | None) -> Pair | None:
    """The contrast of a network that is compared, None for the class that is predicted. Raises InputError."""
    from openvino_xai.evaluate.contrasts import named_contrast

    contrast = named_contrast(target, first)
    if contrast is None and target is not None:
        raise InputError(
            f"target is {quoted(target)}: a contrast A-B of two classes, by ids or labels, is expected", options=("target",)
        )
    return contrast


@dataclass(frozen=True)
class Comparison:
    """What two networks have in common: as JSON, as a table with the name of its `last` column, and in pictures."""

    result: dict[str, Any]
    last: str
    cells: list[list[str]]
    title: str
    pictures: Callable[[], list[list[tuple[np.ndarray, str]]]]


def _of_classes(rows: list[Compared], models: list[str], worst: int) -> Comparison:
    """Photos, those first that differ most."""
    from openvino_xai.evaluate.compare import overall

    rows = sorted(rows, key=lambda row: row.similarity.pearson)
    for model, side in zip(models, ("first", "second"), strict=True):
        best = [getattr(row, side).predictions[0] for row in rows]
        tell_counted([(prediction.label, prediction.probability) for prediction in best], model)
    means = overall(rows)
    cells = [
        ["mean", *means_in_cells(means), f"{means['prediction']:.3f}"],
        *([str(row.first.path), *in_cells(row.similarity), "yes" if row.same_class else "no"] for row in rows[:worst]),
    ]
    return Comparison(
        {"models": models, "images": len(rows), "mean": means, "rows": [_record(row) for row in rows]},
        "same class",
        cells,
        f"{models[0]} and {models[1]}, {len(rows)} images",
        lambda: [_pictures(row) for row in rows[:worst]],
    )


def means_in_cells(means: dict[str, float]) -> list[str]:
    """Means of similarities as a table shows them."""
    from openvino_xai.evaluate.similarity import MEASURES

    return [f"{means[name]:.3f}" for name in MEASURES]


def in_cells(similarity: Similarity) -> list[str]:
    """A similarity as a table shows it."""
    return ["yes" if value is True else "no" if value is False else f"{value:.3f}" for value in asdict(similarity).values()]


def _record(row: Compared) -> dict[str, Any]:
    predicted = [explanation.predictions[0].to_dict() for explanation in (row.first, row.second)]
    return {"image": str(row.first.path), **asdict(row.similarity), "same_class": row.same_class, "predictions": predicted}


def _pictures(row: Compared) -> list[tuple[np.ndarray, str]]:
    from openvino_xai.explanation.prediction import Contrast

    pictures = [(row.first.image, f"r = {row.similarity.pearson:.2f}")]
    for explanation in (row.first, row.second):
        best, target = explanation.predictions[0], explanation.targets[0]
        caption = target.caption if isinstance(target, Contrast) else f"{best.label} {best.probability:.0%}"
        pictures.append((explanation.overlay(), caption))
    return pictures
