"""Contrasts without a hook: probes are asked about the difference of two scores, whatever they make of it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.probes import BUILT_IN, PROBES, Settings
from openvino_xai.probes.channels.group_cam import KERNEL, SIGMA, group_masks
from openvino_xai.probes.classifier import blurred, enlarged, unit
from openvino_xai.probes.contrasts import ContrastClassifier

BODY = "f = Conv(image, k) r = Relu(f) g = Conv<pads=[1,1,1,1]>(r, m) s = Sigmoid(g) p = GlobalAveragePool(s) v = Flatten(p) "
PAIR = (3, 0)
RNG = np.random.default_rng(9)
WEIGHTS, ADDENDS = RNG.normal(0, 1, (5, 4)).astype(np.float32), RNG.normal(0, 0.1, 5).astype(np.float32)
SETTINGS = Settings(seed=3, masks=40, evaluations=10, groups=3, patch=3, stride=2, steps=4, copies=3, segments=6, orders=2)
LOGITS = ("ablation_cam", "shap_cam", "opti_cam", "saliency", "input_x_gradient", "integrated_gradients", "smooth_grad")
PROBABILITIES = ("rise", "occlusion", "abs_cam", "vit_cx", "lime", "kernel_shap")
OTHERS = {"score_cam", "group_cam", "aise", "tis"}  # each has a test of its own


def model(**weights: Any) -> onnx.ModelProto:
    shapes = {"k": (4, 3, 1, 1), "m": (4, 4, 3, 3), "w": WEIGHTS, "b": ADDENDS}
    return tiny(BODY + "logits = Gemm<transB=1>(v, w, b)", **{**shapes, **weights})


def subtracted() -> onnx.ModelProto:
    """The same model, of which class 0 is the difference, and class 1 is nothing."""
    first, second = PAIR
    weights, addends = np.zeros((2, 4), np.float32), np.zeros(2, np.float32)
    weights[0], addends[0] = WEIGHTS[first] - WEIGHTS[second], ADDENDS[first] - ADDENDS[second]
    return model(w=weights, b=addends, output="float[B,2] logits")


def maps(classifier: Any, method: Any, *classes: Any) -> np.ndarray:
    """[K, h, w]: of one image and each of the classes or pairs."""
    layer = "r" if "layer" in PROBES[method].looks_at else None
    network = xai.probe(classifier, method, layer=layer, settings=SETTINGS)
    image = images(model(), 1)
    return np.concatenate([network.maps(image, [k])[1] for k in classes])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", LOGITS)
def test_logits_are_subtracted_ahead_of_what_a_probe_does(method: str, dialect: str) -> None:
    contrast, true = maps(in_dialect(model(), dialect), method, PAIR), maps(subtracted(), method, 0)
    np.testing.assert_allclose(contrast, true, atol=1e-4 * true.max())
    first, second = maps(model(), method, *PAIR)
    assert np.abs(contrast[0] - (first - second)).max() > 0.01 * true.max()  # which it is not


@pytest.mark.parametrize("method", PROBABILITIES)
def test_what_is_linear_in_probabilities_is_a_difference_of_maps(method: str) -> None:
    first, second = maps(model(), method, *PAIR)
    np.testing.assert_allclose(maps(model(), method, PAIR)[0], first - second, atol=1e-5)
    np.testing.assert_allclose(maps(model(), method, PAIR[::-1])[0], second - first, atol=1e-5)


def test_score_cam_and_group_cam() -> None:
    """As their papers have them, with one score."""
    image, network = images(model(), 1), xai.probe(model(), "group_cam", layer="r", settings=SETTINGS)
    classifier = network._classifier  # type: ignore[attr-defined]
    channels = classifier.features(image)[0]

    def score(batch: np.ndarray) -> np.ndarray:
        p = network.predict(batch)
        return p[:, PAIR[0]] - p[:, PAIR[1]]

    weights = [float(score(image * unit(enlarged(channel[None], (6, 8)))[:, None])[0]) for channel in channels]
    expected = np.maximum(np.einsum("c,chw->hw", weights, channels), 0)
    np.testing.assert_allclose(maps(model(), "score_cam", PAIR)[0], expected, atol=1e-5)
    slopes = classifier.layer_gradients(image, PAIR[0]) - classifier.layer_gradients(image, PAIR[1])
    masks = group_masks(slopes.mean(axis=(1, 2))[:, None, None] * channels.astype(np.float64), 3, (6, 8))
    soft = blurred(image, KERNEL, SIGMA, cv2.BORDER_REFLECT_101)
    gains = [float((score(image * mask + soft * (1 - mask)) - score(soft))[0]) for mask in masks.astype(np.float32)]
    expected = np.maximum(np.einsum("n,nhw->hw", gains, masks), 0)
    assert expected.max() > 0
    np.testing.assert_allclose(maps(model(), "group_cam", PAIR)[0], expected, atol=1e-5)


def test_aise_searches_for_the_difference() -> None:
    pytest.importorskip("scipy")
    contrast, first = maps(model(), "aise", PAIR)[0], maps(model(), "aise", PAIR[0])[0]
    assert contrast.max() <= 1
    assert np.abs(contrast - first).max() > 1e-3


@pytest.mark.parametrize("name", ["scores", "logits_from", "gradients", "layer_gradients"])
def test_a_broken_difference_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first class alone, in place of the difference, is no map of it."""

    def broken(self: ContrastClassifier, array: np.ndarray, *others: Any) -> np.ndarray:
        if name in ("scores", "logits_from"):
            return np.asarray(getattr(self._model, name)(array, *others)[:, [first for first, _ in self._pairs]])
        return np.asarray(getattr(self._model, name)(array, self._pairs[others[0]][0]))

    method = {"scores": "rise", "logits_from": "ablation_cam", "gradients": "saliency", "layer_gradients": "group_cam"}[name]
    contrast = maps(model(), method, PAIR)
    monkeypatch.setattr(ContrastClassifier, name, broken)
    changed = maps(model(), method, PAIR)
    assert np.abs(changed - contrast).max() > 0.01 * np.abs(contrast).max()


def test_every_probe_is_tried() -> None:
    assert {*LOGITS, *PROBABILITIES, *OTHERS} == set(BUILT_IN)


def test_several_contrasts_and_their_order() -> None:
    both = xai.explain(model(), np.zeros((6, 8, 3), np.uint8), "3-0,1-4", method="occlusion")
    alone = [xai.explain(model(), np.zeros((6, 8, 3), np.uint8), targets, method="occlusion") for targets in ("3-0", "1-4")]
    np.testing.assert_allclose(both.maps, np.concatenate([item.maps for item in alone]), atol=1e-6)
    assert [target.name for target in both.targets] == ["3-0", "1-4"]


def test_what_is_no_contrast_is_refused() -> None:
    network = xai.probe(model(), "occlusion", settings=SETTINGS)
    for targets in ("3-3", "3-5", "3-0,1", [(3, 0), 1], [(3, 0, 1)]):
        with pytest.raises(InputError):
            network.explain(np.zeros((6, 8, 3), np.uint8), targets=targets)
