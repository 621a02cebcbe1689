"""Which cases of slow tests run where not all are asked for."""

from __future__ import annotations

from itertools import product

from sampling.cases import FEW, sampled


def names(count: int) -> list[str]:
    return [f"test_maps[{number}-{dialect}]" for number, dialect in product(range(count), ("onnx", "openvino"))]


def test_few_cases_all_run() -> None:
    assert sampled(names(10)[:FEW]) == names(10)[:FEW]


def test_of_many_about_a_third_runs_of_each_parameter() -> None:
    for dialect in ("onnx", "openvino"):
        running = [name for name in sampled(names(300)) if f"-{dialect}]" in name]
        assert 60 < len(running) < 140


def test_one_runs_at_least() -> None:
    for start in range(60):
        assert sampled(names(60)[start : start + FEW + 1])
