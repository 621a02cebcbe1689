"""Classifiers whose outputs only rank the scores: these become one more output, and are explained as if they were returned."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as ovxai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.locate.scores import find_scores
from openvino_xai.locate.tasks import ranking
from openvino_xai.locate.tasks.opening import is_added, opened

HEAD = "c = Conv<pads=[1,1,1,1]>(image, k) f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) y = MatMul(v, w)"
WEIGHTS: dict[str, Any] = {"k": (4, 3, 3, 3), "w": (4, 5)}
THREE = {"three": np.array([3], np.int64)}
RANKED = {  # what comes behind the logits `y`, the outputs, more constants, and the scale of the scores that are ranked
    "argmax": ("i = ArgMax<axis=1, keepdims=0>(y)", "int64[B] i", {}, "logit"),
    "of the last axis": ("i = ArgMax<axis=-1>(y)", "int64[B,1] i", {}, "logit"),
    "a table of labels": (
        "i = ArgMax<axis=1, keepdims=0>(y) l = Gather(table, i)",
        "int64[B] l",
        {"table": np.arange(5, 10)},
        "logit",
    ),
    "a squashed best three": ("t, i = TopK(y, three) s = Softmax(t)", "float[B,3] s, int64[B,3] i", THREE, "logit"),
    "picked by the best three": (
        "s = Softmax(y) t, i = TopK(s, three) g = GatherElements<axis=1>(s, i)",
        "float[B,3] g, int64[B,3] i",
        THREE,
        "softmax",
    ),
    "logits and probabilities ranked": (
        "s = Softmax(y) i = ArgMax<axis=1>(y) t, j = TopK(s, three)",
        "int64[B,1] i, float[B,3] t",
        THREE,
        "softmax",
    ),
    "class and probability": (
        "s = Softmax(y) i = ArgMax<axis=1, keepdims=0>(s) t = ReduceMax<axes=[1], keepdims=0>(s)",
        "int64[B] i, float[B] t",
        {},
        "softmax",
    ),
    "the name is taken": ("class_scores = ArgMax<axis=1, keepdims=0>(y)", "int64[B] class_scores", {}, "logit"),
}
OTHERS = {  # where scores are returned, or are none: nothing is added
    "scores and the best": ("i = ArgMax<axis=1>(y)", "float[B,5] y, int64[B,1] i", {}),
    "along the batch": ("i = ArgMax<axis=0, keepdims=0>(y)", "int64[5] i", {}),
    "the largest, of whichever class": ("t = ReduceMax<axes=[1], keepdims=1>(y)", "float[B,1] t", {}),
    "the largest features, weighed": ("t, i = TopK(y, three) z = MatMul(t, w3)", "float[B,2] z", {**THREE, "w3": (3, 2)}),
    "two heads": (
        "z = MatMul(v, w2) a = ArgMax<axis=1>(y) b = ArgMax<axis=1>(z)",
        "int64[B,1] a, int64[B,1] b",
        {"w2": (4, 3)},
    ),
}


def model_of(case: tuple[Any, ...]) -> onnx.ModelProto:
    body, output, weights, *_ = case
    return tiny(f"{HEAD} {body}", output=output, **WEIGHTS, **weights)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", RANKED)
def test_scores_that_are_only_ranked_are_found(name: str, dialect: str) -> None:
    model = in_dialect(model_of(RANKED[name]), dialect)
    before, deployed = list(open_model(model).graph.outputs), opened(model)
    scores = find_scores(deployed.graph)
    assert list(deployed.graph.outputs) == [*before, scores.name]
    assert (scores.classes, scores.scale) == (5, RANKED[name][-1])
    assert is_added(deployed, scores.name) and not is_added(deployed, before[0])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_added_where_an_output_tells_more(name: str, dialect: str) -> None:
    model = in_dialect(model_of(OTHERS[name]), dialect)
    assert list(opened(model).graph.outputs) == list(open_model(model).graph.outputs)


def test_a_ranking_along_the_batch_would_be_taken_without_its_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_is_along_classes", lambda node: True)
    assert "class_scores" in opened(model_of(OTHERS["along the batch"])).graph.outputs


def test_two_heads_that_are_ranked_are_refused_by_their_names() -> None:
    with pytest.raises(ModelError, match="only rank scores, of 2 heads \\('y', 'z'\\): export the model with the scores"):
        ovxai.insert(model_of(OTHERS["two heads"]))


def test_a_named_output_that_ranks_is_refused_beside_the_one_that_holds_the_scores() -> None:
    with pytest.raises(ModelError, match="output 'i' cannot be class scores.*'class_scores'"):
        ovxai.insert(model_of(RANKED["argmax"]), scores="i")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_ranked_scores_are_explained_as_those_that_are_returned(dialect: str) -> None:
    ranked, returned = (
        model_of(RANKED["picked by the best three"]),
        tiny(f"{HEAD} s = Softmax(y)", output="float[B,5] s", **WEIGHTS),
    )
    hooked, other = (ovxai.insert(in_dialect(model, dialect)) for model in (ranked, returned))
    batch = images(ranked, 3)
    outputs, expected = (model.deployed.compile()({"image": batch}) for model in (hooked, other))
    plain = open_model(in_dialect(ranked, dialect)).compile()({"image": batch})
    assert list(outputs) == ["g", "i", "class_scores", "saliency_map"]
    for output, array in plain.items():
        np.testing.assert_array_equal(outputs[output], array)
    np.testing.assert_array_equal(outputs["class_scores"], expected["s"])
    np.testing.assert_allclose(outputs["saliency_map"], expected["saliency_map"], atol=1e-5)
    network = ovxai.load(hooked)
    assert network.classes == 5 and network.predict(batch).argmax(axis=1).tolist() == plain["i"][:, 0].tolist()
