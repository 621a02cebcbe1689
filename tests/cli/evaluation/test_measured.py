"""`ovxai evaluate` on a network and photos that take no time: what stands beside the method, and what so many photos settle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ovxai = Callable[..., str]


@pytest.fixture
def ovxai(evaluate_colours: Ovxai, monkeypatch: pytest.MonkeyPatch) -> Ovxai:
    monkeypatch.setenv("COLUMNS", "160")
    return evaluate_colours


def evaluated(ovxai: Ovxai, *arguments: object) -> Any:
    return json.loads(ovxai("--json", *arguments))


@pytest.mark.slow
def test_maps_that_explain_nothing_stand_beside(ovxai: Ovxai) -> None:
    result = evaluated(ovxai, "--metric", "adcc", "--metric", "insertion", "--output", "scores")
    names = {"average_drop", "coherency", "complexity", "insertion", "adcc"}
    assert set(result["baselines"]) == {"gaussian", "random", "fake_cam"}
    for baseline in result["baselines"].values():
        assert set(baseline["metrics"]) == set(baseline["differences"]) == names
    assert result["baselines"]["fake_cam"]["metrics"]["complexity"] > 0.9
    assert set(result["intervals"]) == names
    rows = [json.loads(line) for line in Path("scores/rows.jsonl").read_text().splitlines()]
    assert all(set(row["baselines"]) == set(result["baselines"]) for row in rows)
    again = evaluated(ovxai, "--metric", "adcc", "--metric", "insertion", "--output", "scores")
    assert {**again, "images_per_second": 0} == {**result, "images_per_second": 0}  # rows are kept, and seeds are


@pytest.mark.slow
def test_the_table(ovxai: Ovxai) -> None:
    table = ovxai("--metric", "complexity", "--metric", "insertion")
    (head,) = (line for line in table.splitlines() if line.startswith("metric"))
    assert head.split() == ["metric", "mean", "95", "%", "gaussian", "random", "fake-cam", "better", "is"]
    bare = ovxai("--metric", "complexity", "--no-baselines")
    assert "gaussian" not in bare and "~" not in bare
    few = ovxai("--metric", "complexity", "--limit", "4")
    assert "fewer than 10 images: what differs may be chance, and no interval is told" in few and "~" not in few


@pytest.mark.slow
def test_what_photos_do_not_settle_is_marked(ovxai: Ovxai) -> None:
    """A photo of one colour is of its class whatever a map keeps of it, so that no map inserts better."""
    table = ovxai("--metric", "deletion")
    (line,) = (line for line in table.splitlines() if line.startswith("deletion"))
    result = evaluated(ovxai, "--metric", "deletion")
    low_high = [baseline["differences"]["deletion"] for baseline in result["baselines"].values()]
    assert line.count("~") == sum(low <= 0 <= high for low, high in low_high)


@pytest.mark.slow
def test_rows_without_baselines_are_measured_anew(ovxai: Ovxai) -> None:
    ovxai("--metric", "complexity", "--output", "scores", "--no-baselines")
    result = evaluated(ovxai, "--metric", "complexity", "--output", "scores")
    assert set(result["baselines"]) == {"gaussian", "random", "fake_cam"}


@pytest.mark.slow
def test_a_table_of_parquet_has_a_column_each(ovxai: Ovxai) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    ovxai("--metric", "complexity", "--output", "scores", "--parquet")
    row, *_ = parquet.read_table("scores/rows.parquet").to_pylist()
    assert 0 <= row["gaussian.complexity"] <= 1 and "baselines" not in row


@pytest.mark.slow
def test_all_metrics_and_a_wrong_word(ovxai: Ovxai) -> None:
    result = evaluated(ovxai, "--metric", "all", "--limit", "1", "--no-baselines")
    assert {"road", "sic", "aic", "infidelity", "sparsity"} <= set(result["metrics"])
    assert result["intervals"] == {}
    assert "did you mean 'insertion'" in ovxai("--metric", "insertoin", status=2)
