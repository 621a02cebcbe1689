"""Recipro-CAM as a hook gives the maps of its slow definition, in both dialects."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import CASES, DIALECTS, Case, Oracle, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import PlanError

pytestmark = pytest.mark.slow

# f32 sums in another order; the error grows where a map is divided by its spread, which is 1e-2 of the scores and more here
TOLERANCE = 2e-4


def check(case: Case, dialect: str, *, built: int | str, batch: int, opset: int) -> None:
    onnx_model = case.build(built, opset)
    model = in_dialect(onnx_model, dialect)
    batch_of = images(onnx_model, batch)
    hooked = xai.insert(model, layer=case.layer)
    plain, new = xai.load(model)(batch_of), xai.load(hooked)(batch_of)
    assert list(new) == [*plain, "saliency_map"]
    np.testing.assert_array_equal(plain["logits"], new["logits"])
    oracle = Oracle(case.build(1, opset), case.layer, case.score)
    np.testing.assert_allclose(new["saliency_map"], oracle.unit(batch_of), atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", CASES)
def test_single_image(name: str, dialect: str) -> None:
    check(CASES[name], dialect, built=1, batch=1, opset=17)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.static])
def test_images_of_an_open_batch_do_not_influence_each_other(name: str, dialect: str) -> None:
    check(CASES[name], dialect, built="B", batch=3, opset=17)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("name", ["residual, layer second", "softmax inside"])
def test_the_models_own_opset_is_kept(name: str, opset: int, dialect: str) -> None:
    check(CASES[name], dialect, built="B", batch=2, opset=opset)
    if dialect == "onnx":
        assert xai.insert(CASES[name].build("B", opset)).model.opset_import[0].version == opset


@pytest.mark.parametrize("dialect", DIALECTS)
def test_static_batch_of_two(dialect: str) -> None:
    check(CASES["batch norm"], dialect, built=2, batch=2, opset=17)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("score", ["softmax", "sigmoid", "logit"])
def test_scores(score: str, dialect: str) -> None:
    model = CASES["mlp head"].build("B", 17)
    batch = images(model, 2)
    maps = xai.load(xai.insert(in_dialect(model, dialect), layer="f", score=score, scale="none"))(batch)["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(CASES["mlp head"].build(1, 17), "f", score).raw(batch), atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["softmax inside", "sigmoid inside"])
def test_logit_steps_back_over_what_ends_the_model(name: str, dialect: str) -> None:
    case = CASES[name]
    batch = images(case.build(1, 17), 2)
    hooked = xai.insert(in_dialect(case.build("B", 17), dialect), layer="f", score="logit", scale="none")
    expected = Oracle(case.build(1, 17), "f", "logit", output="g").raw(batch)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], expected, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bytes(dialect: str) -> None:
    case = CASES["pool and linear"]
    batch = images(case.build(1, 17), 2)
    maps = xai.load(xai.insert(in_dialect(case.build("B", 17), dialect), layer="f", scale="u8"))(batch)["saliency_map"]
    assert maps.dtype == np.uint8
    expected = Oracle(case.build(1, 17), "f").unit(batch) * 255
    assert np.abs(maps - expected).max() <= 0.5 + 255 * TOLERANCE


@pytest.mark.parametrize("dialect", DIALECTS)
def test_given_classes(dialect: str) -> None:
    case = CASES["pool and linear"]
    batch = images(case.build(1, 17), 2)
    maps = xai.load(xai.insert(in_dialect(case.build("B", 17), dialect), layer="f", targets="3,1"))(batch)["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(case.build(1, 17), "f").unit(batch)[:, [3, 1]], atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["pool and linear", "softmax inside"])
def test_most_probable_classes_of_each_image(name: str, dialect: str) -> None:
    case = CASES[name]
    batch = images(case.build(1, 17), 4, seed=11)
    results = xai.load(xai.insert(in_dialect(case.build("B", 17), dialect), layer="f", targets="top:2"))(batch)
    assert list(results) == ["logits", "saliency_map", "saliency_class"]
    best = np.argsort(-results["logits"], axis=1)[:, :2]
    np.testing.assert_array_equal(results["saliency_class"], best)
    assert results["saliency_class"].dtype == np.int64
    expected = np.take_along_axis(Oracle(case.build(1, 17), "f", case.score).unit(batch), best[:, :, None, None], axis=1)
    np.testing.assert_allclose(results["saliency_map"], expected, atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_constant_map_is_zero(dialect: str) -> None:
    case = CASES["pool and linear"]
    black = np.zeros((2, 3, 6, 8), np.float32)
    maps = xai.load(xai.insert(in_dialect(case.build("B", 17), dialect), layer="f"))(black)["saliency_map"]
    assert not maps.any()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_operation_that_mixes_the_batch_is_refused_by_name(dialect: str) -> None:
    body = CASES["pool and linear"].body.replace("v = Flatten(p)", "z = Softmax<axis=0>(p) v = Flatten(z)")
    model = Case("f", body, CASES["pool and linear"].weights).build("B", 17)
    with pytest.raises(PlanError, match=r"'z' \(Softmax\) cannot be repeated over rows: it mixes the items of a batch"):
        xai.insert(in_dialect(model, dialect), layer="f")


def test_an_unknown_operation_is_refused_by_name() -> None:
    body = CASES["pool and linear"].body.replace("v = Flatten(p)", "z = Hardmax<axis=1>(p) v = Flatten(z)")
    model = Case("f", body, CASES["pool and linear"].weights).build("B", 17)
    with pytest.raises(PlanError, match=r"'z' \(Hardmax\) cannot be repeated over rows: the operation is not one"):
        xai.insert(model, layer="f")
