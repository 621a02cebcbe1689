"""What the study sets beside each other: times, float and INT8 networks, and the tables of papers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from colours import colour_model, photo_examples

import openvino_xai as xai

METHODS = ("reciprocam", "grad_cam", "saliency")


def compared(study: ModuleType, folder: Path, *, weights: float = 1.0) -> list[Any]:
    """A network, and one with other weights that is said to be made from it, on ten photos."""
    photo_examples(folder / "photos")
    models = folder / "first.onnx", folder / "second.onnx"
    second = colour_model()
    for tensor in second.graph.initializer:
        if tensor.name == "w":
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(weights), "w"))
    onnx.save(colour_model(), models[0])
    onnx.save(second, models[1])
    networks = importlib.import_module("studies.networks").Study
    plan = study.Plan(folder / "work", methods=METHODS, limit=10, causal=0)
    titles = "float, photos", "INT8, photos"
    origins = "", titles[0]
    return [
        study.Measured(networks(title, model, folder / "photos", made_from=origin), plan)
        for title, model, origin in zip(titles, models, origins, strict=True)
    ]


@pytest.mark.slow
def test_a_network_explains_as_the_one_that_it_was_made_from(study: ModuleType, tmp_path: Path) -> None:
    pair = compared(study, tmp_path)
    study.measure_maps(pair)
    study.measure_pairs(pair)
    lines = study.pairs.table(study.pairs.pairs_of(pair)).splitlines()[2:]
    assert len(lines) == len(METHODS)
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == "INT8"
        assert cells[2:4] == ["10", "100"]  # photos, and percent of them with the same class
        assert cells[9:11] == ["+0.0 [+0.0, +0.0]", "never: the same"]
    journal = sorted((tmp_path / "work" / "pairs").rglob("rows.jsonl"))
    before = [path.read_text() for path in journal]
    study.measure_pairs(pair)
    assert [path.read_text() for path in journal] == before


@pytest.mark.slow
def test_another_network_is_seen(study: ModuleType, tmp_path: Path) -> None:
    """With its weights turned around a network predicts other classes; where nothing is measured, cells are empty."""
    pair = compared(study, tmp_path, weights=-1.0)
    study.measure_pairs(pair)
    lines = study.pairs.table(study.pairs.pairs_of(pair)).splitlines()[2:]
    shares = [int(line.strip("|").split("|")[3]) for line in lines]
    assert len(lines) == len(METHODS)
    assert max(shares) < 100
    assert all(line.endswith("|  |  |  |  |  |  |") for line in lines)


@pytest.mark.slow
def test_times_stand_beside_the_plain_network(study: ModuleType, tmp_path: Path) -> None:
    timing = study.timing
    pair = compared(study, tmp_path)
    assert timing.distinct([*pair, pair[0]]) == [pair[0]]  # these have the same bytes
    timing.measure(pair[0])
    seconds_of = timing.times(pair[0])
    assert set(seconds_of) == set(METHODS)
    assert all(len(turns) == timing.TURNS for seconds in seconds_of.values() for turns in seconds.values())
    seconds = {"method": [3.0, 8.0, 100.0], "plain": [1.0, 2.0, 50.0]}
    assert timing.ratio(seconds, "plain") == 3  # of 3, 4 and 2: turns are compared, not means
    assert re.search(r"\| `reciprocam` \| [\d.]+ \| 1.2 \|", timing.table(pair[:1], "plain", {"reciprocam": 1.2}))


def test_how_many_photos_take_long_methods_have(study: ModuleType) -> None:
    """What is asked for, then what suits the network."""
    networks, rows = importlib.import_module("studies.networks").Study, importlib.import_module("studies.rows")
    for of_study, of_plan, few in ((None, None, 4), (2, None, 2), (2, 10, 10), (None, 10, 10)):
        plan = study.Plan(Path(), few=of_plan)
        assert rows.Measured(networks("ours", Path(), Path(), few=of_study), plan).few == few


def test_a_row_tells_how_many_masks_it_took(study: ModuleType) -> None:
    """Of other numbers of masks nothing is read again."""
    rows = importlib.import_module("studies.rows")
    with_masks = {method for method in rows.METHODS if rows.masks_of(study.Plan(Path(), masks=7), method) == 7}
    assert with_masks == {"rise", "lime", "kernel_shap", "tis"}


class Rows:
    """A study that is measured already."""

    def __init__(self, study: ModuleType, values: dict[str, np.ndarray]) -> None:
        self.study, self.plan, self.values = type("Study", (), {"title": "ours"}), study.Plan(Path()), values

    def rows_as(self, protocol: str, method: str, names: Sequence[str]) -> list[dict[str, Any]]:
        assert (protocol, list(names)) == ("Abs-CAM", ["average_drop"])
        return self.rows(method)

    def rows(self, method: str) -> list[dict[str, Any]]:
        values = self.values.get(method, [])
        return [{"image": str(n), "target": 0, "metrics": {"average_drop": float(v)}} for n, v in enumerate(values)]


def test_the_order_of_a_paper_is_held_to_ours(study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of drop, less is better: who drops less is ahead, there and here."""
    published = study.published
    (tmp_path / "table.csv").write_text("network,method,drop\nN,Grad-CAM,40\nN,Score-CAM,30\nN,Abs-CAM,20\nN,FD-CAM,50\n")
    column = published.Published("a paper", "table.csv", "drop", "average_drop", ("average_drop",))
    monkeypatch.setattr(published, "COLUMNS", (column,))
    base = np.random.default_rng(0).random(30)
    values = {"grad_cam": base + 0.2, "score_cam": base + 0.1, "abs_cam": base + 0.15 + np.resize([0.2, -0.2], 30)}
    tables = published.sections(tmp_path, [Rows(study, values)])
    assert tables["published_counts"].splitlines()[2:] == ["| a paper | ours | 30 | 1 | 0 | 2 |"]
    figures, order = tables["table_drop"].split("\n\n")
    assert figures.splitlines()[2] == f"| `grad_cam` | 40.0 | {(base.mean() + 0.2) * 100:.1f} (30) |"
    assert figures.splitlines()[-1] == "| `fd_cam` | 50.0 |  |"
    assert order.splitlines()[2:] == ["| `score_cam` | `grad_cam` | 1 of 1 | same: -10.0 [-10.0, -10.0], 30 photos |"]
    values["score_cam"] = base + 0.3
    tables = published.sections(tmp_path, [Rows(study, values)])
    assert "other way: +10.0" in tables["table_drop"]
    assert tables["published_counts"].splitlines()[2] != "| a paper | ours | 30 | 1 | 0 | 2 |"


