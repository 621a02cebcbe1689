"""Many images, explained: decoding, inference and writing overlap, as far as memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.errors import ImageError, InputError, OutputError
from openvino_xai.explanation import Explanation, HeadsExplanation, Match
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.overlay import Style
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.manifest import HERE, Manifest
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.sources import stamp

AHEAD = 8  # images that are decoded, or written, while others are inferred
THREADS = 4
IN_FLIGHT = 2**28  # bytes of decoded photos at a time, but where one alone has more


Explained: TypeAlias = Explanation | HeadsExplanation | Match


class Explainer(Protocol):
    """What explains photos: a network, or one with a photo that others are explained against."""

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
    waiting, sizes = deque(photos), deque([IN_FLIGHT], maxlen=AHEAD)  # nobody knows how large the first is
    reading: deque[Future[_Photo]] = deque()
    writing: deque[tuple[int, Future[dict[str, Any]]]] = deque()

    def used() -> int:
        return sum(size for size, _ in writing)

    with ThreadPoolExecutor(THREADS) as pool:
        while waiting or reading or writing:
            while waiting and len(reading) < AHEAD:
                if (reading or writing) and used() + (len(reading) + 1) * max(sizes) > IN_FLIGHT:
                    break
                reading.append(pool.submit(_read, waiting.popleft()))
            if reading:
                try:
                    photo = reading.popleft().result()
                    sizes.append(photo.pixels.nbytes)
                    explanation = _explained(photo, network, targets, classes, check=photo.path in to_check)
                    task = _writing_task(photo, explanation, network, manifest, style=style, classes=classes, places=places)
                    writing.append((sizes[-1], pool.submit(task)))
                except ImageError as error:
                    failed: Future[dict[str, Any]] = Future()
                    failed.set_exception(error)
                    writing.append((0, failed))
            while writing and (not reading or len(writing) > AHEAD or used() > IN_FLIGHT):
                yield _outcome(writing.popleft()[1])


@dataclass(frozen=True, eq=False)
class _Photo:
    """A decoded photo, and the stamp of its file before it was read."""

    path: Path
    source: list[int] | None
    pixels: np.ndarray


def _read(path: Path) -> _Photo:
    source = stamp(path)
    with blamed_on(path):
        return _Photo(path, source, read_photo(path))


def _explained(
    photo: _Photo, network: Explainer, targets: str | None, classes: Mapping[Path, int], *, check: bool
) -> Explained:
    also = [classes[photo.path]] if photo.path in classes else []
    with blamed_on(photo.path):
        explanation: Explained = replace(network.explain(photo.pixels, targets=targets, also=also), path=photo.path)
        if check:
            assert isinstance(network, Network) and isinstance(explanation, Explanation)
            explanation = network.checked(explanation)
    return explanation


def _writing_task(
    photo: _Photo,
    explanation: Explained,
    network: Explainer,
    manifest: Manifest,
    *,
    style: Style,
    classes: Mapping[Path, int],
    places: Mapping[Path, Path],
) -> Callable[[], dict[str, Any]]:
    """Name the files of a photo; the function that is returned draws and writes them, and returns the line."""
    place = places.get(photo.path, HERE)
    name, claim = manifest.name(str(photo.path), photo.path.stem, explanation.file_endings(style), place=place)
    facts: dict[str, Any] = {"name": name, "claim": claim, "source": photo.source}
    if photo.path in classes:
        k = classes[photo.path]
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
