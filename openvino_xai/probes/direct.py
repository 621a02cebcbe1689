"""DIRECT for several planes side by side: each search names a point, and all are told the values of theirs at once.

SciPy's `direct` asks a function about one point at a time. Here each search has a thread, which stands still until it is told
the value of its point. What a search does depends on its own values alone, whatever goes on beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeAlias

from openvino_xai.errors import InputError

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Plane:
    """Where the largest value is looked for: between the corners `low` and `high`.

    The larger `epsilon`, the more a search looks where little is known; the smaller, the more around the best point so far.
    """

    low: Point
    high: Point
    epsilon: float


def search_all(
    planes: Sequence[Plane], evaluations: int, values_of: Callable[[Mapping[int, Point]], Mapping[int, float]]
) -> None:
    """Ask `values_of` `evaluations` times about a point of each plane, by its index.

    A search that has come to the last digits of its best point ends before the others. Raises InputError where SciPy is not
    installed, and what `values_of` raises.
    """
    try:
        from scipy.optimize import direct
    except ImportError as error:
        raise InputError(f"aise searches with {error.name}: pip install 'ovxai[aise]'") from error
    runs = [_Run(plane) for plane in planes]
    with ThreadPoolExecutor(max(1, len(runs))) as pool:
        futures = [pool.submit(run.search, direct, evaluations) for run in runs]
        try:
            for _ in range(evaluations):
                points = {index: point for index, run in enumerate(runs) if (point := run.next_point()) is not None}
                if not points:
                    break
                for index, value in values_of(points).items():
                    runs[index].values.put(value)
        finally:
            for run in runs:
                run.values.put(None)
    for future in futures:
        future.result()


class _Ended(Exception):
    """A search is told no more values."""


@dataclass(eq=False)
class _Run:
    """One search: points that it asks about, and values that it is told; None after the last of either."""

    plane: Plane
    points: SimpleQueue[Point | None] = field(default_factory=SimpleQueue)
    values: SimpleQueue[float | None] = field(default_factory=SimpleQueue)
    over: bool = False

    def next_point(self) -> Point | None:
        """The next point, None where the search is over."""
        point = None if self.over else self.points.get()
        self.over = point is None
        return point

    def search(self, direct: Any, evaluations: int) -> None:
        """Search, in a thread of its own."""

        def loss(point: Sequence[float]) -> float:
            self.points.put((float(point[0]), float(point[1])))
            if (value := self.values.get()) is None:
                raise _Ended
            return -value

        bounds = list(zip(self.plane.low, self.plane.high, strict=True))
        try:
            direct(loss, bounds, eps=self.plane.epsilon, maxfun=evaluations, maxiter=evaluations, locally_biased=False)
        except _Ended:
            pass
        except SystemError as error:  # what older versions of SciPy make of an exception
            if not isinstance(error.__cause__, _Ended):
                raise
        finally:
            self.points.put(None)
