"""NaN is never near to anything: each comparison of verification fails on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import VerificationError
from openvino_xai.hooks.site import Channels
from openvino_xai.verify import hook as verify
from openvino_xai.verify import ingredients as parts
from openvino_xai.verify.cells import difference_of, sample_of
from openvino_xai.verify.finite_differences import step_along
from openvino_xai.verify.masks import ArraySite
from openvino_xai.verify.original import worst
from openvino_xai.verify.sight import Comparison

METHODS = ("reciprocam", "cam", "grad_cam", "ablation_cam", "smooth_grad_cam_plus_plus", "activation_map")


def nan_like(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, np.nan)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", METHODS)
def test_a_model_whose_scores_are_no_numbers(method: str, dialect: str) -> None:
    model = CASES["pool and linear"].build(1, 17)
    weights = next(item for item in model.graph.initializer if item.name == "w")
    array = onnx.numpy_helper.to_array(weights).copy()
    array[1] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    with pytest.raises(VerificationError, match=r"scores 'logits' are no numbers \(NaN\) for random images"):
        xai.insert(in_dialect(model, dialect), method=method)


def test_the_worst_of_differences_and_of_none() -> None:
    assert worst([1, 2]) == 2
    assert worst([]) == 0
    assert np.isnan(worst([0, np.nan]))
    assert np.isnan(worst([np.nan, 0]))


@pytest.mark.parametrize("where", ["maps", "definition"])
@pytest.mark.parametrize("scale", ["unit", "u8", "none"])
def test_maps_and_their_definition(scale: Any, where: str) -> None:
    maps, y = np.ones((1, 2, 2, 2), np.float32), np.ones((1, 2))
    if where == "maps":
        maps[0, 0, 1, 1] = np.nan
    definition = SimpleNamespace(scores=lambda masks, columns, rows: nan_like(y) if where == "definition" else y)
    chosen = [[(0, 0)]]
    sample = sample_of(maps, chosen, cast(Any, definition))
    assert np.isnan(difference_of(maps, chosen, sample, scale, terms=lambda k: [k]).difference)


@pytest.mark.parametrize(("attribute", "method"), [("difference_of", "reciprocam"), ("hold_parts", "grad_cam")])
def test_a_difference_that_is_no_number(attribute: str, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, attribute, lambda *arguments, **options: Comparison(8, float("nan"), ()))
    with pytest.raises(VerificationError, match="the maps differ from their definition by nan"):
        xai.insert(CASES["pool and linear"].build("B", 17), method=method)


def test_what_a_method_asks() -> None:
    site = ArraySite(np.ones((1, 4, 2)), answers={"scores": (np.ones((1, 2, 2)), np.ones((1, 2, 3)))})
    assert site.scores(Channels(np.ones((1, 2, 2)))).shape == (1, 2, 3)
    with pytest.raises(VerificationError, match="not what it is defined to ask"):
        site.scores(Channels(nan_like(np.ones((1, 2, 2)))))


def spoilt(answer: Callable[..., Iterator[float]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[float]]:
    return lambda question, argument, *results: answer(question, argument, *map(nan_like, results))


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("ablation_cam", "scores"),
        ("fd_cam", "scores"),
        ("abs_cam", "image_scores"),
        ("abs_cam", "enlarged_range"),
        ("smooth_grad_cam_plus_plus", "gradients_at"),
    ],
)
def test_what_a_method_was_told(method: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.ANSWERS, what, spoilt(parts.ANSWERS[what], monkeypatch))
    with pytest.raises(VerificationError, match="the maps differ from their definition by nan"):
        xai.insert(CASES["pool and linear"].build("B", 17), method=method)


def test_maps_that_are_made_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "by_cell", lambda features, place, real=parts.by_cell: nan_like(real(features, place)))
    with pytest.raises(VerificationError, match="the maps differ from their definition by nan"):
        xai.insert(CASES["pool and linear"].build("B", 17), method="activation_map")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("where", ["slopes", "scores here", "scores there"])
@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_slopes(where: str, spoil: float) -> None:
    features = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    slopes = np.full_like(features, 1 / 16)
    if where == "slopes":
        slopes[1, 0, 0, 0] = spoil

    def scores_at(x: np.ndarray) -> np.ndarray:
        y = x.mean(axis=(2, 3)).sum(axis=1, keepdims=True)
        same = x is features
        return np.full_like(y, spoil) if where == ("scores here" if same else "scores there") else y

    with pytest.raises(VerificationError, match="is not the slope of its score"):
        step_along(scores_at, features, slopes, [0, 0], cells=(2, 3), where="here")
