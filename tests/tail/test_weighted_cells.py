"""Masks of real weights for each cell of a feature map, and masks that take one cell out, held to loops over the definition."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import CASES, DIALECTS, Oracle, images, in_dialect

import openvino_xai as xai
from openvino_xai.hooks import METHODS, Method
from openvino_xai.hooks.site import Cells
from openvino_xai.hooks.vit_reciprocam import gaussian

HEIGHT, WIDTH = 6, 8
MASKS = {"a kernel": gaussian(HEIGHT, WIDTH), "all but one cell": 1 - np.eye(HEIGHT * WIDTH)}
# f32 sums in another order, of scores near 1
TOLERANCE = 2e-5


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("plan", ["lazy", "direct"])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("case", ["pool and linear", "3x3 convolution after the layer"])
@pytest.mark.slow
def test_weighted_cells(case: str, masks: str, plan: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, weights = CASES[case].build("B", 17), MASKS[masks]
    monkeypatch.setitem(METHODS, "reciprocam", Method(lambda xp, site: site.scores(Cells(weights)), "cells"))
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", plan=plan, scale="none", verify=False)
    maps = xai.load(hooked)(batch)["saliency_map"]
    oracle = Oracle(model, "f")
    for image, of_image in zip(batch, maps, strict=True):
        features = oracle.features(image[None])
        for n, mask in enumerate(weights):
            scores = oracle.scores(features * mask.reshape(HEIGHT, WIDTH).astype(np.float32), image[None])
            np.testing.assert_allclose(of_image[:, n // WIDTH, n % WIDTH], scores, atol=TOLERANCE)
