"""SHAP-CAM on games of channels whose values are known, and on a tail of which they are the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from slow_superpixels import slow_shapley
from tiny import CASES, images

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.probes import Settings
from openvino_xai.probes.channels import shap_cam
from openvino_xai.probes.channels.shap_cam import channel_values

IMAGE = np.zeros((1, 3, 4, 4), np.float32)


class Game:
    """A model whose layer has a cell, and channels of 1: the logit is told by which are left."""

    def __init__(self, value: Callable[[np.ndarray], float], batch: int = 4) -> None:
        self.value, self.batch = value, batch

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        return np.array([[7.0, self.value(row.ravel() != 0)] for row in features])

    def values(self, count: int, **settings: int) -> np.ndarray:
        features = np.ones((count, 1, 1), np.float32)
        return channel_values(self, IMAGE, [1, 0], Settings(**settings), features)  # type: ignore[arg-type]


RNG = np.random.default_rng(8)
ALONE, PAIRS, ANYHOW = RNG.normal(size=5), RNG.normal(size=(5, 5)), RNG.normal(size=2**5)


def of_pairs(mask: np.ndarray) -> float:
    return float(3 + ALONE @ mask + mask @ PAIRS @ mask)


def of_all(mask: np.ndarray) -> float:
    return float(ANYHOW[int(mask @ 2 ** np.arange(5))])


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_a_pair_of_orders_is_exact_where_two_channels_act_together(batch: int) -> None:
    values = Game(of_pairs, batch).values(5, orders=2)
    np.testing.assert_allclose(values[:, 0], slow_shapley(of_pairs, 5), rtol=0, atol=1e-12)
    np.testing.assert_allclose(values[:, 1], 0, atol=1e-12)


def test_orders_without_their_reverse_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr(shap_cam, "random_orders", lambda count, seed: (rng.permutation(count) for _ in range(9)))
    values = Game(of_pairs).values(5, orders=2)
    assert np.abs(values[:, 0] - slow_shapley(of_pairs, 5)).max() > 1e-2


@pytest.mark.slow
def test_more_orders_come_nearer_and_all_add_up() -> None:
    true, errors = slow_shapley(of_all, 5), []
    for orders in (1, 40, 4000):
        values = Game(of_all).values(5, orders=orders, seed=1)[:, 0]
        assert values.sum() == pytest.approx(of_all(np.ones(5)) - of_all(np.zeros(5)), abs=1e-12)
        errors.append(np.abs(values - true).max())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.05, errors


def test_behind_a_mean_and_a_linear_layer_one_order_is_cam() -> None:
    case = CASES["pool and linear"]
    model, batch = case.build("B", 17), images(case.build(1, 17), 1)
    weights = next(onnx.numpy_helper.to_array(item) for item in model.graph.initializer if item.name == "w")  # [C, K] or [K, C]
    network = xai.probe(model, "shap_cam", layer="f", settings=Settings(orders=1))
    _, (saliency,) = network.maps(batch, [2])
    features = network._classifier.features(batch)[0].astype(np.float64)
    of_class = weights[2] if weights.shape == (5, len(features)) else weights[:, 2]
    true = np.maximum(sum(w * channel.mean() * channel for w, channel in zip(of_class, features, strict=True)), 0)
    assert true.max() > 1e-3
    np.testing.assert_allclose(saliency, true, atol=1e-5 * true.max())


def test_progress_is_told_and_no_number_is_refused() -> None:
    steps: list[tuple[int, int]] = []
    Game(of_pairs, 9).values(5, orders=3, progress=lambda *step: steps.append(step))  # type: ignore[arg-type]
    assert steps == [(9, 18), (18, 18)]
    with pytest.raises(InputError, match="orders is 0; 1 or more is expected"):
        Settings(orders=0)
