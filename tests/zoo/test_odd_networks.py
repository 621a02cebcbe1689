"""Small networks of which each has one thing that few classifiers have: explained, or refused by the name of what is odd."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import openvino as ov
import pytest
from odd_networks import NETWORKS, network
from tiny import in_dialect

ROOT = Path(__file__).parents[2]
# what stands in the way is named: an operation whose rows are not alike, a way round the cells, or outputs that are no scores
NAMED = {
    "quantised_convolution": {"onnx": "QLinearConv"},
    "quantised_throughout": {"onnx": "QLinearConv"},
    "quantised_while_it_runs": {"onnx": "DynamicQuantizeLinear", "openvino": "ReduceMax"},
    "cells_picked_by_value": {"onnx": "NonZero", "openvino": "NonZero"},
    "noise": {
        "onnx": "'logits' of the model without a hook differs",
        "openvino": "'logits' of the model without a hook differs",
    },
    "bypass": {"onnx": "'j' bypasses it", "openvino": "'j' bypasses it"},
    "sequence": {"onnx": "SplitToSequence"},
    "blocks_as_channels": {"onnx": "SpaceToDepth", "openvino": "SpaceToDepth"},
}
UNREADABLE = {"lp_pool", "log_sum_exp_pool"}  # OpenVINO 2026.4.1 does not convert these with an open batch
FAST = ("noise", "batch_of_one_in_the_graph", "integer_image", "quantised_while_it_runs", "bypass")


CASES = [
    pytest.param(name, dialect, marks=() if name in FAST and dialect == "onnx" else pytest.mark.slow)
    for name in NETWORKS
    for dialect in ("onnx", "openvino")
    if (name, dialect) not in {(name, "openvino") for name in UNREADABLE}
]


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_explained_or_refused_by_name(name: str, dialect: str, zoo: ModuleType) -> None:
    snapshot: dict[str, Any] = zoo.became(in_dialect(network(name), dialect))
    culprit = NAMED.get(name, {}).get(dialect)
    assert snapshot["became"] in ({"explained"} if culprit is None else {"explained", "refused"}), snapshot
    if snapshot["became"] == "refused":
        assert culprit is not None and culprit in snapshot["why"], snapshot
        assert snapshot["clear"], snapshot


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_what_openvino_does_not_convert_is_no_fault_of_the_hook(name: str, zoo: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(network(name).SerializeToString())
    with pytest.raises(RuntimeError, match="Failed operations"):
        ov.Core().read_model(file)
    assert zoo.isolated(str(file), "ir", 60)["became"] == "runtime cannot"


@pytest.mark.slow
def test_a_crash_is_told_as_what_became_of_a_model(zoo: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("no rows")

    monkeypatch.setattr(zoo, "became", crash)
    file = tmp_path / "model.onnx"
    file.write_bytes(network("largest").SerializeToString())
    snapshot = zoo.isolated(str(file), "onnx", 60)
    assert snapshot["became"] == "crashed" and snapshot["why"].startswith("ZeroDivisionError: no rows (test_odd_networks.py:")


def test_of_images_that_the_model_mixes_no_map_is_called_wrong(zoo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo.became(network("mean_of_the_batch"))["became"] == "explained"
    monkeypatch.setattr(zoo, "mixes", lambda *_: False)
    assert zoo.became(network("mean_of_the_batch"))["became"] == "wrong"
