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


def test_as_many_are_tried_as_are_wanted() -> None:
    """Layers with the same maps as one of these are listed, too: here a ReLU ahead of each convolution."""
    chain = "c0 = Conv(image, k) " + " ".join(f"r{i} = Relu(c{i}) c{i + 1} = Conv(r{i}, k)" for i in range(5))
    model = tiny(f"{chain} p = GlobalAveragePool(c5) v = Flatten(p) logits = MatMul(v, w)", batch=1, k=(3, 3, 1, 1), w=(3, 5))
    listed, everything = xai.layers(model, most=3), xai.layers(model)
    assert [layer.name for layer in listed] == [layer.name for layer in everything]
    tried = [layer for layer in listed if layer.reason is None]
    assert [(layer.name, layer.cost) for layer in tried] == [(layer.name, layer.cost) for layer in everything[: len(tried)]]
    assert sum(layer.twin is None for layer in tried) == 3 and tried[-1].twin == tried[-2].name
    assert {layer.reason for layer in listed[len(tried) :]} == {layers.UNTRIED}
