"""`ovxai evaluate`: how good the explanations of a network are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast

import typer

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
from openvino_xai.cli.options.choices import Vocabulary, literal
from openvino_xai.cli.options.group import Group
from openvino_xai.cli.options.preprocessing import tell_doubts
from openvino_xai.cli.options.words import Word
from openvino_xai.cli.text import progress, say, say_table, warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.paths import is_link
from openvino_xai.json_text import from_json, to_json

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.evaluate.case import Choices, Compared, Covered, Read, Scaled
    from openvino_xai.evaluate.examples import Example
    from openvino_xai.evaluate.sanity import Stage
    from openvino_xai.runtime.inputs.targets import TargetsOfImage
    from openvino_xai.runtime.network import Network
    from openvino_xai.serve.jobs import Load, Work

CHOICES = "Choices where the literature does not agree"

_INPUT = (
    "A folder of class folders, photos with ImageNet-style names, a .csv of path,label, or a .json: COCO's, or for each photo "
    "its label and boxes x0, y0, x1, y1; of a detector, photos, too; repeatable."
)
_METRIC = (
    "One of average_drop, average_increase, coherency, complexity, adcc, insertion, deletion, sensitivity, pointing_game, "
)
_METRIC += (
    "energy, localisation; of a detector pointing_game, energy, object_discrimination, box_deletion, box_insertion, deletion, "
    "insertion; repeatable. By default all that the data allows."
)
_COVERED = "What masks leave where they are 0: zero, as the network sees it; black; or blur, the photo blurred."
_SCALED = "How a map becomes a mask: minmax, or over its max with what is below 0 cut off."
_READ = "The score that drop, increase, insertion and deletion look at: probability, or logit (these are no fractions then)."
_COMPARED = "Where coherency compares maps: on their cells, or on the image's pixels, to which they are enlarged."
_STEP = "Pixels that insertion and deletion change at a time; by default a 28th of the image (224 x 8 of 224 x 224)."
_SANITY = "Randomise the model's own weights, layer by layer, and tell how alike the maps stay (sanity checks)."


def _metrics() -> list[str]:
    from openvino_xai.evaluate.boxes.metrics import BOX_METRICS
    from openvino_xai.evaluate.metrics import METRICS

    return list(dict.fromkeys([*METRICS, "adcc", *BOX_METRICS]))


class Pictured(Protocol):
    """What is known of a photo."""

    @property
    def path(self) -> Path:
        """Where it is."""


OfPhoto = TypeVar("OfPhoto", bound=Pictured)


@dataclass(frozen=True)
class MetricOptions(Group):
    """The choices on which the literature does not agree."""

    covered: Annotated[str, typer.Option(help=_COVERED, rich_help_panel=CHOICES), literal("Covered", "evaluate.case")] = "zero"
    scaled: Annotated[str, typer.Option(help=_SCALED, rich_help_panel=CHOICES), literal("Scaled", "evaluate.case")] = "minmax"
    read: Annotated[str, typer.Option(help=_READ, rich_help_panel=CHOICES), literal("Read", "evaluate.case")] = "probability"
    compared: Annotated[str, typer.Option(help=_COMPARED, rich_help_panel=CHOICES), literal("Compared", "evaluate.case")] = (
        "cells"
    )
    step: Annotated[int | None, typer.Option(help=_STEP, min=1, rich_help_panel=CHOICES)] = None

    def check(self) -> None:
        """Raise InputError for a choice that there is not."""
        self.choices(seed=0)

    def choices(self, seed: int) -> Choices:
        """The choices as metrics take them. Raises InputError."""
        from openvino_xai.evaluate.case import Choices

        words = cast("Covered", self.covered), cast("Scaled", self.scaled), cast("Read", self.read)
        return Choices(*words, self.step, seed, cast("Compared", self.compared))

    def refuse_for_boxes(self, target: str | None, engine: str | None, *, parquet: bool) -> None:
        """Raise InputError for options that are of classes, or not yet of boxes."""
        for word, is_given in (
            ("scaled", self.scaled != "minmax"),
            ("read", self.read != "probability"),
            ("compared", self.compared != "cells"),
            ("step", self.step is not None),
            ("target", target is not None),
            ("engine", engine is not None),
            ("parquet", parquet),
        ):
            if is_given:
                raise InputError(f"--{word} is of classes of images, and the model explains boxes: leave it out")


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
        str | None, typer.Option(help="The class that is explained: label or predicted."), literal("Target", "evaluate.run")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images, picked at random by --seed.", min=1)] = None,
    sanity: Annotated[bool, typer.Option("--sanity", help=_SANITY)] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for one row an image (JSON lines) and the result (JSON).")
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write OUTPUT/rows.parquet, too.")] = False,
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
    from openvino_xai.cli.boxes.evaluate import DEFAULT_TARGETS, evaluate_boxes, objects_of
    from openvino_xai.files.writing import check_output
    from openvino_xai.runtime.sources import sources

    if output is not None:
        check_output(output / "metrics.json")
    if parquet and output is None:
        raise InputError("--parquet writes into a folder: say which with --output")
    choices = choosing.choices(probing.seed)
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
    )
    of_boxes = objects is not None or options.boxes is not None or options.cut is not None
    network = running.load(model, options, probing.settings(), targets=DEFAULT_TARGETS if of_boxes else "all")
    if network.is_detector:
        choosing.refuse_for_boxes(target, working.engine, parquet=parquet)
        measurement = evaluate_boxes(network, request, objects)
    elif objects is not None:
        raise InputError(f"{objects} tells the objects of photos, and the model explains classes: give it as --input")
    else:
        measurement = _evaluate_classes(network, request, working, target, parquet=parquet)
    if as_json:
        say(to_json(measurement.result))
    else:
        measurement.show(measurement.result)
        _print_stages(measurement.stages)
    if not measurement.all_read:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is measured, of which photos, under which conditions, and where it is kept."""

    model: str
    inputs: list[str]
    metrics: list[str]
    choices: Choices
    options: LayerOptions
    probing: ProbeOptions
    running: NetworkOptions
    limit: int | None
    output: Path | None
    conditions: dict[str, Any]
    again: bool
    sanity: bool


