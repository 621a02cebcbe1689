"""Photos, read and explained in order: several at a time, as far as memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Generic, TypeVar

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.sources import stamp

READERS = 2  # threads beside those that explain
AHEAD = 8  # photos that are read while others are explained, or written
IN_FLIGHT = 2**28  # bytes of decoded photos at a time, but where one alone has more

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Outcome(Generic[T]):
    """What became of a photo: what was made of its pixels, which take so many bytes, or why there is none; the stamp of its
    file before it was read.
    """

    path: Path
    source: list[int] | None
    nbytes: int
    result: T | ImageError


@dataclass(frozen=True, eq=False)
class _Photo:
    index: int
    path: Path
    source: list[int] | None
    pixels: np.ndarray | ImageError


def in_order(
    photos: Sequence[Path],
    make: Callable[[int, np.ndarray], T],
    *,
    streams: int,
    behind: Callable[[], int] = lambda: 0,
) -> Iterator[Outcome[T]]:
    """What `make` makes of each photo, by its index, and its pixels [H, W, 3], RGB bytes; an ImageError is the outcome, too.

    Threads read ahead. With several `streams` they make, too, as many at a time; with one that is done here, a photo after the
    other, so that an interrupt has none to wait for. `behind` tells the bytes of photos that are made, and still needed.
    """
    waiting, sizes = deque(range(len(photos))), deque[int](maxlen=AHEAD)
    ahead = deque[Future[_Photo | Outcome[T]]]()
    free = Semaphore(streams)

    def task(index: int) -> _Photo | Outcome[T]:
        photo = _read(index, photos[index])
        if streams == 1:
            return photo
        with free:
            return _outcome(photo, make)

    def room() -> bool:
        """Whether another may be read: one alone always, and no second before it is known how large one is."""
        return not ahead or (len(ahead) < AHEAD + streams and bool(sizes) and fits(behind() + (len(ahead) + 1) * max(sizes)))

    pool = ThreadPoolExecutor(READERS + streams)
    try:
        while waiting or ahead:
            while waiting and room():
                ahead.append(pool.submit(task, waiting.popleft()))
            item = ahead.popleft().result()
            outcome = _outcome(item, make) if isinstance(item, _Photo) else item
            sizes.append(outcome.nbytes)
            yield outcome
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, or Ctrl-C, no other is begun


def fits(nbytes: int) -> bool:
    """Whether photos of so many bytes may be decoded at a time."""
    return nbytes <= IN_FLIGHT


def _read(index: int, path: Path) -> _Photo:
    source = stamp(path)
    try:
        with blamed_on(path):
            return _Photo(index, path, source, read_photo(path))
    except ImageError as error:
        return _Photo(index, path, source, error)


def _outcome(photo: _Photo, make: Callable[[int, np.ndarray], T]) -> Outcome[T]:
    if isinstance(photo.pixels, ImageError):
        return Outcome(photo.path, photo.source, 0, photo.pixels)
    result: T | ImageError
    try:
        with blamed_on(photo.path):
            result = make(photo.index, photo.pixels)
    except ImageError as error:
        result = error
    return Outcome(photo.path, photo.source, photo.pixels.nbytes, result)
