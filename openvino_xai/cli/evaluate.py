"""`ovxai evaluate`: how good the explanations of a network are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from openvino_xai.cli.evaluation.classes import evaluate_classes
from openvino_xai.cli.evaluation.options import MetricOptions
from openvino_xai.cli.evaluation.request import Request
from openvino_xai.cli.evaluation.rows import print_stages
from openvino_xai.cli.options import (
    EngineOptions,
    Json,
    LayerOptions,
    ModelPath,
    NetworkOptions,
    ProbeOptions,
    takes_options,
    texts,
)
from openvino_xai.cli.options.choices import Vocabulary
from openvino_xai.cli.options.words import Word
from openvino_xai.cli.text import say, spelled
from openvino_xai.errors import InputError
from openvino_xai.json_text import to_json

_INPUT = (
    "A folder of class folders, photos with ImageNet-style names, a .csv of path,label, or a .json: COCO's, or for each photo "
    "its label and boxes x0, y0, x1, y1; of a detector, photos, too; repeatable."
)
_METRIC = (
    "One of adcc, insertion, deletion, road, pointing_game, ... (docs/evaluate.md), or all; repeatable. By default what the "
    "data allows, but for infidelity, road, sic and aic."
)
_NO_BASELINES = "Leave out the maps that explain nothing."
_REPORT = "A page (.html) of curves, distributions and photos."
_BESIDE = (
    "The --output of an evaluate --report of the same photos with another method, for this report; up to four, repeatable."
)
_SANITY = "Randomise the model's own weights, layer by layer, and tell how alike the maps stay (sanity checks)."


def _metrics() -> list[str]:
    from openvino_xai.evaluate.boxes.metrics import BOX_METRICS
    from openvino_xai.evaluate.classes.metrics import METRICS, SETS

    return list(dict.fromkeys([*METRICS, *SETS, *BOX_METRICS]))


def _targets() -> tuple[str, ...]:
    from openvino_xai.evaluate.classes.run import Target

    return get_args(Target)


@takes_options
def evaluate(
    model: ModelPath,
    inputs: Annotated[list[str], typer.Option("--input", "-i", help=_INPUT), Word("PHOTOS", None)],
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    working: EngineOptions,
    choosing: MetricOptions,
    metric: Annotated[list[str] | None, typer.Option(help=_METRIC), Vocabulary(_metrics)] = None,
    target: Annotated[
        str | None,
        typer.Option(help="label, predicted, or A-B: a contrast of two classes."),
        Vocabulary(_targets, closed=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images, picked at random by --seed.", min=1)] = None,
    sanity: Annotated[bool, typer.Option("--sanity", help=_SANITY)] = False,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help=_NO_BASELINES)] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for one row an image (JSON lines) and the result (JSON).")
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write OUTPUT/rows.parquet, too.")] = False,
    report: Annotated[Path | None, typer.Option(help=_REPORT)] = None,
    beside: Annotated[list[Path] | None, typer.Option(help=_BESIDE, rich_help_panel="Report")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure again what is measured already.")] = False,
    as_json: Json = False,
) -> None:
    """Measure how good explanations are: what they keep of a prediction, how they point, how steady they are.

    Everything runs on the deployed model in its own precision. Metrics are fractions in [0, 1], means over the images, except
    sensitivity, which is 0 or more. With --output rows are kept, and what is measured is not measured again. Images that cannot
    be read are reported and skipped; the exit status is 1 then.

    Of a detector, boxes are measured: true positives, mislocalised boxes and false positives apart where --boxes tells the
    objects of the photos, beside maps that explain nothing: a Gaussian in the box, and a random map.
    """
    from openvino_xai.cli.evaluation.boxes import DEFAULT_TARGETS, evaluate_boxes, objects_of
    from openvino_xai.evaluate.contrasts import named_contrast
    from openvino_xai.evaluate.report.beside import MOST
    from openvino_xai.evaluate.report.page import check_page
    from openvino_xai.files.writing import check_output
    from openvino_xai.runtime.inputs.contrasts import may_contrast
    from openvino_xai.runtime.sources import sources

    if output is not None:
        check_output(output / "metrics.json")
    if report is not None:
        check_page(report)
    if beside and report is None:
        raise InputError("--beside draws other runs: say where with --report")
    if beside and len(beside) > MOST:
        raise InputError(f"--beside is given {len(beside)} times; {MOST} runs at most are drawn")
    if parquet and output is None:
        raise InputError("--parquet writes into a folder: say which with --output")
    choices = choosing.choices(probing.seed)
    targets = target if may_contrast(target) and target is not None else "all"
    if working.engine is not None and output is None:
        raise InputError("--engine writes files: say where with --output")
    of_model = sources(model, running.labels)
    running = running.resolved(model, options)
    objects, options = objects_of(options)
    settings = [asdict(choices), asdict(options), asdict(probing), texts(asdict(running)), of_model]
    request = Request(
        model=model,
        inputs=inputs,
        metrics=metric or [],
        choices=choices,
        options=options,
        probing=probing,
        running=running,
        limit=limit,
        output=output,
        conditions={name: value for values in ({"model": model}, *settings) for name, value in values.items()},
        again=again,
        sanity=sanity,
        baselines=not no_baselines,
        report=report,
        beside=beside or [],
    )
    of_boxes = objects is not None or options.boxes is not None or options.cut is not None
    with spelled("targets", "target"):
        own_targets = DEFAULT_TARGETS if of_boxes else targets
        network = running.load(model, options, probing.settings(), targets=own_targets, hint="THROUGHPUT")
        contrast = None if network.is_detector else named_contrast(target, network)
    if network.is_detector:
        choosing.refuse_for_boxes(target, working.engine, report, parquet=parquet)
        measurement = evaluate_boxes(network, request, objects)
    elif objects is not None:
        raise InputError(f"{objects} tells the objects of photos, and the model explains classes: give it as --input")
    else:
        if contrast is not None:
            choosing.refuse_for_contrasts()
        measurement = evaluate_classes(network, request, working, contrast or target, parquet=parquet)
    if as_json:
        say(to_json(measurement.result))
    else:
        measurement.show(measurement.result)
        print_stages(measurement.stages)
    if not measurement.all_read:
        raise typer.Exit(1)
