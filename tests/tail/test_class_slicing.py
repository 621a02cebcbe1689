"""A hook for some classes: their maps are those of a hook for all, and the other classes cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import CASES, CLASSES, DIALECTS, LINEAR, STEM, Case, Oracle, images, in_dialect

import openvino_xai as xai

pytestmark = pytest.mark.slow

FORMS = {
    **CASES,
    "scores from a convolution of the pool": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) k = Conv(p, w1, b) logits = Flatten(k)",
        {**LINEAR, "w1": (CLASSES, 4, 1, 1)},
    ),
    "product, scale and shift": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) m = MatMul(v, w1) s = Mul(m, b) logits = Add(shift, s)",
        {**LINEAR, "w1": (4, CLASSES), "shift": (1, CLASSES)},
    ),
    "weighted addend": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<alpha=0.5, beta=2.0>(v, w1, b)",
        {**LINEAR, "w1": (4, CLASSES)},
    ),
    "probabilities, scaled": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) m = MatMul(v, w1) s = Softmax<axis=1>(m) logits = Mul(s, b)",
        {**LINEAR, "w1": (4, CLASSES)},
    ),
    "probabilities and logits": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) m = MatMul(v, w1) k = MatMul(v, w2) s = Softmax(k) logits = Add(m, s)",
        {**LINEAR, "w1": (4, CLASSES), "w2": (4, CLASSES)},
    ),
}
CLASS_MAP = Case(
    "k",
    STEM + "k = Conv(f, w1, b) r = Relu(k) p = GlobalAveragePool(r) logits = Flatten(p)",
    {**LINEAR, "w1": (CLASSES, 4, 1, 1)},
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["3,1", "top:2"])
@pytest.mark.parametrize("name", FORMS)
def test_maps_of_some_classes(name: str, targets: str, dialect: str) -> None:
    case = FORMS[name]
    batch = images(case.build(1, 17), 1 if case.static else 2)
    model = in_dialect(case.build(1 if case.static else "B", 17), dialect)
    results = xai.load(xai.insert(model, layer="f", score="logit", scale="none", targets=targets))(batch)
    ends = "g" if name.endswith("inside") else "logits"
    all_maps = Oracle(case.build(1, 17), "f", "logit", output=ends).raw(batch)
    ids = results.get("saliency_class", np.tile([3, 1], (len(batch), 1)))
    np.testing.assert_allclose(
        results["saliency_map"], np.take_along_axis(all_maps, ids[:, :, None, None], axis=1), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["3,1", "top:2"])
@pytest.mark.parametrize("plan", ["lazy", "direct"])
@pytest.mark.parametrize("layer", ["k", "r"])
def test_a_layer_that_has_a_map_of_each_class(layer: str, plan: str, targets: str, dialect: str) -> None:
    batch = images(CLASS_MAP.build(1, 17), 2)
    model = in_dialect(CLASS_MAP.build("B", 17), dialect)
    results = xai.load(xai.insert(model, layer=layer, score="logit", scale="none", targets=targets, plan=plan))(batch)
    references = Oracle(CLASS_MAP.build(1, 17), layer, "logit").raw(batch)
    ids = results.get("saliency_class", np.tile([3, 1], (2, 1)))
    np.testing.assert_allclose(
        results["saliency_map"], np.take_along_axis(references, ids[:, :, None, None], axis=1), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["3,1", "top:2"])
def test_a_sigmoid_of_some_classes(targets: str, dialect: str) -> None:
    for name in ("pool and linear", "sigmoid inside"):
        case = CASES[name]
        batch = images(case.build(1, 17), 2)
        hooked = xai.insert(in_dialect(case.build("B", 17), dialect), layer="f", score="sigmoid", scale="none", targets=targets)
        results = xai.load(hooked)(batch)
        all_maps = Oracle(case.build(1, 17), "f", "logit" if name.endswith("inside") else "sigmoid").raw(batch)
        ids = results.get("saliency_class", np.tile([3, 1], (2, 1)))
        np.testing.assert_allclose(
            results["saliency_map"], np.take_along_axis(all_maps, ids[:, :, None, None], axis=1), atol=1e-5
        )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["3", "top:1"])
@pytest.mark.parametrize("name", ["pool and linear", "mlp head", "product, scale and shift", "batch from a shape"])
def test_other_classes_cost_nothing(name: str, targets: str, dialect: str) -> None:
    model = in_dialect(FORMS[name].build("B", 17), dialect)
    all_cost, some_cost = (
        xai.insert(model, layer="f", score="logit", targets=choice).layer.cost for choice in ("all", targets)
    )
    softmax_cost = xai.insert(model, layer="f", score="softmax", targets=targets).layer.cost  # a softmax needs them all
    assert all_cost is not None and some_cost is not None and softmax_cost is not None
    assert some_cost < all_cost
    assert some_cost < softmax_cost
