"""Opti-CAM on models whose slopes are known by hand: what it climbs, and what leaves it where it was."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.probes import PROBES, Settings
from openvino_xai.probes.channels.opti_cam import MaskedImage
from openvino_xai.probes.classifier import enlarged, enlargement, unit

RNG = np.random.default_rng(6)
IMAGE = RNG.normal(size=(1, 3, 9, 13)).astype(np.float32)
CHANNELS = RNG.normal(size=(1, 5, 3, 4)).astype(np.float32)
WEIGHTS = RNG.normal(size=(3, 9, 13))


class Quadratic:
    """A model whose logit is a weighed sum of squares."""

    batch = 4

    def __init__(self, channels: np.ndarray = CHANNELS) -> None:
        self.channels = channels

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.channels

    def logit(self, images: np.ndarray) -> float:
        return float((WEIGHTS * images[0].astype(np.float64) ** 2).sum())

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        return (2 * WEIGHTS * images[0])[None].astype(np.float32)

    def remainder(self, masked: MaskedImage, u: np.ndarray) -> float:
        """The logit of the image under a mask, which is not rounded."""
        large = enlargement(3, 9) @ masked.saliency(u) @ enlargement(4, 13).T
        return self.logit((IMAGE * (large - large.min()) / np.ptp(large))[:1])


def differences(model: Quadratic, masked: MaskedImage, u: np.ndarray) -> np.ndarray:
    return np.array(
        [(model.remainder(masked, u + row) - model.remainder(masked, u - row)) / 2e-6 for row in 1e-6 * np.eye(len(u))]
    )


def test_slopes_are_differences_of_the_logit() -> None:
    """Through the softmax, the enlargement, and the least and the largest pixel, which scale the mask."""
    model = Quadratic()
    masked = MaskedImage(model, IMAGE)  # type: ignore[arg-type]
    for u in RNG.normal(size=(4, 5)):
        true = differences(model, masked, u)
        np.testing.assert_allclose(masked.slopes(u, 0), true, rtol=0, atol=1e-5 * np.abs(true).max())


def test_a_mask_that_is_not_scaled_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the least and the largest pixel do, slopes are others."""
    model = Quadratic()
    masked, u = MaskedImage(model, IMAGE), RNG.normal(size=5)  # type: ignore[arg-type]
    true = differences(model, masked, u)
    ends = type("Ends", (np.ndarray,), {"argmin": lambda mask: 1, "argmax": lambda mask: 1})
    monkeypatch.setattr(masked, "_down", masked._down.view(ends))
    assert np.abs(masked.slopes(u, 0) - true).max() > 1e-2 * np.abs(true).max()


def test_enlargement_is_that_of_maps() -> None:
    large = enlargement(3, 9) @ CHANNELS[0].astype(np.float64) @ enlargement(4, 13).T
    np.testing.assert_allclose(large, enlarged(CHANNELS[0], (9, 13)), atol=1e-6)
    assert enlargement(1, 5).shape == (5, 1)


def test_the_logit_rises() -> None:
    model, logits = Quadratic(), []
    for steps in (1, 10, 60):
        (saliency,) = PROBES["opti_cam"].ask(model, IMAGE, [0], Settings(steps=steps))  # type: ignore[arg-type]
        logits.append(model.logit(IMAGE * unit(enlarged(saliency[None], (9, 13)))))
    assert logits == sorted(logits) and logits[-1] > logits[0] + 0.5


def test_channels_without_a_shape_have_a_map_without_one() -> None:
    for channels in (-np.ones_like(CHANNELS), np.ones_like(CHANNELS)):
        (saliency,) = PROBES["opti_cam"].ask(Quadratic(channels), IMAGE, [0], Settings(steps=3))  # type: ignore[arg-type]
        assert np.isfinite(saliency).all() and np.ptp(saliency) == 0


def test_progress_is_told_for_each_class() -> None:
    steps: list[tuple[int, int]] = []
    settings = Settings(steps=2, progress=lambda *step: steps.append(step))
    PROBES["opti_cam"].ask(Quadratic(), IMAGE, [0, 1], settings)  # type: ignore[arg-type]
    assert steps == [(1, 2), (2, 2)] * 2
