"""`ovxai info`: what a model is, what it would be fed, and a photo as it sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.options import ImageInput, Json, ModelPath, read_labels, takes_options
from openvino_xai.cli.options.photos import STANDARD_INPUT, standard_input
from openvino_xai.cli.options.preprocessing import AUTO, PreprocessingOptions, tell_doubts
from openvino_xai.cli.options.words import Word
from openvino_xai.cli.text import say, warn
from openvino_xai.errors import InputError
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    import numpy as np

    from openvino_xai.evaluate.ranking import Ranking
    from openvino_xai.locate.located import Where
    from openvino_xai.runtime.preprocessing import Preprocessing
    from openvino_xai.runtime.summary import Summary

SHOWN = 120  # characters of a text that a line shows
EXAMPLES = 5  # labels that a line shows
COST = ("method", "layer", "targets", "score", "scale", "cost", "verified", "spread")  # of a hook
_SCORES = "The output with the scores, if several could be."
_OUTPUT = "A picture (.png): the photo, what is fed of it, and each channel by itself, in their order."


@takes_options
def info(
    model: ModelPath,
    feeding: PreprocessingOptions,
    photo: Annotated[
        Path | None, typer.Option("--input", "-i", help="A photo, or - for one on standard input."), Word("PHOTO")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=_OUTPUT)] = None,
    labels: Annotated[Path | None, typer.Option(help="A text file with one label a line.")] = None,
    scores: Annotated[str | None, typer.Option(help=_SCORES)] = None,
    image_input: ImageInput = None,
    as_json: Json = False,
) -> None:
    """Tell what a model is, its hook, what it would be fed, and how it sees a photo.

    With --preprocess auto --examples FOLDER all presets are ranked, and none is used.
    """
    from openvino_xai.files.writing import check_output
    from openvino_xai.locate.located import Where
    from openvino_xai.runtime.inputs.doubts import doubts_of
    from openvino_xai.runtime.summary import summary_of

    if output is not None and photo is None:
        raise InputError("--output is a picture of a photo as the model sees it: say which with --input")
    if output is not None and output.suffix != ".png":
        raise InputError(f"{output} does not end in .png, which the picture is written as")
    if output is not None:
        check_output(output)
    name = model
    where = Where.parse(scores=scores, image_input=image_input)
    summary = summary_of(name, where)
    names = _labels(summary, labels)
    ranking = _ranking(feeding, name, where, names)
    fed = _fed(summary, feeding)
    view = None if photo is None else _photo(photo, fed, summary, output)
    if as_json:
        result: dict[str, Any] = {"model": name, **summary.to_dict(), "labels": names}
        result["preprocessing"] = None if fed is None else fed.to_dict()
        result["photo"] = view
        result["ranking"] = None if ranking is None else ranking.to_dict()
        say(to_json(result))
    else:
        for line in _lines(name, summary, names, fed, view):
            say(line)
        _say_ranking(ranking)
    if fed is not None:
        tell_doubts(doubts_of(fed), model=Path(name).name)


def _labels(summary: Summary, path: Path | None) -> list[str]:
    from openvino_xai.locate.tasks.label_groups import labels_of

    return labels_of(summary.info, summary.classes, summary.groups) if path is None else read_labels(path)


def _ranking(feeding: PreprocessingOptions, model: str, where: Where, labels: list[str]) -> Ranking | None:
    """The ranking of presets, where it is asked for. Raises an OvxaiError."""
    from openvino_xai.cli.preprocessing.ranking import ranking_of
    from openvino_xai.runtime.inputs.presets import PRESET

    if feeding.preprocess != AUTO and feeding.examples is None:
        return None
    values = {name: value for name, value in feeding.values().items() if name != PRESET}
    return ranking_of(model, where, feeding.examples, values, labels or None)


def _fed(summary: Summary, feeding: PreprocessingOptions) -> Preprocessing | None:
    """What would be fed, as these options have it; None for a model that takes no photo. Raises InputError."""
    from openvino_xai.runtime.inputs.presets import PRESET, updated_by

    values = feeding.values()
    if values.get(PRESET) == AUTO:
        del values[PRESET]
    return None if summary.preprocessing is None else updated_by(summary.preprocessing, values)


def _photo(path: Path, fed: Preprocessing | None, summary: Summary, output: Path | None) -> dict[str, Any]:
    """A photo as the model sees it, in numbers, and as a picture where that is to be written. Raises InputError."""
    from openvino_xai.render.photo import decode_photo, read_photo, write_picture

    if fed is None:
        raise InputError(f"no photo is fed to the model: {summary.unread}")
    pixels = decode_photo(standard_input(), "standard input") if str(path) == STANDARD_INPUT else read_photo(path)
    planes = fed(pixels)[0].transpose((0, 1, 2) if fed.layout == "NCHW" else (2, 0, 1))
    names = (
        ("grey",) if len(planes) == 1 else ("red", "green", "blue") if fed.reverse_input_channels else ("blue", "green", "red")
    )
    if output is not None:
        write_picture(output, _picture(pixels, fed, dict(zip(names, planes, strict=True))))
    channels = [
        {
            "colour": name,
            "min": round(float(plane.min()), 4),
            "mean": round(float(plane.mean()), 4),
            "max": round(float(plane.max()), 4),
        }
        for name, plane in zip(names, planes.astype(float), strict=True)
    ]
    box = [round(edge, 2) for edge in fed.box((pixels.shape[0], pixels.shape[1]))]
    return {"image": str(path), "size": [pixels.shape[1], pixels.shape[0]], "box": box, "channels": channels,
            "picture": None if output is None else str(output)}  # fmt: skip


def _picture(photo: np.ndarray, fed: Preprocessing, planes: Mapping[str, np.ndarray]) -> np.ndarray:
    """[H, W, 3] RGB bytes: the photo, what is fed of it, and each channel, from the least value of all to the greatest."""
    import numpy as np

    from openvino_xai.render.overlay import stretch
    from openvino_xai.render.sheet import sheet

    levels = stretch(np.stack(list(planes.values())).astype(np.float32))
    greys = [np.repeat(np.round(plane * 255).astype(np.uint8)[..., None], 3, axis=2) for plane in levels]
    captions = [
        f"{number}: {name} {plane.min():.4g}..{plane.max():.4g}" for number, (name, plane) in enumerate(planes.items(), start=1)
    ]
    tiles = [(photo, f"{photo.shape[1]}x{photo.shape[0]}"), (fed.pixels(photo), f"fed {fed.size[1]}x{fed.size[0]}")]
    return sheet([[*tiles, *zip(greys, captions, strict=True)]])


def _lines(
    name: str, summary: Summary, labels: list[str], fed: Preprocessing | None, photo: Mapping[str, Any] | None
) -> list[str]:
    """What a person reads."""
    from openvino_xai.operations.cost import human

    weights = ", ".join(f"{dtype} {human(size)}" for dtype, size in summary.weights.items()) or "none"
    lines = [f"{name}: {summary.version}", f"decides: {summary.decides}"]
    lines += [f"input '{port.name}': {port.dtype} {port.shape}" for port in summary.inputs]
    lines += [f"output '{port.name}': {port.dtype} {port.shape}" for port in summary.outputs]
    lines.append(f"constants: {weights}" + (", quantised" if summary.quantised else ""))
    of_classes = "" if summary.classes is None else f" for {summary.classes} classes"
    examples = ", ".join(f"'{label}'" for label in labels[:EXAMPLES]) + (", ..." if len(labels) > EXAMPLES else "")
    lines.append(f"labels: {len(labels)}{of_classes}, {examples}" if labels else f"labels: none{of_classes}")
    lines += [f"model_info {key}: {_short(value)}" for key, value in summary.info.items() if key != "labels"]
    hook = ", ".join(f"{key} {_short(summary.hook[key])}" for key in COST if key in summary.hook)
    lines.append(f"hook: {hook}" if hook else "hook: none")
    lines.append(f"fed: {fed.summary}, {fed.layout}, {fed.dtype}" if fed else f"fed: no photo; {summary.unread}")
    if fed is not None and fed.sources:
        parts = {source: [name for name in fed.sources if fed.sources[name] == source] for source in fed.sources.values()}
        lines.append("said by: " + "; ".join(f"{source} ({', '.join(names)})" for source, names in parts.items()))
    if photo is not None:
        lines.append(f"photo: {photo['image']}, {photo['size'][0]}x{photo['size'][1]}; seen of it: {photo['box']}")
        lines += [
            f"  {item['colour']}: {item['min']:g} to {item['max']:g}, mean {item['mean']:g}" for item in photo["channels"]
        ]
        lines += [f"  {photo['picture']}"] if photo["picture"] else []
    return lines


def _short(value: str) -> str:
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}..."


def _say_ranking(ranking: Ranking | None) -> None:
    from openvino_xai.cli.preprocessing.ranking import chosen, table, undecided

    if ranking is None:
        return
    for line in table(ranking):
        say(line)
    if ranking.winner is None:
        warn(undecided(ranking))
    else:
        say(chosen(ranking, ranking.winner))