@dataclass(frozen=True)
class Measurement:
    """What was measured, how it is printed, and whether all images could be read."""

    result: dict[str, Any]
    stages: list[Stage]
    show: Callable[[dict[str, Any]], None]
    all_read: bool


def _evaluate_classes(
    network: Network, request: Request, working: EngineOptions, target: str | None, *, parquet: bool
) -> Measurement:
    """What is measured of a classifier's explanations. Raises InputError."""
    from openvino_xai.evaluate.metrics import metric_names
    from openvino_xai.evaluate.run import evaluate as rows_of
    from openvino_xai.evaluate.run import some_of, which_target
    from openvino_xai.runtime.folders.reserve import reserved

    model, output, options, running = request.model, request.output, request.options, request.running
    settings = request.probing.settings()
    examples = some_of(_examples(request.inputs, network, output), request.limit, request.probing.seed)
    names = metric_names(request.metrics, examples)
    explained = which_target(target, examples)
    protocol = {"target": explained, **asdict(request.choices)}
    conditions = {**request.conditions, "metrics": names, **protocol}
    work = partial(rows_of, names=names, target=explained, choices=request.choices)
    with reserved(output) if output is not None else nullcontext():
        start = time.perf_counter()
        if output is not None:
            refuse_others(output, request, network.record["method"])
        if working.engine is not None and output is not None:
            loader = partial(running.loader, model, options, settings, output / "parts")
            by_name, count = _by_engine(working, output / "parts", examples, loader, work, conditions)
        else:
            work = partial(work, network)
            by_name, count = in_turn(output, _sources(examples), examples, work, conditions, again=request.again)
        took = time.perf_counter() - start
        rows, all_read = readable([by_name[str(example.path)] for example in examples])
        tell_accuracy(rows, network, model, logits=request.choices.read == "logit")
        stages: list[Stage] = []
        if request.sanity:
            photos: dict[str, TargetsOfImage] = {row["image"]: [row["target"]] for row in rows}
            stages = stages_of(
                model, lambda variant: running.load(variant, options, settings, verify=False), photos, request.probing.seed
            )
        speed = round(count / took, 3) if count else None
        result = _result(model, network, rows, protocol, stages, speed)
        if output is not None:
            _write(output, result, rows, parquet)
    return Measurement(result, stages, _print, all_read)


