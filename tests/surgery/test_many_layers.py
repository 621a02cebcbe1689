"""A model of very many layers: listing them ends, and says what was not tried."""

from __future__ import annotations

import pytest
from tiny import tiny

import openvino_xai as xai
from openvino_xai.surgery import layers


def test_layers_far_from_the_scores_are_not_tried_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "c0 = Relu(image) " + " ".join(f"c{i} = Relu(c{i - 1})" for i in range(1, 20))
    model = tiny(f"{chain} p = GlobalAveragePool(c19) v = Flatten(p) logits = MatMul(v, w)", batch=1, w=(3, 5))
    assert [layer.reason for layer in xai.layers(model)] == [None] * 20
    monkeypatch.setattr(layers, "PLANNED", 30)  # nodes: of tails of 4, 5, 6, 7 ... nodes
    listed = xai.layers(model)
    assert [layer.name for layer in listed if layer.reason is None] == ["c19", "c18", "c17", "c16", "c15"]
    assert {layer.reason for layer in listed[5:]} == {layers.UNTRIED}
    assert xai.insert(model, layer="c2").verified  # which is tried where it is named