def test_what_a_paper_measures_in_its_way_has_a_table_of_its_own(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = study.published
    (tmp_path / "table.csv").write_text("network,method,drop\nN,Grad-CAM,40\nN,Score-CAM,30\n")
    columns = [
        published.Published("a paper", "table.csv", "drop", "average_drop", ("average_drop",), protocol)
        for protocol in ("", "Abs-CAM")
    ]
    base = np.random.default_rng(0).random(30)
    rows = Rows(study, {"grad_cam": base + 0.2, "score_cam": base + 0.1})
    for some, names in ((columns, {"table_drop_as_published"}), (columns[:1], set())):
        monkeypatch.setattr(published, "COLUMNS", some)
        assert set(published.as_published(tmp_path, [rows])) == names
    monkeypatch.setattr(published, "COLUMNS", columns)
    assert "same: -10.0" in published.as_published(tmp_path, [rows])["table_drop_as_published"]
    assert published.protocols() == {"FD-CAM": (), "Abs-CAM": ("average_drop",)}


@pytest.mark.slow
def test_methods_are_measured_as_a_paper_does(study: ModuleType, tmp_path: Path) -> None:
    """The half of the pixels is shown, so that drops are others than under the map itself; either is kept."""
    (first, _), names = compared(study, tmp_path), ("average_drop", "average_increase")
    first.measure("grad_cam")
    first.measure_as("Abs-CAM", "grad_cam", names, 4)
    ours, theirs = first.rows("grad_cam"), first.rows_as("Abs-CAM", "grad_cam", names)
    assert (len(ours), len(theirs), first.rows_as("FD-CAM", "grad_cam", names)) == (10, 4, [])
    network = first.network("grad_cam")
    for row in theirs:
        case = xai.metrics.case(network, row["image"], row["target"], choices=xai.metrics.Choices(scaled="half"))
        assert row["metrics"] == xai.metrics.measure(case, names)
