"""Many images at a time: what is wrong with one ends nothing, and memory is bounded."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError
from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.render.overlay import Style
from openvino_xai.runtime.folder import explain_all
from openvino_xai.runtime.folders import pipeline
from openvino_xai.runtime.manifest import Manifest
from openvino_xai.runtime.sources import stamps

SIDE = 20


class Network:
    """Explains a photo by its first pixel: 1 is a map with NaN, 2 lacks memory, 3 is refused by OpenCV."""

    def __init__(self, streams: int = 1, at_work: Callable[[], object] = lambda: None) -> None:
        self.streams, self._at_work = streams, at_work

    def explain(self, image: np.ndarray, **more: Any) -> Explanation:
        self._at_work()
        kind = int(image[0, 0, 0])
        if kind == 2:
            raise MemoryError
        if kind == 3:
            cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))
        maps = np.full((1, 2, 2), np.nan if kind == 1 else 0.5, np.float32)
        targets = (Prediction(0, "0", 1.0),)
        return Explanation(image, targets, targets, maps, (0, 0, SIDE, SIDE), {})


def photos(tmp_path: Path, *kinds: int) -> list[Path]:
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / "photos" / f"{number:02}.png" for number in range(len(kinds))]
    for path, kind in zip(paths, kinds, strict=True):
        cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), kind, np.uint8))
    return paths


def explained(paths: list[Path], output: Path, network: Any = None) -> Iterator[dict[str, Any] | ImageError]:
    manifest = Manifest.read(output / "explanations.jsonl", {}, stamps(paths))
    network = network or Network()
    return explain_all(network, paths, manifest, targets="top:1", style=Style())


@pytest.mark.parametrize("streams", [1, 3])
def test_what_is_wrong_with_one_image_is_told_for_it(tmp_path: Path, streams: int) -> None:
    paths = photos(tmp_path, 0, 1, 2, 3, 0)
    first, *failures, last = explained(paths, tmp_path / "out", Network(streams))
    assert isinstance(first, dict) and isinstance(last, dict)
    for path, failure, why in zip(paths[1:4], failures, ("not finite", "memory does not suffice", "OpenCV"), strict=True):
        assert isinstance(failure, ImageError) and str(path) in str(failure) and why in str(failure)


@pytest.mark.parametrize("streams", [1, 3])
def test_pixels_in_flight_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: int) -> None:
    """Where one photo fills what is allowed they are worked on one at a time."""
    paths = photos(tmp_path, *[0] * 12)
    lock, read, most = threading.Lock(), [0], [0]
    read_photo = pipeline.read_photo

    def counted(path: Path) -> np.ndarray:
        with lock:
            read[0] += 1
            most[0] = max(most[0], read[0])
        return read_photo(path)

    monkeypatch.setattr(pipeline, "read_photo", counted)
    for allowed, expected in ((SIDE * SIDE * 3, 1), (SIDE * SIDE * 3 * 4, 4)):
        read[0] = most[0] = 0
        monkeypatch.setattr(pipeline, "IN_FLIGHT", allowed)
        for outcome in explained(paths, tmp_path / f"out{expected}", Network(streams)):
            assert isinstance(outcome, dict)
            with lock:
                read[0] -= 1
        assert most[0] <= expected


def test_several_are_explained_at_a_time_and_told_in_order(tmp_path: Path) -> None:
    """Behind the first, of which nobody knew how large it is, each waits for two others, and there are no more at a time."""
    paths, calls = photos(tmp_path, *[0] * 10), itertools.count()
    meeting, at_work, most = threading.Barrier(3, timeout=60), list[int](), list[int]()

    def meet() -> None:
        at_work.append(1)
        most.append(len(at_work))
        if next(calls):
            meeting.wait()
        at_work.pop()

    lines = list(explained(paths, tmp_path / "out", Network(3, meet)))
    assert [Path(line["image"]).name for line in lines if isinstance(line, dict)] == [path.name for path in paths]
    assert max(most) == 3


def test_one_at_a_time_is_explained_in_the_thread_that_an_interrupt_reaches(tmp_path: Path) -> None:
    threads = set[threading.Thread]()
    list(explained(photos(tmp_path, 0, 0), tmp_path / "out", Network(1, lambda: threads.add(threading.current_thread()))))
    assert threads == {threading.current_thread()}


def test_an_interrupt_leaves_what_is_not_begun(tmp_path: Path) -> None:
    paths, begun = photos(tmp_path, *[0] * 40), list[int]()
    run = explained(paths, tmp_path / "out", Network(2, lambda: begun.append(1)))
    next(run)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt)  # type: ignore[attr-defined]  # a generator
    assert len(begun) < len(paths)
