"""epsilon-LRP of convolutions, ReLU and linear layers is HiResCAM, as docs/methods.md says in place of a method of its own."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tiny import CASES, DIALECTS, Oracle, images, in_dialect

import openvino_xai as xai

CASE = CASES["3x3 convolution after the layer"]


def shares(parts: np.ndarray, relevance: float, epsilon: float) -> np.ndarray:
    """What each of the parts of a sum z gets of its relevance: part / (z + epsilon sign z), with a bias among the parts."""
    z = parts.sum()
    return np.asarray(parts * relevance / (z + epsilon * np.sign(z)))


def slow_lrp(model: onnx.ModelProto, features: np.ndarray, k: int, epsilon: float) -> np.ndarray:
    """[C, H, W]: the relevance of the layer's elements for the logit of class k, from one sum to the next."""
    weights = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in model.graph.initializer}
    w1, b1, w, b = (weights[name] for name in ("w1", "b1", "w", "b"))
    count, height, width = features.shape
    wide = np.pad(features.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    sums = np.array(
        [
            [[(wide[:, i : i + 3, j : j + 3] * w1[c]).sum() + b1[c] for j in range(width)] for i in range(height)]
            for c in range(len(w1))
        ]
    )
    rectified = np.maximum(sums, 0)
    means = rectified.mean(axis=(1, 2))
    of_means = shares(np.append(w[k] * means, b[k]), float(w[k] @ means + b[k]), epsilon)[:-1]
    relevance = np.zeros((count, height + 2, width + 2))
    for c, i, j in np.ndindex(sums.shape):
        of_cell = shares(rectified[c] / (height * width), of_means[c], epsilon)[i, j]  # a ReLU passes it on
        parts = np.append((wide[:, i : i + 3, j : j + 3] * w1[c]).ravel(), b1[c])
        if of_cell:
            relevance[:, i : i + 3, j : j + 3] += shares(parts, of_cell, epsilon)[:-1].reshape(count, 3, 3)
    return relevance[:, 1:-1, 1:-1]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_hires_cam(dialect: str) -> None:
    model, batch = CASE.build("B", 17), images(CASE.build(1, 17), 1, seed=3)
    features = Oracle(CASE.build(1, 17), "f").features(batch)[0]
    hooked = xai.insert(in_dialect(model, dialect), method="hires_cam", layer="f", targets=[1, 2], scale="none")
    for saliency, k in zip(xai.load(hooked)(batch)["saliency_map"][0], (1, 2), strict=True):
        true, other = (np.maximum(slow_lrp(model, features, k, epsilon).sum(axis=0), 0) for epsilon in (1e-12, 0.5))
        np.testing.assert_allclose(saliency, true, rtol=0, atol=1e-5 * true.max())
        assert np.abs(other - true).max() > 0.01 * true.max()  # with an epsilon that counts it is not
