"""`ovxai compare`: do two networks look at the same things?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.options import Inputs, Json, LayerOptions, NetworkOptions, ProbeOptions, find_photos, takes_options
from openvino_xai.cli.text import message, progress, say, say_table, warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.evaluate.compare import Compared


@takes_options
def compare(
    model: Annotated[
        list[str], typer.Option("--model", "-m", help="Two models, each with its own --model: the first is the reference.")
    ],
    inputs: Inputs,
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A picture (.png) of the images that differ most.")
    ] = None,
    worst: Annotated[int, typer.Option(help="How many of them.", min=1)] = 6,
    as_json: Json = False,
) -> None:
    """Compare two networks, as the float and the INT8 one: their maps for the class that the first predicts.

    Per image and overall: Pearson's and Spearman's correlation, structural similarity, whether the top cells meet, and whether
    both predict the same class. The images that differ most are listed, and drawn side by side into --output. Images that
    cannot be read are reported and skipped; the exit status is 1 then.
    """
    from openvino_xai.evaluate.compare import compare as compared
    from openvino_xai.evaluate.compare import overall
    from openvino_xai.files.writing import check_output

    if len(model) != 2:
        raise InputError(f"{len(model)} models are given; two are compared: --model a.xml --model b.onnx")
    if output is not None and output.suffix != ".png":
        raise InputError(f"{output} does not end in .png, which the picture is written as")
    if output is not None:
        check_output(output)
    photos = find_photos(inputs, output)
    first, second = (running.load(path, options, probing.settings()) for path in model)
    failed: list[ImageError] = []
    rows: list[Compared] = []
    with progress("comparing", shown=len(photos) > 1) as show:
        for row in compared(first, second, photos, failed.append):
            rows.append(row)
            show("comparing", len(rows) + len(failed), len(photos))
    for error in failed:
        warn(f"skipped: {message(error)}")
    if not rows:
        raise InputError("none of the images can be read")
    rows.sort(key=lambda row: row.similarity.pearson)
    if output is not None:
        _draw(rows[:worst], output)
    if as_json:
        say(to_json({"models": model, "images": len(rows), "mean": overall(rows), "rows": [_record(row) for row in rows]}))
    else:
        _print(rows, overall(rows), worst, model)
    if failed:
        raise typer.Exit(1)


def _record(row: Compared) -> dict[str, Any]:
    predicted = [explanation.predictions[0].to_dict() for explanation in (row.first, row.second)]
    return {"image": str(row.first.path), **asdict(row.similarity), "same_class": row.same_class, "predictions": predicted}


def _print(rows: list[Compared], means: dict[str, float], worst: int, models: list[str]) -> None:
    from openvino_xai.evaluate.similarity import MEASURES

    columns = ["", *(name.replace("_", " ") for name in MEASURES), "same class"]
    cells = [("mean", *(f"{means[name]:.3f}" for name in MEASURES), f"{means['prediction']:.3f}")]
    for row in rows[:worst]:
        similarity = row.similarity
        meets, same = ("yes" if is_so else "no" for is_so in (similarity.top_cell, row.same_class))
        cells.append(
            (
                str(row.first.path),
                f"{similarity.pearson:.3f}",
                f"{similarity.spearman:.3f}",
                f"{similarity.ssim:.3f}",
                meets,
                same,
            )
        )
    say_table(columns, cells, texts=("",), title=f"{models[0]} and {models[1]}, {len(rows)} images")


def _draw(rows: list[Compared], output: Path) -> None:
    from openvino_xai.render.photo import write_picture
    from openvino_xai.render.sheet import sheet

    drawn = []
    for row in rows:
        pictures = [(row.first.image, f"r = {row.similarity.pearson:.2f}")]
        for explanation in (row.first, row.second):
            best = explanation.predictions[0]
            pictures.append((explanation.overlay(), f"{best.label} {best.probability:.0%}"))
        drawn.append(pictures)
    write_picture(output, sheet(drawn))
