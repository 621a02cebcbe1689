"""Searches side by side: what each does is what it would do alone, and nothing is left behind when one ends early."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping

import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.probes import Settings
from openvino_xai.probes.direct import Plane, Point, search_all

PEAKS = np.array([[0.31, 0.72], [0.05, 0.9], [0.5, 0.5], [1.4, 0.2]])
PLANE, FAR = Plane((0, 0), (1, 1), 0.05), Plane((1, 0), (2, 0.5), 0.05)
PLANES = [PLANE, PLANE, PLANE, FAR]


def asked_of(planes: list[Plane], peaks: np.ndarray, evaluations: int) -> list[list[Point]]:
    """The points that each search asks about, where values fall with the distance from its peak."""
    points: list[list[Point]] = [[] for _ in planes]

    def values_of(centers: Mapping[int, Point]) -> dict[int, float]:
        for index, point in centers.items():
            points[index].append(point)
        return {index: -float(np.abs(peaks[index] - point).sum()) for index, point in centers.items()}

    search_all(planes, evaluations, values_of)
    return points


def test_the_peak_is_where_most_is_asked() -> None:
    for peak, plane, points in zip(PEAKS, PLANES, asked_of(PLANES, PEAKS, 60), strict=True):
        assert len(points) == 60
        away = np.abs(np.array(points) - peak).sum(axis=1)
        assert away.min() < 0.02
        assert (away < 0.2).mean() > 0.24  # at most 16 % of a plane is as near
        assert all(low <= x <= high for point in points for low, x, high in zip(plane.low, point, plane.high, strict=True))


def test_a_search_does_what_it_does_alone() -> None:
    together = asked_of(PLANES, PEAKS, 40)
    for peak, plane, points in zip(PEAKS, PLANES, together, strict=True):
        assert asked_of([plane], peak[None], 40) == [points]


def test_a_search_that_ends_early_stops_no_other() -> None:
    """DIRECT ends where its best part of the plane is 1e-6 wide: sooner around some points than around others."""
    sooner, later = asked_of([PLANE] * 2, np.array([[0.31, 0.72], [0.5, 0.5]]), 1500)
    assert len(sooner) < len(later) == 1500


@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
def test_what_is_raised_ends_all_searches(error: BaseException) -> None:
    before, rounds = threading.active_count(), []

    def values_of(centers: Mapping[int, Point]) -> dict[int, float]:
        rounds.append(len(centers))
        if len(rounds) == 3:
            raise error
        return dict.fromkeys(centers, 0.0)

    with pytest.raises(type(error)):
        search_all(PLANES, 50, values_of)
    assert rounds == [4, 4, 4]
    assert threading.active_count() == before


def test_without_scipy_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(InputError, match=r"aise searches with scipy.*: pip install 'ovxai\[aise\]'"):
        search_all([PLANE], 5, lambda centers: dict.fromkeys(centers, 0.0))


@pytest.mark.parametrize("count", [0, -3, 100_001])
def test_how_many_evaluations(count: int) -> None:
    with pytest.raises(InputError, match=f"evaluations is {count}; "):
        Settings(evaluations=count)
