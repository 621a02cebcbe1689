"""Many images, explained: decoding, inference and writing overlap, as far as memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.errors import ImageError, InputError, OutputError
from openvino_xai.explanation import Explanation, HeadsExplanation, Match
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.overlay import Style
from openvino_xai.runtime.folders.pipeline import AHEAD, Outcome, fits, in_order
from openvino_xai.runtime.manifest import HERE, Manifest
from openvino_xai.runtime.network import Network

WRITERS = 4  # threads, which wait for the disk most of the time


Explained: TypeAlias = Explanation | HeadsExplanation | Match


class Explainer(Protocol):
    """What explains photos: a network, or one with a photo that others are explained against."""

    @property
    def streams(self) -> int:
        """How many photos it explains best at a time."""

    def explain(self, image: np.ndarray, *, targets: str | None, also: Sequence[int]) -> Explained:
        """A photo, RGB bytes [H, W, 3], explained."""

    def label(self, k: int) -> str:
        """The label of a class."""


def explain_all(
    network: Explainer,
    photos: Sequence[Path],
    manifest: Manifest,
    *,
    targets: str | None,
    style: Style,
    classes: Mapping[Path, int] = MappingProxyType({}),
    places: Mapping[Path, Path] = MappingProxyType({}),
    to_check: Collection[Path] = (),
) -> Iterator[dict[str, Any] | ImageError]:
    """For each photo, in order: what was seen and written beside the manifest, or why it cannot be read, explained or drawn.

    `classes` are those that photos show: they are written down, and explained, too. `places` are the folders below the
    manifest's that photos' files go to. A network of classes checks the maps of the photos `to_check`. Raises InputError where
    files cannot be written.
    """
    writing: deque[tuple[int, Future[dict[str, Any]]]] = deque()
    streams = 1 if to_check else network.streams  # a check asks much more of each photo

    def explain(index: int, pixels: np.ndarray) -> Explained:
        path = photos[index]
        return _explained(path, pixels, network, targets, classes, check=path in to_check)

    def used() -> int:
        return sum(size for size, _ in writing)

    pool = ThreadPoolExecutor(WRITERS)
    try:
        for outcome in in_order(photos, explain, streams=streams, behind=used):
            if isinstance(outcome.result, ImageError):
                failed: Future[dict[str, Any]] = Future()
                failed.set_exception(outcome.result)
                writing.append((0, failed))
            else:
                task = _writing_task(outcome, outcome.result, network, manifest, style=style, classes=classes, places=places)
                writing.append((outcome.nbytes, pool.submit(task)))
            while len(writing) > AHEAD or (writing and not fits(used() + outcome.nbytes)):
                yield _outcome(writing.popleft()[1])
        while writing:
            yield _outcome(writing.popleft()[1])
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, or Ctrl-C, no other is begun


def _explained(
    path: Path, pixels: np.ndarray, network: Explainer, targets: str | None, classes: Mapping[Path, int], *, check: bool
) -> Explained:
    also = [classes[path]] if path in classes else []
    explanation: Explained = replace(network.explain(pixels, targets=targets, also=also), path=path)
    if check:
        assert isinstance(network, Network) and isinstance(explanation, Explanation)
        explanation = network.checked(explanation)
    return explanation


def _writing_task(
    outcome: Outcome[Explained],
    explanation: Explained,
    network: Explainer,
    manifest: Manifest,
    *,
    style: Style,
    classes: Mapping[Path, int],
    places: Mapping[Path, Path],
) -> Callable[[], dict[str, Any]]:
    """Name the files of a photo; the function that is returned draws and writes them, and returns the line."""
    path = outcome.path
    place = places.get(path, HERE)
    name, claim = manifest.name(str(path), path.stem, explanation.file_endings(style), place=place)
    facts: dict[str, Any] = {"name": name, "claim": claim, "source": outcome.source}
    if path in classes:
        k = classes[path]
        facts["label"] = {"id": k, "label": network.label(k)}
    return partial(_save_files, explanation, manifest.path.parent, facts, style)


def _save_files(explanation: Explained, folder: Path, facts: dict[str, Any], style: Style) -> dict[str, Any]:
    assert explanation.path is not None
    try:
        with blamed_on(explanation.path):
            files = explanation.save_pictures(folder, facts["name"], style=style)
    except (ImageError, OutputError):
        raise
    except InputError as error:  # what cannot be drawn, or be a PNG
        raise ImageError(f"cannot draw {explanation.path}: {error}") from error
    return {**explanation.to_dict(files), **facts}


def _outcome(item: Future[dict[str, Any]]) -> dict[str, Any] | ImageError:
    try:
        return item.result()
    except ImageError as error:
        return error
