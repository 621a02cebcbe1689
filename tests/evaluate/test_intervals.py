"""Bootstrap intervals, beside a slow bootstrap, and where the answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from openvino_xai.evaluate.classes import intervals as module
from openvino_xai.evaluate.classes.intervals import Interval, differences, intervals, intervals_of_means
from openvino_xai.evaluate.classes.metrics import overall


def rows_of(count: int, seed: int = 0, classes: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    names = ("average_drop", "coherency", "complexity", "insertion", "deletion")
    return [
        {
            "target": int(rng.integers(classes)),
            "metrics": {**dict(zip(names, rng.random(5).tolist(), strict=True)), "pointing_game": float(rng.random() < 0.7)},
        }
        for _ in range(count)
    ]


@pytest.mark.slow
def test_intervals_are_those_of_a_slow_bootstrap() -> None:
    rows = rows_of(40)
    rng = np.random.default_rng(1)
    slow: dict[str, list[float]] = {}
    for _ in range(2000):
        for name, value in overall([rows[index] for index in rng.integers(0, 40, 40)]).items():
            slow.setdefault(name, []).append(value)
    fast = intervals(rows, seed=0)
    assert fast.keys() == slow.keys() == overall(rows).keys()
    for name, values in slow.items():
        low, high = np.percentile(values, (2.5, 97.5))
        assert fast[name] == pytest.approx((low, high), abs=(high - low) / 10)
        assert fast[name].low < overall(rows)[name] < fast[name].high


def test_a_normal_mean() -> None:
    """95 % of a mean lie within 1.96 standard errors."""
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    rows = [{"target": 0, "metrics": {"insertion": float(value)}} for value in values]
    error = 1.96 * values.std() / 20
    assert intervals(rows, seed=0)["insertion"] == pytest.approx((values.mean() - error, values.mean() + error), abs=error / 10)


def test_any_column_has_an_interval() -> None:
    rows = rows_of(40)
    column = np.array([row["metrics"]["insertion"] for row in rows])
    assert intervals_of_means({"insertion": column}, seed=0)["insertion"] == intervals(rows, seed=0)["insertion"]
    assert intervals_of_means({"insertion": column[:9]}, seed=0) == {} == intervals_of_means({}, seed=0)


def test_pairs_settle_what_means_do_not() -> None:
    """A little more on every photo is settled, however much photos differ."""
    rows = rows_of(30)
    others = [{**row["metrics"], "insertion": row["metrics"]["insertion"] - 0.01} for row in rows]
    paired = differences(rows, others, seed=0)
    assert paired["insertion"] == pytest.approx((0.01, 0.01)) and paired["insertion"].settles
    assert paired["deletion"] == (0, 0) and not paired["deletion"].settles
    shuffled = [row["metrics"] for row in rows[::-1]]
    assert not differences(rows, shuffled, seed=0)["insertion"].settles
    assert not Interval(-0.1, 0.1).settles and Interval(-0.2, -0.1).settles


def test_few_photos_settle_nothing() -> None:
    rows = rows_of(9)
    assert intervals(rows, seed=0) == differences(rows, [row["metrics"] for row in rows], seed=0) == {}


def test_many_photos_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are drawn a part at a time, and are as many."""
    monkeypatch.setattr(module, "AT_ONCE", 200)
    parts = list(module._samples(50, seed=0))
    assert max(part.size for part in parts) <= 200 and sum(len(part) for part in parts) == module.SAMPLES
    assert all((part.sum(axis=1) == 50).all() for part in parts)
