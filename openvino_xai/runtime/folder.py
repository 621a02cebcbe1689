"""Many images, explained: decoding, inference and writing overlap, and what is done is not done again."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.explanation import Explanation
from openvino_xai.render.overlay import Style
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.network import Network

AHEAD = 8  # images that are decoded, or written, while others are inferred
THREADS = 4


@dataclass(frozen=True)
class Manifest:
    """The lines of a JSONL file, one for each image that is done; lines are only ever added.

    A line that a killed run left unfinished is overlooked, and so is one of which a file is gone or that was asked otherwise.
    """

    path: Path
    asked: Mapping[str, Any]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, asked: Mapping[str, Any]) -> Manifest:
        """The manifest at a path, which need not be there; `asked` is what makes an explanation another one."""
        manifest = cls(path, asked)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                told = json.loads(line)
            except json.JSONDecodeError:
                continue
            files = [file for target in told.get("targets", ()) for file in (target.get("overlay"), target.get("map"))]
            if told.get("asked") == dict(asked) and all(file and Path(file).exists() for file in files):
                manifest.done[told["image"]] = told
        return manifest

    def add(self, told: dict[str, Any]) -> None:
        """One more line, on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read() == b"\n" else b"\n")  # what a killed run left unfinished
            file.write(json.dumps(told).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.done[told["image"]] = told


def explain_all(
    network: Network,
    photos: Sequence[tuple[Path, str]],
    folder: Path,
    *,
    targets: str,
    style: Style,
    known: Mapping[Path, int] = MappingProxyType({}),
) -> Iterator[dict[str, Any] | ImageError]:
    """For each photo with the name of its files, in order: what was seen and written, or why it cannot be read.

    `known` is the class that a photo shows: it is told, and explained, too.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        reading: deque[Future[np.ndarray | ImageError]] = deque()
        writing: deque[Future[dict[str, Any]] | ImageError] = deque()
        for photo, _ in photos[:AHEAD]:
            reading.append(pool.submit(_read, photo))
        for count, (photo, name) in enumerate(photos):
            pixels = reading.popleft().result()
            if count + AHEAD < len(photos):
                reading.append(pool.submit(_read, photos[count + AHEAD][0]))
            if isinstance(pixels, ImageError):
                writing.append(pixels)
            else:
                shown = [known[photo]] if photo in known else []
                explanation = replace(network.explain(pixels, targets=targets, also=shown), path=photo)
                label = {"id": shown[0], "label": network.label(shown[0])} if shown else None
                writing.append(pool.submit(_written, explanation, folder, name, style, label))
            while len(writing) > AHEAD:
                yield _result(writing.popleft())
        while writing:
            yield _result(writing.popleft())


def _read(photo: Path) -> np.ndarray | ImageError:
    try:
        return read_photo(photo)
    except ImageError as error:
        return error


def _written(explanation: Explanation, folder: Path, name: str, style: Style, label: dict[str, Any] | None) -> dict[str, Any]:
    files = explanation.save(folder, name, style=style)
    told: dict[str, Any] = explanation.to_dict() | ({} if label is None else {"label": label})
    told["name"] = name
    told["targets"] = [{**target, **paths} for target, paths in zip(told["targets"], files, strict=True)]
    return told


def _result(item: Future[dict[str, Any]] | ImageError) -> dict[str, Any] | ImageError:
    return item if isinstance(item, ImageError) else item.result()
