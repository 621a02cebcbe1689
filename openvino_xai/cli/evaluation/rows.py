"""The rows of `ovxai evaluate`: measured in turn, kept, gone on with, and written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from openvino_xai.cli.evaluation.request import Request
from openvino_xai.cli.text import progress, say_table, warn
from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.paths import is_link
from openvino_xai.json_text import from_json, to_json

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.evaluate.sanity import Stage
    from openvino_xai.runtime.inputs.targets import TargetsOfImage
    from openvino_xai.runtime.network import Network


class Pictured(Protocol):
    """What is known of a photo."""

    @property
    def path(self) -> Path:
        """Where it is."""


OfPhoto = TypeVar("OfPhoto", bound=Pictured)


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


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write the result beside the rows."""
    from openvino_xai.files.writing import written_whole

    with written_whole(folder / "metrics.json") as temporary:
        temporary.write_text(to_json(result, indent=2) + "\n", encoding="utf-8")


def stages_of(model: Model, load: Callable[[Model], Network], photos: dict[str, TargetsOfImage], seed: int) -> list[Stage]:
    """How alike the maps of photos are where weights are shuffled; `load` makes a network of a model without a hook."""
    from openvino_xai.evaluate.sanity import sanity

    with progress("randomising") as show:
        stages: list[Stage] = []
        for stage in sanity(model, load, photos, seed=seed):
            stages.append(stage)
            show(f"randomised {stage.layer}", len(stages), len(stages) + 1)
    return stages


def print_stages(stages: list[Stage]) -> None:
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
