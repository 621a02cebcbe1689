"""`ovxai explain`: images in, overlays and maps out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.evaluation.checks import notes_of, some_to_check, tell_checks, tell_notes
from openvino_xai.cli.options import (
    EngineOptions,
    Inputs,
    Json,
    LayerOptions,
    ModelPath,
    NetworkOptions,
    ProbeOptions,
    Similarity,
    StyleOptions,
    search_photos,
    takes_options,
    texts,
)
from openvino_xai.cli.options.hook import check_targets
from openvino_xai.cli.options.photos import Photos
from openvino_xai.cli.options.preprocessing import tell_answers, tell_counted
from openvino_xai.cli.text import command_line, message, progress, say, warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.paths import is_folder
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.probes import Settings
    from openvino_xai.render.overlay import Style
    from openvino_xai.runtime.folder import Explainer
    from openvino_xai.serve.jobs import Load
    from openvino_xai.words import Hint

_REPORT = (
    "A page (.html) of all these images that needs no network; photos that are named after their class, as "
    "n01440764_tench.JPEG, or lie in a folder that is, are told right from wrong."
)
_TARGETS = (
    "The classes to draw: top:K, all, or ids or labels with commas between; by default top:1. A-B contrasts two: what speaks "
    "for A and not for B. Of a detector all boxes, boxes:N, or those of classes; of pixels, classes, by default the three "
    "largest."
)

_CHECK = "Cover what each map shows: does the score fall?"
_CHECK_LIMIT = "How many photos of a folder --check takes, drawn at random. Each map takes ten inferences more."

_AGAINST = (
    "Another photo, for models whose output is a vector: for each image its similarity, and two pictures, of where it is like "
    "the other photo and where that is like it."
)


@takes_options
def explain(
    *,
    model: ModelPath,
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for overlays and maps.")] = Path("ovxai_out"),
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    drawing: StyleOptions,
    working: EngineOptions,
    targets: Annotated[str | None, typer.Option(help=_TARGETS)] = None,
    against: Annotated[Path | None, typer.Option(help=_AGAINST, rich_help_panel="Vectors")] = None,
    similarity: Similarity = None,
    again: Annotated[bool, typer.Option("--again", help="Explain again what is explained already.")] = False,
    check: Annotated[bool, typer.Option("--check", help=_CHECK)] = False,
    check_limit: Annotated[int, typer.Option(help=_CHECK_LIMIT, min=1, rich_help_panel="Checks")] = 20,
    report: Annotated[Path | None, typer.Option(help=_REPORT)] = None,
    as_json: Json = False,
) -> None:
    """Explain images: for each an overlay in its own size (PNG), the raw map (.npy), and a line of what was seen.

    Of a detector, one picture and one file of maps hold all boxes of an image; one without any is drawn as it is.

    Of a hook of several heads, each that --scores names has its own files and line, by default all.

    A model without a hook gets one in memory. The lines are kept in OUTPUT/explanations.jsonl, and what is done is not done
    again, after Ctrl-C or with more images, unless the model, the labels or the image has changed. Files that no run here wrote
    are not overwritten, nor those of another model or of other options. Images that cannot be read are reported and skipped;
    the exit status is 1 then. In folders what is no photo is counted, by its kind; the output has the same folders.

    With --engine no pictures are drawn: predictions and maps go to Parquet files in OUTPUT, one row an image, and whatever is
    killed, the next run goes on where the files end.
    """
    from openvino_xai.files.writing import check_output
    from openvino_xai.render.kinds import SUFFIXES
    from openvino_xai.runtime.folders.reserve import reserved
    from openvino_xai.runtime.sources import sources

    check_targets(targets, named=True)
    style = drawing.to_style()
    if against is not None and (targets is not None or report is not None or working.engine is not None):
        raise InputError(
            "photos are explained against another by their vectors: --targets, --report and --engine are for classes"
        )
    if check and (against is not None or working.engine is not None):
        raise InputError("a check covers parts of single photos: leave out --check, or --against and --engine")
    if report is not None and working.engine is not None:
        raise InputError("an engine writes rows, of which there is no page: leave out --report or --engine")
    if report is not None and report.suffix != ".html":
        raise InputError(f"{report} does not end in .html, which the report is written as")
    if output.suffix.lower() in SUFFIXES and not is_folder(output):
        raise InputError(f"{output} has the name of a picture, and --output is the folder that pictures go to: name a folder")
    for path in (output / "explanations.jsonl", *filter(None, [report])):
        check_output(path)
    photos = search_photos(inputs, output, kept_in=output)
    running = running.resolved(model, options)
    network_conditions = {"model": model, "targets": targets, **asdict(options), **asdict(probing), **texts(asdict(running))}
    network_conditions |= sources(model, running.labels)
    if against is not None:
        network_conditions |= _condition_of(against, similarity)
    elif similarity is not None:
        raise InputError(
            f"similarity '{similarity}' is for vectors, which are explained against another photo", options=("against",)
        )
    if working.engine is not None:
        loader = partial(running.loader, model, options, probing.settings(), output, targets=targets, hint="THROUGHPUT")
        _work_off(photos.paths, output, working, loader, targets, network_conditions, as_json)
        return

    def load(tell: Callable[[int, int], None] | None) -> Explainer:
        if against is None:
            hint: Hint = "LATENCY" if tell else "THROUGHPUT"  # what one photo takes is told as it goes
            return running.load_heads(model, options, probing.settings(tell), targets=targets, hint=hint)
        return _against(running, model, options, probing.settings(tell), against, similarity)

    conditions = {**network_conditions, "report": report is not None, **asdict(drawing)}
    conditions |= {"check": check_limit} if check else {}
    with reserved(output):
        failed = _in_turn(
            photos,
            output,
            load,
            targets,
            style,
            conditions,
            report,
            again=again,
            as_json=as_json,
            check=check_limit if check else 0,
        )
    if failed:
        raise typer.Exit(1)


def _in_turn(
    searched: Photos,
    output: Path,
    load: Callable[[Callable[[int, int], None] | None], Explainer],
    targets: str | None,
    style: Style,
    conditions: dict[str, Any],
    report: Path | None,
    *,
    again: bool,
    as_json: bool,
    check: int,
) -> int:
    """Explain what is not explained yet, check so many of it, and write the report; the number of images that failed."""
    from openvino_xai.runtime.folder import explain_all
    from openvino_xai.runtime.manifest import Manifest
    from openvino_xai.runtime.sources import stamps

    photos = searched.paths
    manifest = Manifest.read(output / "explanations.jsonl", conditions, stamps(photos))
    todo = [photo for photo in photos if again or str(photo) not in manifest.done]
    if len(todo) < len(photos):
        done = len(photos) - len(todo)
        warn(f"{done} of {len(photos)} images are explained already; --again does them anew")
    if todo and manifest.others:
        warn(f"{output} holds answers to other questions, of another model or other options: their files stay as they are")
    failures: list[ImageError] = []
    with progress("explaining", shown=bool(todo)) as show:
        if todo:
            network = load((lambda done, total: show("asking", done, total)) if len(todo) == 1 else None)
            classes = {} if report is None else _shown_classes(network, todo)
            to_check = some_to_check(network, todo, check) if check else ()
            start = time.perf_counter()
            explained = explain_all(
                network,
                todo,
                manifest,
                targets=targets,
                style=style,
                classes=classes,
                places=searched.places,
                to_check=to_check,
            )
            for count, outcome in enumerate(explained, start=1):
                if isinstance(outcome, ImageError):
                    failures.append(outcome)
                    warn(f"skipped: {message(outcome)}")
                else:
                    line = manifest.add({"model": conditions["model"], **outcome})
                    for text in [to_json(line)] if as_json else _sentences(line):
                        say(text)
                show(f"explaining, {count / (time.perf_counter() - start):.1f} images/s", count, len(todo))
    if as_json and searched.passed_over:
        say(to_json({"passed_over": searched.passed_over}))
    manifest.settle()
    lines = [manifest.done[str(photo)] for photo in photos if str(photo) in manifest.done]
    tell_answers(lines, conditions["model"])
    if check and not as_json:
        tell_checks(lines)
    tell_notes(lines)
    if report is not None and lines:
        failures += _report(report, lines, style, conditions["model"])
    return len(failures)


def _shown_classes(network: Explainer, photos: list[Path]) -> dict[Path, int]:
    """The classes that photos show, as a report has them. Raises InputError for a network that it does not show."""
    from openvino_xai.evaluate.examples import known_classes
    from openvino_xai.runtime.network import Network
    from openvino_xai.runtime.tasks.heads import Heads
    from openvino_xai.runtime.tasks.segmenter import Segmenter

    if isinstance(network, Heads):
        heads = ", ".join(map(repr, network))
        raise InputError(f"the report shows one head, and {heads} are explained: name one", options=("scores",))
    if isinstance(network, Segmenter):
        raise InputError("the report shows classes of images and boxes, and this model tells those of pixels: leave it out")
    if isinstance(network, Network) and not network.is_detector:
        return known_classes(photos, network.labels, network.classes)
    return {}


def _report(path: Path, lines: list[dict[str, Any]], style: Style, model: str) -> list[ImageError]:
    """Write the report; what is wrong with images that it does not show."""
    from openvino_xai.render.report import write_report

    title = f"{Path(model).name}, {len(lines)} images"
    with progress("writing the report") as show:

        def tell(done: int) -> None:
            show("writing the report", done, len(lines))

        unshown = write_report(path, lines, title=title, style=style, command=command_line(), tell=tell)
    for error in unshown:
        warn(f"skipped in the report: {message(error)}")
    warn(path)
    return unshown


def _work_off(
    photos: list[Path],
    output: Path,
    working: EngineOptions,
    loader: Callable[[], Load],
    targets: str | None,
    conditions: dict[str, Any],
    as_json: bool,
) -> None:
    from openvino_xai.runtime.sources import stamps
    from openvino_xai.serve.jobs import explaining
    from openvino_xai.serve.parts import read_rows

    items = {str(photo): photo for photo in photos}
    summary = working.run(output, items, stamps(photos), loader, explaining(targets), conditions)
    rows = read_rows([output / part for part in summary["parts"]], ["image", "error", "label", "probability"])
    tell_counted([(row["label"], row["probability"]) for row in rows if row.get("label") is not None], conditions["model"])
    failed = [row for row in rows if row["error"]]
    for row in failed:
        warn(f"skipped: {row['error']}")
    if as_json:
        say(to_json(summary))
    else:
        say(f"{output}: {summary['rows']} images in {len(summary['parts'])} files, {len(failed)} of them not readable")
    if failed:
        raise typer.Exit(1)


def _condition_of(against: Path, similarity: str | None) -> dict[str, Any]:
    """What a photo that others are explained against adds to the conditions of a run. Raises InputError where it is none."""
    from openvino_xai.files.digest import file_digest
    from openvino_xai.render.photo import read_photo

    read_photo(against)
    return {"against": str(against), "against_digest": file_digest(against), "similarity": similarity}


def _against(
    running: NetworkOptions, model: str, options: LayerOptions, settings: Settings, against: Path, similarity: str | None
) -> Explainer:
    """What explains photos against another. Raises InputError where the model's hook explains no vectors, or by other means."""
    from openvino_xai.contract import VECTOR_TARGETS
    from openvino_xai.runtime.tasks.matcher import Against, Matcher

    network = running.load(model, options, settings, targets=VECTOR_TARGETS, similarity=similarity)
    if not isinstance(network, Matcher):
        method = network.record.get("method")
        raise InputError(f"{method} of {model} explains classes, and no photo against another: leave --against out")
    if similarity not in (None, network.measure):
        raise InputError(f"the hook of {model} explains the {network.measure}: --similarity {similarity} needs another")
    return Against(network, against)


