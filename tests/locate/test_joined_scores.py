"""Scores in parts, and in several outputs: what is squashed already is not squashed again."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, STEM, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.locate.scores import find_scores

TWO = STEM + "p = GlobalAveragePool(f) v = Flatten(p) l = Gemm(v, wl) m = Gemm(v, wm) "
SOFT = TWO + "a = Softmax<axis=1>(l) b = Softmax<axis=1>(m) "
HALF, TWICE = np.array(0.5, np.float32), np.array([2], np.float32)
SCALES = {
    "joined": (SOFT + "logits = Concat<axis=1>(a, b)", "softmax"),
    "averaged": (SOFT + "s = Add(a, b) logits = Mul(s, half)", "softmax"),
    "divided": (SOFT + "s = Add(a, b) logits = Div(s, twice)", "softmax"),
    "sigmoids": (TWO + "a = Sigmoid(l) b = Sigmoid(m) logits = Concat<axis=1>(a, b)", "sigmoid"),
    "stacked": (
        SOFT + "at = Unsqueeze(a, zero) bt = Unsqueeze(b, zero) j = Concat<axis=0>(at, bt) "
        "logits = ReduceMean<axes=[0], keepdims=0>(j)",
        "softmax",
    ),
    "added": (SOFT + "logits = Add(a, b)", "logit"),  # up to 2: no probabilities
    "twice as much": (SOFT + "s = Add(a, b) logits = Mul(s, twice)", "logit"),
    "mixed": (TWO + "a = Softmax<axis=1>(l) b = Sigmoid(m) logits = Concat<axis=1>(a, b)", "logit"),
    "half squashed": (TWO + "a = Softmax<axis=1>(l) logits = Concat<axis=1>(a, m)", "logit"),
    "weighed": (SOFT + "s = Mul(a, wide) t = Add(s, b) logits = Mul(t, half)", "logit"),
    "logits": (TWO + "logits = Concat<axis=1>(l, m)", "logit"),
}
CONSTANTS = {"half": HALF, "twice": TWICE, "zero": np.array([0]), "wide": np.arange(1, 6, dtype=np.float32)}


def model(name: str, batch: int | str = "B") -> onnx.ModelProto:
    body = SCALES[name][0]
    words = body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    joined = "logits = Concat" in body
    more = {key: array for key, array in CONSTANTS.items() if key in words}
    return tiny(body, batch=batch, w0=(4, 3, 3, 3), wl=(4, 3 if joined else 5), wm=(4, 2 if joined else 5), **more)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", SCALES)
def test_the_scale_of_scores_in_parts(name: str, dialect: str) -> None:
    assert find_scores(open_model(in_dialect(model(name), dialect)).graph).scale == SCALES[name][1]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["joined", "averaged", "sigmoids", "stacked"])
def test_probabilities_are_read_as_they_are(name: str, dialect: str) -> None:
    proto = model(name)
    photos = images(proto, 2)
    hooked = xai.insert(in_dialect(proto, dialect), scale="none", targets="top:2")
    outputs = hooked.deployed.compile()({"image": photos})
    raw = Oracle(proto, "f", score="logit").raw(photos)  # what the oracle does to the output: nothing
    expected = np.take_along_axis(raw, outputs["saliency_class"][:, :, None, None], axis=1)
    np.testing.assert_allclose(outputs["saliency_map"], expected, atol=1e-6)
    assert (hooked.record["score"], hooked.record["output"]) == (SCALES[name][1],) * 2
    network = xai.load(hooked)
    np.testing.assert_allclose(network.predict(photos), outputs["logits"], atol=1e-6)


LOGITS = STEM + "p = GlobalAveragePool(f) v = Flatten(p) l = Gemm(v, wl) "


def several(body: str, outputs: str, **weights: np.ndarray) -> onnx.ModelProto:
    return tiny(LOGITS + body, output=outputs, w0=(4, 3, 3, 3), wl=(4, 5), **weights)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("squash", ["Softmax<axis=1>", "Sigmoid"])
def test_of_logits_and_their_probabilities_these_tell_the_scale(squash: str, dialect: str) -> None:
    proto = several(f"p1 = {squash}(l)", "float[B,5] l, float[B,5] p1")
    scores = find_scores(open_model(in_dialect(proto, dialect)).graph)
    assert (scores.name, scores.scale) == ("p1", squash.partition("<")[0].lower())
    assert find_scores(open_model(in_dialect(proto, dialect)).graph, "l").scale == "logit"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_and_their_probabilities_have_one_map(dialect: str) -> None:
    proto = several("p1 = Softmax<axis=1>(l)", "float[B,5] l, float[B,5] p1")
    photos = images(proto, 2)
    first, second = (xai.insert(in_dialect(proto, dialect), scores=name, score="softmax") for name in (None, "l"))
    maps = [hooked.deployed.compile()({"image": photos})["saliency_map"] for hooked in (first, second)]
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        ("t = Neg(l) p1 = Softmax<axis=1>(t)", "float[B,5] l, float[B,5] p1"),
        ("p1 = Softmax<axis=0>(l)", "float[B,5] l, float[B,5] p1"),  # over images
        ("p1 = Softmax<axis=1>(l) p2 = Sigmoid(l)", "float[B,5] l, float[B,5] p1, float[B,5] p2"),
        ("p1 = Softmax<axis=1>(l) p2 = Relu(l)", "float[B,5] l, float[B,5] p1, float[B,5] p2"),
        ("p1 = Log(l)", "float[B,5] l, float[B,5] p1"),
    ],
)
def test_of_other_scores_one_has_to_be_named(body: str, outputs: str) -> None:
    with pytest.raises(ModelError, match="of the model's outputs can be class scores.*; name one of them"):
        find_scores(open_model(several(body, outputs)).graph)


def test_values_that_are_read_again_and_again() -> None:
    chain = " ".join(f"s{n + 1} = Add(s{n}, s{n})" for n in range(80))
    proto = tiny(SOFT.replace("a = ", "s0 = ") + chain + " logits = Add(s80, b)", w0=(4, 3, 3, 3), wl=(4, 5), wm=(4, 5))
    assert find_scores(open_model(proto).graph).scale == "logit"
