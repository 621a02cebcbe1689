"""Outputs that hold class scores in another form than [B, K] floats: explained as these are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny import DIALECTS, LINEAR, STEM, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.locate.scores import find_scores

LOGITS = STEM + "p = GlobalAveragePool(f) v = Flatten(p) l = Gemm<transB=1>(v, w, b) "
SINGLE_CLASS = {"w": (1, 4), "b": (1,)}
STEP, ZERO = np.array(0.03, np.float32), {np.int8: np.array(3, np.int8), np.uint8: np.array(120, np.uint8)}


@dataclass(frozen=True)
class Form:
    """An output made of logits `l` by a `tail`; `usual` makes [B, K] floats of them that stand for the same."""

    tail: str
    output: str
    usual: str
    batch: int | str = 1
    weights: dict[str, np.ndarray | tuple[int, ...]] | None = None
    score: str = "softmax"

    def build(self, *, usual: bool = False) -> onnx.ModelProto:
        tail, classes = self.usual if usual else self.tail, 1 if self.weights and "w" in self.weights else 5
        words = tail.replace("(", " ").replace(")", " ").replace(",", " ").split()
        more = {name: array for name, array in (self.weights or {}).items() if name in (*words, "w", "b")}
        output = f"float[B,{classes}] logits" if usual else self.output
        return tiny(LOGITS + tail, batch=self.batch, output=output, **{**LINEAR, **more})


FORMS = {
    "one logit squeezed": Form(
        "logits = Squeeze(l, one)", "float[B] logits", "logits = Identity(l)", "B", {"one": np.array([1]), **SINGLE_CLASS}
    ),
    "one logit squeezed, then squashed": Form(
        "s = Squeeze(l, one) logits = Sigmoid(s)",
        "float[B] logits",
        "logits = Sigmoid(l)",
        "B",
        {"one": np.array([1]), **SINGLE_CLASS},
    ),
    "one probability squeezed": Form(
        "s = Sigmoid(l) logits = Squeeze(s, one)",
        "float[B] logits",
        "logits = Sigmoid(l)",
        3,
        {"one": np.array([1]), **SINGLE_CLASS},
    ),
    "one logit laid flat": Form(
        "logits = Reshape(l, flat)", "float[B] logits", "logits = Identity(l)", 2, {"flat": np.array([-1]), **SINGLE_CLASS}
    ),
    "no batch": Form("logits = Gather(l, first)", "float[5] logits", "logits = Identity(l)", weights={"first": np.array(0)}),
    "no batch, squeezed": Form(
        "logits = Squeeze(l, zero)", "float[5] logits", "logits = Identity(l)", weights={"zero": np.array([0])}
    ),
    "no batch, then squashed": Form(
        "s = Gather(l, first) logits = Softmax<axis=0>(s)",
        "float[5] logits",
        "logits = Softmax(l)",
        weights={"first": np.array(0)},
    ),
    "signed levels": Form(
        "logits = QuantizeLinear(l, step, zero)",
        "int8[B,5] logits",
        "logits = Identity(l)",
        "B",
        {"step": STEP, "zero": ZERO[np.int8]},
    ),
    "signed levels of probabilities": Form(
        "s = Softmax(l) logits = QuantizeLinear(s, step, zero)",
        "int8[B,5] logits",
        "logits = Softmax(l)",
        2,
        {"step": np.array(1 / 256, np.float32), "zero": np.array(-128, np.int8)},
    ),
    "levels of logits": Form(
        "logits = QuantizeLinear(l, step, zero)",
        "uint8[B,5] logits",
        "logits = Identity(l)",
        "B",
        {"step": STEP, "zero": ZERO[np.uint8]},
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", FORMS)
def test_scores_are_found_where_they_are_floats_by_class(name: str, dialect: str) -> None:
    form = FORMS[name]
    other, usual = (find_scores(open_model(in_dialect(form.build(usual=usual), dialect)).graph) for usual in (False, True))
    assert (other.classes, other.scale) == (usual.classes, usual.scale)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_explained_as_the_usual_one(name: str, dialect: str, tmp_path: Path) -> None:
    form = FORMS[name]
    proto, usual = form.build(), form.build(usual=True)
    batch = images(proto, 2 if form.batch == "B" else int(form.batch))
    hooked = xai.insert(in_dialect(proto, dialect), scale="none", layer="f")
    assert hooked.verified is not None
    network, plain = xai.load(hooked), xai.load(in_dialect(proto, dialect))
    new = network(batch)
    for output, array in plain(batch).items():
        np.testing.assert_array_equal(new[output], array)
    score = "sigmoid" if hooked.record["score"] == "sigmoid" else "softmax"
    squashed = "logit" if "Sigmoid" in form.usual or "Softmax" in form.usual else score
    definition = Oracle(tiny_of_one(form), "f", squashed).raw(batch)
    # a quantised model is held to its steps: what is masked is not rounded
    np.testing.assert_allclose(new["saliency_map"], definition, atol=2e-4)
    step = 0.03 if "step" in (form.weights or {}) else 1e-5
    np.testing.assert_allclose(network.predict(batch), xai.load(in_dialect(usual, dialect)).predict(batch), atol=step)
    path = tmp_path / ("model.onnx" if dialect == "onnx" else "model.xml")
    hooked.save(path)
    np.testing.assert_array_equal(xai.load(path)(batch)["saliency_map"], new["saliency_map"])


def tiny_of_one(form: Form) -> onnx.ModelProto:
    """The usual form for a single image, which the oracle asks."""
    return Form(form.tail, form.output, form.usual, 1, form.weights).build(usual=True)


@pytest.mark.slow
def test_a_compiled_model_is_read_by_its_record() -> None:
    form = FORMS["signed levels"]
    hooked = xai.insert(form.build())
    session = onnxruntime.InferenceSession(hooked.model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = images(form.build(), 2)
    np.testing.assert_allclose(xai.wrap(session).network.predict(batch), xai.load(hooked).predict(batch), atol=1e-6)


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("t = ReduceMax<keepdims=0, axes=[1]>(l) logits = Identity(t)", "float[B] logits"),  # the best of several
        ("logits = Reshape(l, flat)", "float[10] logits"),  # of all images
        ("logits = Gather(l, first)", "float[5] logits"),  # of one of several images
        ("logits = ArgMax<axis=1, keepdims=0>(l)", "int64[B] logits"),
        ("logits = Cast<to=6>(l)", "int32[B,5] logits"),  # cut off, and no quantiser tells what it stands for
    ],
)
def test_what_is_made_of_scores_is_not_taken_for_them(body: str, output: str) -> None:
    there = {"first": np.array(0), "flat": np.array([-1])}
    words = body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    weights = {name: array for name, array in there.items() if name in words}
    model = tiny(LOGITS + body, batch=2, output=output, **LINEAR, **weights)
    with pytest.raises(ModelError, match="0 of the model's outputs can be class scores"):
        find_scores(open_model(model).graph)
