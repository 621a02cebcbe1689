"""`ovxai explain`: images in, overlays and maps out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from openvino_xai.cli.options import (
    Inputs,
    Json,
    LayerOptions,
    ModelPath,
    NetworkOptions,
    StyleOptions,
    find_photos,
    takes_options,
)
from openvino_xai.cli.text import progress
from openvino_xai.errors import ImageError


@takes_options
def explain(
    model: ModelPath,
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for overlays and maps.")],
    options: LayerOptions,
    running: NetworkOptions,
    drawing: StyleOptions,
    targets: Annotated[str, typer.Option(help="The classes to draw: top:K, all, or ID,ID,...")] = "top:1",
    as_json: Json = False,
) -> None:
    """Explain images: for each an overlay in its own size (PNG), the raw map (.npy), and a line of what was seen.

    A model without a hook gets one in memory. Images that cannot be read are reported and skipped; the exit status is 1 then.
    """
    from openvino_xai.graph.files import written_whole

    style = drawing.made()
    photos = find_photos(inputs)
    network = running.load(model, options)
    lines = []
    failed = 0
    with progress("explaining", shown=len(photos) > 1) as told_progress:
        for count, (photo, name) in enumerate(zip(photos, _names(photos), strict=True), start=1):
            try:
                explanation = network.explain(photo, targets=targets)
            except ImageError as error:
                failed += 1
                print(f"ovxai: skipped: {error}", file=sys.stderr)
            else:
                files = explanation.save(output, name, style=style)
                line = {"model": model, **explanation.to_dict()}
                line["targets"] = [{**target, **paths} for target, paths in zip(line["targets"], files, strict=True)]
                lines.append(json.dumps(line))
                typer.echo(lines[-1] if as_json else _sentence(line))
            told_progress("explaining", count, len(photos))
    with written_whole(output / "explanations.jsonl") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
    if failed:
        raise typer.Exit(1)


def _sentence(line: dict[str, Any]) -> str:
    best = line["predictions"][0]
    drawn = ", ".join(f"{target['label']} {target['overlay']}" for target in line["targets"])
    return f"{line['image']}: {best['label']} {best['probability']:.1%}; {drawn}"


def _names(photos: list[Path]) -> Iterator[str]:
    """A name for each image's files; of images with the same name the later ones are numbered."""
    taken: set[str] = set()
    for photo in photos:
        name, count = photo.stem, 1
        while name in taken:
            count += 1
            name = f"{photo.stem}-{count}"
        taken.add(name)
        yield name
