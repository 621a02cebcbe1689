"""The benchmark measures what it says; no figure of it is tested, for machines differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.benchmark.alone import measure_alone
from openvino_xai.benchmark.compare import Setting, compare
from openvino_xai.benchmark.pairs import ROUNDS, Pair, measure
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import ModelError
from openvino_xai.record.removal import unhooked

pytestmark = pytest.mark.slow

CASE = CASES["mlp head"]


def written(folder: Path, dialect: str) -> Path:
    if dialect == "onnx":
        onnx.save(CASE.build("B", 17), folder / "tiny.onnx")
        return folder / "tiny.onnx"
    ov.save_model(in_dialect(CASE.build("B", 17), dialect), folder / "tiny.xml", compress_to_fp16=False)
    return folder / "tiny.xml"


def test_both_models_are_run_equally_often_and_in_turn() -> None:
    ran: list[str] = []

    def fake(name: str) -> Running:
        def once(inputs: object) -> object:
            ran.append(name)
            return None

        return Running(lambda inputs: {}, once, lambda inputs, count: None, "f32")

    pair = measure(fake("plain"), fake("hooked"), {"image": np.zeros((2, 3))}, 4)
    assert ran[-8:] == ["plain", "hooked", "hooked", "plain"] * 2
    assert pair.latency.shape == (2, 4)
    assert pair.throughput.shape == (2, ROUNDS)


def test_ratios_are_hooked_over_plain() -> None:
    pair = Pair(np.array([[1.0, 1, 9], [2, 2, 2]]), np.array([[10.0, 10], [5, 5]]))
    assert pair.latency_ratio == 2
    assert pair.throughput_ratio == 0.5


@pytest.mark.parametrize("dialect", DIALECTS)
def test_comparing_a_plain_model_with_its_plans(dialect: str, tmp_path: Path) -> None:
    path = written(tmp_path, dialect)
    hooked = {plan: xai.insert(path, layer="f", plan=plan).deployed for plan in ("lazy", "direct")}
    calls = []
    rows = compare(open_model(path), hooked, Setting(batch=3, iterations=4), lambda *call: calls.append(call))
    assert [row.name for row in rows] == ["plain", "lazy", "direct"]
    assert [row.latency_ratio is None for row in rows] == [True, False, False]
    assert all(row.latency_p50 > 0 and row.throughput > 0 and row.compile_seconds > 0 for row in rows)
    assert all(row.peak_bytes > 10**6 and row.precision == "f32" for row in rows)
    assert rows[1].file_bytes > rows[0].file_bytes
    assert [done for _, done, _ in calls] == list(range(1, calls[-1][2] + 1))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("options", [{"targets": "top:2"}, {"targets": "asked"}, {"gate": True}])
def test_a_hook_is_taken_off_again(options: dict[str, Any], dialect: str, tmp_path: Path) -> None:
    path = written(tmp_path, dialect)
    hooked = xai.insert(path, layer="f", **options).deployed
    again = unhooked(hooked)
    batch = {"image": np.random.default_rng(0).normal(size=(2, 3, 6, 8)).astype(np.float32)}
    plain = open_model(path).compile()(batch)
    results = again.compile()(batch)
    assert list(results) == ["logits"]
    np.testing.assert_array_equal(results["logits"], plain["logits"])
    assert len(again.graph.nodes) == len(open_model(path).graph.nodes)


def test_a_file_that_does_not_run_alone(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx does not run in a process of its own"):
        measure_alone(tmp_path / "none.onnx", "CPU", "f32", "LATENCY", 1)