def _sentences(line: dict[str, Any]) -> list[str]:
    """What is told of an image: a line, or one of each head."""
    if "heads" not in line:
        return [_sentence(line)]
    return [f"{line['image']}, {_sentence(head | {'image': head['scores']})}" for head in line["heads"]]


def _sentence(line: dict[str, Any]) -> str:
    if "similarity" in line:
        pictures = ", ".join(map(_file, line["targets"]))
        return f"{line['image']}: {line['measure']} {line['similarity']:.4f} to {line['against']}; {pictures}"
    if "boxes" in line:
        return f"{line['image']}: {_boxes(line)}; {_file(line)}{notes_of(line['boxes'])}"
    best = line["predictions"][0]
    if "area" in best:
        regions = ", ".join(f"{target['label']} {target['area']:.1%} {_file(target)}" for target in line["targets"])
        return f"{line['image']}: {regions or 'no class to draw'}{notes_of(line['targets'])}"
    drawn = ", ".join(f"{target['label']} {_file(target)}" for target in line["targets"]) + notes_of(line["targets"])
    if "answers" in line and len(line["answers"]) != 1:
        return (
            f"{line['image']}: {len(line['answers'])} labels, most probable {best['label']} {best['probability']:.1%}; {drawn}"
        )
    return f"{line['image']}: {best['label']} {best['probability']:.1%}; {drawn}"


def _file(entry: dict[str, Any]) -> str:
    """The picture of what is explained, or its map where there is none."""
    return str(entry.get("overlay") or entry["map"])


def _boxes(line: dict[str, Any]) -> str:
    """Each box with its label, its score and its corners in whole pixels."""
    boxes = [f"{box['label']} {box['score']:.1%} ({', '.join(f'{edge:.0f}' for edge in box['box'])})" for box in line["boxes"]]
    return ", ".join(boxes) or f"no box to draw with a score of {line['min_score']:.1%} or more"
