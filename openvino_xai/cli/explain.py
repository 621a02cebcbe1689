"""`ovxai explain`: images in, overlays and maps out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.engine import EngineOptions
from openvino_xai.cli.options import (
    Inputs,
    Json,
    LayerOptions,
    ModelPath,
    NetworkOptions,
    ProbeOptions,
    StyleOptions,
    find_photos,
    takes_options,
    texts,
)
from openvino_xai.cli.text import progress, say, warn
from openvino_xai.errors import ImageError, InputError

if TYPE_CHECKING:
    from openvino_xai.runtime.network import Network

_REPORT = (
    "A page (.html) of all these images that needs no network: opacity, classes, filters, sorting, and what the wrong ones "
    "were taken for, where images are named after their class, as n01440764_tench.JPEG, or lie in a folder that is."
)


@takes_options
def explain(
    model: ModelPath,
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for overlays and maps.")],
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    drawing: StyleOptions,
    working: EngineOptions,
    targets: Annotated[str, typer.Option(help="The classes to draw: top:K, all, or ID,ID,...")] = "top:1",
    again: Annotated[bool, typer.Option("--again", help="Explain again what is explained already.")] = False,
    report: Annotated[Path | None, typer.Option(help=_REPORT)] = None,
    as_json: Json = False,
) -> None:
    """Explain images: for each an overlay in its own size (PNG), the raw map (.npy), and a line of what was seen.

    A model without a hook gets one in memory. The lines are kept in OUTPUT/explanations.jsonl, and what is done is not done
    again, after Ctrl-C or with more images. Images that cannot be read are reported and skipped; the exit status is 1 then.

    With --engine no pictures are drawn: predictions and maps go to Parquet files in OUTPUT, one row an image, and whatever is
    killed, the next run goes on where the files end.
    """
    from openvino_xai.evaluate.examples import known_classes
    from openvino_xai.render.report import write_report
    from openvino_xai.runtime.folder import Manifest, explain_all

    style = drawing.made()
    if report is not None and report.suffix != ".html":
        raise InputError(f"{report} does not end in .html, which the report is written as")
    photos = find_photos(inputs)
    network_asked = {"model": model, "targets": targets, **asdict(options), **asdict(probing), **texts(asdict(running))}
    if working.engine is not None:
        load = running.loader(model, options, probing.settings(), output, targets=targets)
        _work_off(photos, output, working, load, targets, network_asked, as_json)
        return
    asked = {**network_asked, "report": report is not None, **asdict(drawing)}
    manifest = Manifest.read(output / "explanations.jsonl", asked)
    left = [photo for photo in photos if again or str(photo) not in manifest.done]
    anew = set(map(str, left))
    kept = {told["name"] for image, told in manifest.done.items() if image not in anew}
    todo = list(zip(left, _names(left, kept), strict=True))
    if len(todo) < len(photos):
        done = len(photos) - len(todo)
        warn(f"{done} of {len(photos)} images are explained already; --again does them anew")
    failed = 0
    with progress("explaining", shown=bool(todo)) as told_progress:
        if todo:
            alone = (lambda done, total: told_progress("asking", done, total)) if len(todo) == 1 else None
            network = running.load(model, options, probing.settings(alone), targets=targets)
            known = {} if report is None else known_classes(left, network.labels, network.classes)
            start = time.perf_counter()
            for count, found in enumerate(
                explain_all(network, todo, output, targets=targets, style=style, known=known), start=1
            ):
                if isinstance(found, ImageError):
                    failed += 1
                    warn(f"skipped: {found}")
                else:
                    line = {"model": model, **found, "asked": asked}
                    manifest.add(line)
                    say(json.dumps(line) if as_json else _sentence(line))
                told_progress(f"explaining, {count / (time.perf_counter() - start):.1f} images/s", count, len(todo))
    lines = [manifest.done[str(photo)] for photo in photos if str(photo) in manifest.done]
    if report is not None and lines:
        write_report(report, lines, title=f"{Path(model).name}, {len(lines)} images", style=style)
        warn(report)
    if failed:
        raise typer.Exit(1)


def _work_off(
    photos: list[Path],
    output: Path,
    working: EngineOptions,
    load: Callable[[], Network],
    targets: str,
    asked: dict[str, Any],
    as_json: bool,
) -> None:
    from openvino_xai.serve.jobs import explaining
    from openvino_xai.serve.parts import read_rows

    made = working.run(output, {str(photo): photo for photo in photos}, load, explaining(targets), asked)
    rows = read_rows([output / part for part in made["parts"]], ["image", "error"])
    failed = [row for row in rows if row["error"]]
    for row in failed:
        warn(f"skipped: {row['error']}")
    if as_json:
        say(json.dumps(made))
    else:
        say(f"{output}: {made['rows']} images in {len(made['parts'])} files, {len(failed)} of them not readable")
    if failed:
        raise typer.Exit(1)


def _sentence(line: dict[str, Any]) -> str:
    best = line["predictions"][0]
    drawn = ", ".join(f"{target['label']} {target['overlay']}" for target in line["targets"])
    return f"{line['image']}: {best['label']} {best['probability']:.1%}; {drawn}"


def _names(photos: list[Path], taken: set[str]) -> Iterator[str]:
    """A name for each image's files; of images with the same name the later ones are numbered."""
    for photo in photos:
        name, count = photo.stem, 1
        while name in taken:
            count += 1
            name = f"{photo.stem}-{count}"
        taken.add(name)
        yield name
