"""Finer-CAM in the deployed file: gradients of differences between classes, beside arithmetic on a tail that is linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.errors import PlanError, VerificationError
from openvino_xai.plan.site import PlannedSite

BODY = "f = Conv(image, k) r = Relu(f) p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
SHAPES = {"k": (4, 3, 1, 1), "w": (5, 4), "b": (5,)}


def model(ending: str = "", **shapes: Any) -> onnx.ModelProto:
    return tiny(BODY.replace("logits", "y") + ending if ending else BODY, **(SHAPES | shapes))


def by_hand(classifier: onnx.ModelProto, image: np.ndarray, k: int) -> np.ndarray:
    """The map of one image and class: behind a mean and a linear layer, a gradient is a row of weights over the cells."""
    weights = {item.name: onnx.numpy_helper.to_array(item).astype(np.float64) for item in classifier.graph.initializer}
    features = np.maximum(np.einsum("chw,oc->ohw", image.astype(np.float64), weights["k"][:, :, 0, 0]), 0)
    y = weights["w"] @ features.mean(axis=(1, 2)) + weights["b"]
    others = sorted((j for j in range(len(y)) if j != k), key=lambda j: abs(y[j] - y[k]))[:3]
    row = weights["w"][k] - 0.6 * sum(weights["w"][j] for j in others) / max(len(others), 1)
    return np.maximum(np.einsum("c,chw->hw", row / features[0].size, features), 0)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["", " logits = Softmax<axis=1>(y)"])
@pytest.mark.parametrize("targets", ["all", "3,0", "top:2", "asked"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_maps_are_of_the_difference(dialect: str, targets: str, ending: str) -> None:
    classifier = model(ending)
    hooked = xai.insert(in_dialect(classifier, dialect), method="finer_cam", layer="r", targets=targets, scale="none")
    network, batch = xai.load(hooked), images(classifier, 3)
    results = network(batch, classes=np.array([4, 0, 2])) if targets == "asked" else network(batch)
    for place, image in enumerate(batch):
        ids = {
            "all": range(5),
            "3,0": (3, 0),
            "asked": ([4, 0, 2][place],),
            "top:2": results.get("saliency_class", np.zeros((3, 2)))[place],
        }
        for index, k in enumerate(ids[targets]):
            expected = by_hand(classifier, image, int(k))
            np.testing.assert_allclose(results["saliency_map"][place, index], expected, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 2])
def test_few_classes(classes: int) -> None:
    """Of two, the other one is near; one has none."""
    classifier = model(w=(classes, 4), b=(classes,), output=f"float[B,{classes}] logits")
    network, batch = (
        xai.load(xai.insert(classifier, method="finer_cam", layer="r", targets="0", scale="none")),
        images(classifier, 1),
    )
    np.testing.assert_allclose(network(batch)["saliency_map"][0, 0], by_hand(classifier, batch[0], 0), atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_gradient_is_refused(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = PlannedSite.gradients_of
    monkeypatch.setattr(PlannedSite, "gradients_of", lambda site, seeds: right(site, site._trace.multiply(seeds, 2.0)))
    with pytest.raises(VerificationError, match="is not the slope of its score"):
        xai.insert(in_dialect(model(), dialect), method="finer_cam", layer="r")


@pytest.mark.parametrize("question", ["class_scores", "explained_classes"])
def test_a_wrong_answer_is_refused(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(PlannedSite, question)
    monkeypatch.setattr(PlannedSite, question, lambda site: site._trace.multiply(right(site), -1.0))
    with pytest.raises(VerificationError):
        xai.insert(model(), method="finer_cam", layer="r", targets="0,1")


def test_a_tail_that_is_not_linear() -> None:
    """Gradients differ from cell to cell: they are stepped along when the hook is inserted."""
    body = (
        "f = Conv(image, k) r = Relu(f) g = Conv<pads=[1,1,1,1]>(r, m) s = Sigmoid(g) p = GlobalAveragePool(s) v = Flatten(p)"
    )
    classifier = tiny(body + " logits = Gemm<transB=1>(v, w, b)", m=(4, 4, 3, 3), **SHAPES)
    hooked = xai.insert(classifier, method="finer_cam", layer="r", targets="all")
    assert hooked.verified is not None and hooked.layer.name == "r"


def test_what_has_no_classes_is_refused() -> None:
    vectors = tiny(BODY.replace("logits", "y") + " logits = Identity(y)", **SHAPES)
    with pytest.raises(PlanError, match="finer_cam compares a class with others"):
        xai.insert(vectors, method="finer_cam", layer="r", targets="vector")
