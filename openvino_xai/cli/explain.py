"""`ovxai explain`: images in, overlays and maps out."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from openvino_xai.cli.options import Json, LayerOptions, ModelPath, takes_options
from openvino_xai.cli.text import progress
from openvino_xai.errors import ImageError, InputError

PREPROCESSING = "Preprocessing (by default what the model carries in model_info)"


def _flag(name: str, text: str) -> Any:
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    return typer.Option(*spellings, help=text, rich_help_panel=PREPROCESSING)


@takes_options
def explain(
    model: ModelPath,
    options: LayerOptions,
    inputs: Annotated[list[str], typer.Option("--input", "-i", help="An image, a folder or a pattern; repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for overlays and maps.")],
    targets: Annotated[str, typer.Option(help="The classes to draw: top:K, all, or ID,ID,...")] = "top:1",
    labels: Annotated[Path | None, typer.Option(help="A text file with one label a line.")] = None,
    device: Annotated[str, typer.Option(help="The device to run on.")] = "CPU",
    precision: Annotated[str, typer.Option(help="f32, f16, bf16, or default for what the device prefers.")] = "f32",
    mean_values: Annotated[str | None, _flag("mean_values", "Subtracted from each channel, as 123.7,116.3,103.5.")] = None,
    scale_values: Annotated[str | None, _flag("scale_values", "Each channel is divided by these.")] = None,
    reverse_input_channels: Annotated[str | None, _flag("reverse_input_channels", "yes feeds RGB, no BGR.")] = None,
    resize_type: Annotated[str | None, _flag("resize_type", "standard, crop, fit_to_window(_letterbox).")] = None,
    layout: Annotated[str | None, _flag("layout", "NCHW or NHWC.")] = None,
    input_size: Annotated[str | None, _flag("input_size", "HxW, for models that take any size.")] = None,
    as_json: Json = False,
) -> None:
    """Explain images: for each an overlay in its own size (PNG), the raw map (.npy), and a line of what was seen.

    A model without a hook gets one in memory. Images that cannot be read are reported and skipped; the exit status is 1 then.
    """
    from openvino_xai.graph.files import open_model, written_whole
    from openvino_xai.runtime.network import load
    from openvino_xai.surgery.insert import RECORD

    photos = _photos(inputs)
    told = {
        "mean_values": mean_values,
        "scale_values": scale_values,
        "reverse_input_channels": reverse_input_channels,
        "resize_type": resize_type,
        "layout": layout,
        "input_size": input_size,
    }
    hooked = bool(open_model(model).info(RECORD))
    if hooked and options != LayerOptions():
        raise InputError(f"{model} carries a hook already; --layer and what else makes a hook is for a model without one")
    network = load(model if hooked else options.insert(model), device=device, precision=precision)
    network.configure(
        labels=_labels(labels) if labels else None,
        preprocessing={name: value for name, value in told.items() if value is not None},
    )
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
                files = explanation.save(output, name)
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


def _photos(inputs: list[str]) -> list[Path]:
    """The images that paths, folders and patterns mean, each once, in order. Raises InputError where there are none."""
    from openvino_xai.render.photo import SUFFIXES

    found: dict[Path, None] = {}
    for told in inputs:
        path = Path(told)
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES)
            found.update(dict.fromkeys(inside))
        elif glob.has_magic(told) and not path.exists():
            found.update(dict.fromkeys(Path(item) for item in sorted(glob.glob(told, recursive=True))))
        else:
            found[path] = None
    if not found:
        raise InputError(f"no image was found in {', '.join(inputs)}")
    return list(found)


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


def _labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read labels from {path}: {error}") from error
