"""The layers of a very deep model: the listing stops trying them at a limit, and names those that it left out."""

from __future__ import annotations

import pytest
from tiny import tiny

import openvino_xai as xai
from openvino_xai.surgery import layers


def test_layers_far_from_the_scores_are_not_tried_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "c0 = Relu(image) " + " ".join(f"c{i} = Relu(c{i - 1})" for i in range(1, 20))
    model = tiny(f"{chain} p = GlobalAveragePool(c19) v = Flatten(p) logits = MatMul(v, w)", batch=1, w=(3, 5))
    assert [layer.reason for layer in xai.layers(model)] == [None] * 20
    monkeypatch.setattr(layers, "PLANNED", 30)  # nodes in all; the tails have 4, 5, 6, 7 ... nodes
    listed = xai.layers(model)
    assert [layer.name for layer in listed if layer.reason is None] == ["c19", "c18", "c17", "c16", "c15"]
    assert {layer.reason for layer in listed[5:]} == {layers.UNTRIED}
    assert xai.insert(model, layer="c2").verified  # a layer that is named is tried all the same