def tell_accuracy(rows: list[dict[str, Any]], network: Network, model: str, *, logits: bool) -> None:
    """What is doubtful about what a network took photos for; scores that are `logits` do not tell how sure it is."""
    from openvino_xai.runtime.inputs.doubts import Tally

    tally = Tally()
    for row in rows:
        probability = row["score"] if row["target"] == row["predicted"] and not logits else 0.0
        label = None if row["label"] is None else network.label(row["label"])
        tally.count(network.label(row["predicted"]), probability, label=label)
    tell_doubts(tally.doubts(), model=Path(model).name)


def _examples(inputs: list[str], network: Network, output: Path | None) -> list[Example]:
    from openvino_xai.evaluate.examples import find_examples
    from openvino_xai.runtime.folders.search import Search

    search = Search([output])
    examples = find_examples(inputs, network.labels, network.classes, search)
    for note in search.notes:
        warn(note)
    return examples


def readable(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The rows of images that could be read, after a warning for each other one, and whether that is all of them.

    Raises InputError where none could.
    """
    measured = [row for row in rows if not row.get("error")]
    for row in rows:
        if row.get("error"):
            warn(f"skipped: {row['error']}")
    if not measured:
        raise InputError("none of the images can be read")
    return measured, len(measured) == len(rows)


def _result(
    model: str, network: Network, rows: list[dict[str, Any]], protocol: dict[str, Any], stages: list[Stage], speed: float | None
) -> dict[str, Any]:
    from openvino_xai.evaluate.metrics import accuracy, overall

    return {
        "images": len(rows),
        "method": network.record["method"],
        "metrics": overall(rows),
        "accuracy": accuracy(rows),
        "images_per_second": speed,
        "model": model,
        "precision": network.precision,
        "preprocessing": network.preprocessing.to_dict(),
        "hook": network.record,
        **protocol,
        **({"sanity": [stage.to_dict() for stage in stages]} if stages else {}),
    }


def refuse_others(folder: Path, request: Request, method: str) -> None:
    """Raise InputError where files of our names are somebody else's, or the result is of another model or method."""
    from openvino_xai.files.reading import read_regular
    from openvino_xai.serve.parts import is_ours

    path = folder / "metrics.json"
    if os.path.lexists(path):
        try:
            result = from_json(read_regular(path))
        except ValueError:
            result = None
        if is_link(path) or not isinstance(result, dict) or not {"images", "metrics", "hook"} <= set(result):
            raise InputError(f"{path} is no result of evaluate: choose another folder, or move it away")
        for word, ours in (("model", request.model), ("method", method)):
            if not request.again and result.get(word) != ours:
                raise InputError(
                    f"{path} is the result of the {word} {result.get(word)}, and this one is {ours}: choose another folder, or "
                    "let this take its place",
                    options=("again",),
                )
    table = folder / "rows.parquet"
    if os.path.lexists(table) and not is_ours(table):
        raise InputError(f"{table} is no table of evaluate: choose another folder, or move it away")


def in_turn(
    output: Path | None,
    sources: dict[str, Any],
    examples: Sequence[OfPhoto],
    work: Callable[[list[OfPhoto]], Iterator[dict[str, Any] | ImageError]],
    conditions: dict[str, Any],
    *,
    again: bool,
) -> tuple[dict[str, dict[str, Any]], int]:
    """Rows by image, those of a run before among them, and how many are new.

    A run before counts where its `conditions` were these, and the `sources` of its images.
    """
    from openvino_xai.runtime.manifest import Manifest

    manifest = None if output is None else Manifest.read(output / "rows.jsonl", conditions, sources)
    rows = {} if manifest is None or again else dict(manifest.done)
    left = [example for example in examples if str(example.path) not in rows]
    start = time.perf_counter()
    with progress("measuring") as show:
        for count, (example, row) in enumerate(zip(left, work(left), strict=True), start=1):
            image = str(example.path)
            if isinstance(row, ImageError):
                rows[image] = {"error": str(row)}
            else:
                rows[image] = row if manifest is None else manifest.add({**row, "source": sources[image]})
            speed = count / (time.perf_counter() - start)
            show(f"measuring, {speed:.2g} images/s", len(examples) - len(left) + count, len(examples))
    return rows, len(left)


def _sources(examples: list[Example]) -> dict[str, Any]:
    """For each image a digest of its file, its label and its boxes, so that a change is measured anew; None without a file."""
    from openvino_xai.runtime.sources import digest_of, stamp

    return {
        str(example.path): None
        if (state := stamp(example.path)) is None
        else digest_of([state, example.label, example.boxes, example.outlines, example.size])
        for example in examples
    }


def _by_engine(
    working: EngineOptions,
    folder: Path,
    examples: list[Example],
    loader: Callable[[], Load],
    work: Work,
    conditions: dict[str, Any],
) -> tuple[dict[str, dict[str, Any]], int]:
    """Rows by image from the files of a job, and how many there are."""
    from openvino_xai.serve.parts import read_rows

    items = {str(example.path): example for example in examples}
    summary = working.run(folder, items, _sources(examples), loader, work, conditions)
    rows = read_rows([folder / part for part in summary["parts"]])
    return dict(zip(items, rows, strict=True)), summary["rows"]


def stages_of(model: Model, load: Callable[[Model], Network], photos: dict[str, TargetsOfImage], seed: int) -> list[Stage]:
    """How alike the maps of photos are where weights are shuffled; `load` makes a network of a model without a hook."""
    from openvino_xai.evaluate.sanity import sanity

    with progress("randomising") as show:
        stages: list[Stage] = []
        for stage in sanity(model, load, photos, seed=seed):
            stages.append(stage)
            show(f"randomised {stage.layer}", len(stages), len(stages) + 1)
    return stages


def _print_stages(stages: list[Stage]) -> None:
    """Print how alike maps are to those of models with shuffled weights, where there are any."""
    from openvino_xai.evaluate.similarity import MEASURES

    if not stages:
        return
    columns = ["order", "down to", "layers", *(name.replace("_", " ") for name in MEASURES)]
    cells = [
        [stage.order, stage.layer, stage.layers, *(f"{getattr(stage, name):.3f}" for name in MEASURES)] for stage in stages
    ]
    title = "Maps of the model with shuffled weights, and its own"
    say_table(columns, cells, texts=("order", "down to"), title=title)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with each metric in a column of its own."""
    from openvino_xai.runtime.manifest import CHECK

    return {**{name: item for name, item in row.items() if name not in ("metrics", "asked", "source", CHECK)}, **row["metrics"]}


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write the result beside the rows."""
    from openvino_xai.files.writing import written_whole

    with written_whole(folder / "metrics.json") as temporary:
        temporary.write_text(to_json(result, indent=2) + "\n", encoding="utf-8")


def _write(folder: Path, result: dict[str, Any], rows: list[dict[str, Any]], parquet: bool) -> None:
    write_result(folder, result)
    if parquet:
        from openvino_xai.serve.parts import write_rows

        write_rows(folder / "rows.parquet", [flat(row) for row in rows])


def _print(result: dict[str, Any]) -> None:
    from openvino_xai.evaluate.metrics import METRICS

    best = {name: metric.best for name, metric in METRICS.items()} | {"difference": "more", "adcc": "more"}
    title = f"{result['model']}, {result['method']}, {result['images']} images, class: {result['target']}"
    cells = [(name, f"{value:.4f}", best[name]) for name, value in result["metrics"].items()]
    say_table(("metric", "mean", "better is"), cells, texts=("metric", "better is"), title=title)
    if result["images_per_second"]:
        say(f"{result['images_per_second']:.2g} images a second")
