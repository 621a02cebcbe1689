"""`scripts/growth.py`: points are measured once, marked where they are far from the law, and counted as by hand."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny import DIALECTS

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.operations.cost import operations

SIZES = {"side": 64, "widths": (8, 16, 16, 32)}


@pytest.fixture
def growth(scripts: None) -> ModuleType:
    return importlib.import_module("growth")


@pytest.fixture
def points(growth: ModuleType) -> ModuleType:
    return importlib.import_module("costs.points")


def counted(monkeypatch: pytest.MonkeyPatch, growth: ModuleType, measures: Sequence[Any] = ()) -> list[Any]:
    """The points that are measured from now on, truly or as `measures` tell in turn; behind these somebody presses Ctrl-C."""
    seen_points: list[Any] = []
    original, results = growth.measured, iter(measures)

    def measured(point: Any, folder: Path, rounds: int) -> Any:
        if measures:
            result = next(results, None)
            if result is None:
                raise KeyboardInterrupt
        else:
            result = original(point, folder, rounds)
        seen_points.append(point)
        return result

    monkeypatch.setattr(growth, "measured", measured)
    return seen_points


def measure_of(points: ModuleType, work: float, cost: float, answer: int) -> Any:
    return points.Measure((1e-3, 2e-3), (1e-3, work * 1e-3), 5, (10**8, 10**8), (40, answer), cost, 1000)


@pytest.mark.slow
def test_points_are_measured_once(growth: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["--work", str(tmp_path), "--quick", "--axis", "cells", "--runtime", "onnxruntime", "--rounds", "5"]
    measured = counted(monkeypatch, growth)
    assert growth.main(options) == 0
    assert [point.cells for point in measured] == [2, 4]
    text = (tmp_path / "growth.md").read_text()
    assert growth.main(options) == 0
    assert len(measured) == 2
    assert (tmp_path / "growth.md").read_text() == text
    assert (tmp_path / "growth_cells.png").read_bytes().startswith(b"\x89PNG")
    for line in (tmp_path / "growth.jsonl").read_text().splitlines():
        measure = json.loads(line)["measure"]
        assert min(*measure["wall"], *measure["cpu"]) > 0
        assert min(measure["peak"]) > 10**6
        assert measure["cost"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_answer_and_the_price_are_those_of_the_law(points: ModuleType, dialect: str, tmp_path: Path) -> None:
    """A hook takes a linear head once a cell: operations beside it are few for each element of the scores."""
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[dialect]
    cells, classes, channels = 4, 100, 32
    network = importlib.import_module("costs.network")
    path = network.write_network(tmp_path / f"plain{suffix}", cells=cells, classes=classes, batch=2, **SIZES)
    for targets in ("all", "top:5"):
        hooked = xai.insert(path, layer="features", targets=targets, verify=False)
        plain = operations(open_model(path).graph.nodes)
        added = (hooked.layer.cost - 1) * plain / 2
        assert cells**2 * channels * classes < added < cells**2 * (channels + 12) * classes + 20 * cells**2 * channels
        outputs = hooked.deployed.compile()(xai.dialects.random_inputs.random_inputs(open_model(path)))
        point = points.Point("", cells, classes, 2, 64, targets, ())
        assert sum(array.nbytes for array in outputs.values()) == points.counted_answer(point)


def test_axes_vary_one_thing_around_one_network(points: ModuleType) -> None:
    base = points.Point("openvino", 7, 1000, 1, 224, "all", points.FULL.widths)
    for axis in points.AXES:
        line = dict(points.FULL.points(axis, "openvino"))
        assert list(line) == list(points.FULL.values[axis])
        assert base in [point for _, point in points.FULL.points(axis, "openvino")]
    assert [point.cells for _, point in points.FULL.points("image", "openvino")] == [7, 10, 16, 24, 32]
    assert {point.targets for _, point in points.FULL.points("classes", "openvino")} == set(points.TOP)


@pytest.mark.slow
def test_what_is_far_from_the_law_is_marked(
    growth: ModuleType, points: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--work", str(tmp_path), "--quick", "--axis", "cells", "--runtime", "openvino"]
    near, far = measure_of(points, 1.29, 1.0, 200), measure_of(points, 0.7, 1.0, 681)
    with monkeypatch.context() as stopped:
        measured = counted(stopped, growth, [near])
        assert growth.main(options) == growth.STOPPED
        assert not (tmp_path / "growth.md").exists()
    with (tmp_path / "growth.jsonl").open("a") as torn:
        torn.write('{"point": half a li')
    measured = counted(monkeypatch, growth, [far])
    assert growth.main(options) == 0
    assert [point.cells for point in measured] == [4]
    lines = [line for line in (tmp_path / "growth.md").read_text().splitlines() if "openvino |" in line]
    assert "| 2.00 | 1.29 | 1.00 | 100 | 1.00 | 1.00 | 200 | 200 |" in lines[0]
    assert "| 2.00 | **0.70** | 1.00 | 100 | 1.00 | 1.00 | 681 | 680 |" in lines[1]
    assert (
        "1 of 1: openvino, 4x4 cells, 10 classes, batch 1, 64 pixels, all: CPU time 0.70, counted 1.00"
        in capsys.readouterr().err
    )
    journal = points.Journal(tmp_path / "growth.jsonl")
    assert list(journal.measures.values()) == [near, far]
    monkeypatch.setattr(points, "code", lambda: "other")
    assert not points.Journal(tmp_path / "growth.jsonl").measures


def test_what_differs_is_what_is_more_than_three_tenths_apart(points: ModuleType) -> None:
    assert [points.apart(figure, 1.0) for figure in (0.78, 1.0, 1.29)] == [False] * 3
    assert [points.apart(figure, 1.0) for figure in (0.76, 1.31, float("nan"))] == [True] * 3
    assert replace(measure_of(points, 1, 1, 1), peak=(100, 131), memory=0).peaks == 1.31


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--rounds", "4"], "--rounds is 4: 5 or more is expected"),
        (["--axis", "depth"], "invalid choice: 'depth'"),
        (["--runtime", "torch"], "invalid choice: 'torch'"),
        (["--quick", "--write"], "leave --quick out"),
    ],
)
def test_wrong_options_are_refused(
    growth: ModuleType, options: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        growth.main(["--work", str(tmp_path / "work"), *options])
    assert end.value.code == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_a_file_where_the_folder_is_to_be_is_one_line(
    growth: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert growth.main(["--work", str(tmp_path / "file"), "--quick"]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("growth: ") and streams.err.count("\n") == 1
