"""Hooks that run on a plain model: the one function, its questions in batches, and the map that a hooked model returns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import CASES, DIALECTS, images, in_dialect
from tiny_transformers import Transformer

import openvino_xai as xai
from openvino_xai.hooks.ablation_cam import ablation_cam
from openvino_xai.hooks.site import Channels
from openvino_xai.probes import Settings
from openvino_xai.probes.site import ProbedSite, hook_maps

BATCH, CHANNELS, HEIGHT, WIDTH, CLASSES = 4, 9, 2, 3, 5
FEATURES = np.random.default_rng(0).standard_normal((CHANNELS, HEIGHT, WIDTH)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((CHANNELS, CLASSES))
IMAGE = np.ones((1, 3, 8, 8), np.float32)


def classifier(calls: list[np.ndarray]) -> Any:
    """A layer and a mean with a linear layer behind it, which notes the features that it is run with."""

    def logits_from(features: np.ndarray, image: np.ndarray) -> np.ndarray:
        assert image is IMAGE
        calls.append(features)
        return features.mean(axis=(2, 3)).astype(np.float64) @ WEIGHTS

    return SimpleNamespace(batch=BATCH, features=lambda image: FEATURES[None], logits_from=logits_from)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
@pytest.mark.parametrize(
    "build",
    [CASES["3x3 convolution after the layer"].build, lambda batch, _: Transformer().build(batch)],
    ids=["cells", "tokens"],
)
def test_hook_and_probe_of_ablation_cam_agree(build: Any, batch: str | int, dialect: str) -> None:
    """A hooked model and a plain one that is asked again and again return the map of one function."""
    model, photos = in_dialect(build(batch, 17), dialect), images(build(1, 17), 2)
    probe = xai.probe(model, "ablation_cam")
    layer = probe.record["layer"]
    hooked = xai.insert(model, method="ablation_cam", layer=layer, targets=[0, 3], scale="none")
    maps = xai.load(hooked)(photos)["saliency_map"]
    assert np.abs(maps).max() > 1e-3
    for index, k in enumerate((0, 3)):
        np.testing.assert_allclose(maps[:, index], probe.maps(photos, [k, k])[1], rtol=0, atol=2e-5 * np.abs(maps).max())


def test_a_hook_is_asked_of_a_plain_model() -> None:
    """Behind a mean and a linear layer, a channel's weight is known by hand."""
    lost = FEATURES.mean(axis=(1, 2))[:, None] * WEIGHTS
    weights = (lost / np.abs(lost.sum(axis=0)))[:, [4, 1]]
    true = np.maximum(np.einsum("ck,chw->khw", weights, FEATURES), 0)
    maps = hook_maps(ablation_cam, classifier([]), IMAGE, [4, 1], Settings())
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, true, rtol=1e-5, atol=1e-6)


def test_questions_come_in_batches_and_progress_is_told() -> None:
    calls: list[np.ndarray] = []
    heard: list[tuple[int, int]] = []
    settings = Settings(progress=lambda done, total: heard.append((done, total)))
    site = ProbedSite(classifier(calls), IMAGE, [0], settings)
    masks = np.random.default_rng(2).random((1, 10, CHANNELS)) < 0.5
    scores = site.scores(Channels(masks))
    assert [len(features) for features in calls] == [4, 4, 2]
    assert heard == [(4, 10), (8, 10), (10, 10)]
    assert all(features.dtype == np.float32 for features in calls)
    for mask, score in zip(masks[0], scores[0], strict=True):
        parts = [FEATURES[c].mean() * WEIGHTS[c, 0] for c in np.flatnonzero(mask)]
        assert score[0] == pytest.approx(sum(parts), abs=1e-6)


def test_a_channel_without_a_number_is_left_out() -> None:
    """Where a channel is infinite, scores without it are numbers."""
    calls: list[np.ndarray] = []
    model = classifier(calls)
    broken = FEATURES.copy()
    broken[2] = np.inf
    model.features = lambda image: broken[None]
    masks = np.ones((1, 1, CHANNELS), bool)
    masks[0, 0, 2] = False
    assert np.isfinite(ProbedSite(model, IMAGE, [0], Settings()).scores(Channels(masks))).all()


def test_maps_that_are_the_same_are_asked_about_once() -> None:
    """Enlarged, a constant map is constant: the image times it has a mean that is known by hand."""
    calls: list[np.ndarray] = []
    heard: list[tuple[int, int]] = []
    model = classifier([])

    def scores(images: np.ndarray) -> np.ndarray:
        calls.append(images)
        return images.mean(axis=(1, 2, 3))[:, None] * np.arange(CLASSES)

    model.scores = scores
    settings = Settings(progress=lambda done, total: heard.append((done, total)))
    levels = np.array([0.5, 0, 0.25, 0, 0.5, 1, 0.125, 0.75], np.float32)
    maps = np.repeat(levels[None, :, None], HEIGHT * WIDTH, axis=2)
    answers = ProbedSite(model, IMAGE, [4, 1], settings).image_scores(maps)
    np.testing.assert_allclose(answers, levels[None, :, None] * np.array([4, 1]), atol=1e-6)
    assert [len(images) for images in calls] == [4, 2]
    assert heard == [(4, 6), (6, 6)]


def test_the_range_of_enlarged_maps_is_told_without_asking_the_model() -> None:
    """Between the corners a map rises or falls evenly: its extremes are at the corners, where pixels are as the cells."""
    ends = np.random.default_rng(4).standard_normal((10, HEIGHT, 2)).astype(np.float32)
    maps = np.insert(ends, 1, ends.mean(axis=2), axis=2).reshape(1, 10, HEIGHT * WIDTH)
    low, high = ProbedSite(classifier([]), IMAGE, [0], Settings()).enlarged_range(maps)
    assert low.shape == high.shape == (1, 1, 10)
    np.testing.assert_allclose(low[0, 0], maps[0].min(axis=1), atol=1e-6)
    np.testing.assert_allclose(high[0, 0], maps[0].max(axis=1), atol=1e-6)
