"""Methods that look at gradients by the image, against loops over finite differences."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tails import CASES, Case, jacobian, slopes
from tiny import CLASSES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, PlanError
from openvino_xai.probes import Settings

NAME = "squeeze and excite"


def by_image(images: np.ndarray) -> np.ndarray:
    """[B, K, C, H, W]: slopes of logits by the image, through the 1x1 convolution ahead of the tail."""
    tensors = CASES[NAME].model().graph.initializer
    gain = onnx.numpy_helper.to_array(next(item for item in tensors if item.name == "gain"))[:, :, 0, 0].astype(np.float64)
    x = np.einsum("oi,bihw->bohw", gain, images)
    return np.einsum("oi,bkohw->bkihw", gain, jacobian(NAME, x))


def maps(method: str, dialect: str, settings: Settings | None = None) -> np.ndarray:
    """[B, K, H, W]"""
    network = xai.probe(in_dialect(CASES[NAME].model("B"), dialect), method, settings=settings)
    image = slopes(NAME).image
    return np.stack([network.maps(np.repeat(item[None], CLASSES, axis=0), list(range(CLASSES)))[1] for item in image])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_saliency_is_the_largest_slope_of_a_pixel(dialect: str) -> None:
    true = np.abs(by_image(slopes(NAME).image)).max(axis=2)
    np.testing.assert_allclose(maps("saliency", dialect), true, atol=1e-4 * true.max())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_input_x_gradient(dialect: str) -> None:
    image = slopes(NAME).image
    true = np.abs((image[:, None] * by_image(image)).sum(axis=2))
    np.testing.assert_allclose(maps("input_x_gradient", dialect), true, atol=1e-4 * true.max())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_integrated_gradients_add_up_on_the_way(dialect: str) -> None:
    image = slopes(NAME).image
    mean = sum(by_image(image * share) for share in (1 / 6, 3 / 6, 5 / 6)) / 3
    true = np.abs((image[:, None] * mean).sum(axis=2))
    np.testing.assert_allclose(maps("integrated_gradients", dialect, Settings(steps=3)), true, atol=1e-4 * true.max())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_smooth_grad_is_the_mean_over_noise(dialect: str) -> None:
    image = slopes(NAME).image
    means = []
    for item in image:
        noise = np.random.default_rng(7).normal(0, 0.15 * np.ptp(item), (3, *item.shape)).astype(np.float32)
        means.append(np.mean([by_image(np.stack([item + some] * 2))[0] for some in noise], axis=0))
    true = np.abs(np.stack(means)).max(axis=2)
    np.testing.assert_allclose(maps("smooth_grad", dialect, Settings(copies=3, seed=7)), true, atol=1e-4 * true.max())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_has_no_derivative_is_named(dialect: str) -> None:
    model = in_dialect(Case("r = Round(x) y = Add(r, x)").model("B"), dialect)
    with pytest.raises(PlanError, match=r"'r' \(Round\) cannot be differentiated"):
        xai.probe(model, "saliency")


def test_a_layer_is_no_business_of_theirs() -> None:
    with pytest.raises(InputError, match="leave layer 'x' out"):
        xai.probe(CASES[NAME].model("B"), "smooth_grad", layer="x")


def test_steps_are_checked() -> None:
    with pytest.raises(InputError, match="steps is 0; 1 or more is expected"):
        Settings(steps=0)
