"""The largest of many classes, by parts: those that one choice takes, in its order."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import DIALECTS, HEAD, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.graph import ranking

CLASSES = 96


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("ties", [True, False])
def test_a_choice_by_parts_is_that_of_all(ties: bool, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "MANY", CLASSES)
    rng = np.random.default_rng(0)
    weights = np.zeros((CLASSES, 4), np.float32) if ties else rng.normal(size=(CLASSES, 4)).astype(np.float32)
    addends = rng.integers(0, 6, CLASSES).astype(np.float32)
    body, output = "c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) " + HEAD.format("f"), f"float[B,{CLASSES}] logits"
    model = tiny(body, output=output, w0=(4, 3, 3, 3), w=weights, b=addends)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", targets="top:2", score="logit", verify=False)
    choices = [node for node in hooked.deployed.graph.nodes if node.kind == "top_k"]
    assert len(choices) == 2
    result = xai.load(hooked)(images(model, 3))
    expected = np.argsort(-result["logits"], axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(result["saliency_class"], expected)
