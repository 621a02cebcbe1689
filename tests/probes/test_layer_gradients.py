"""Probes that look at gradients at a layer, and where all methods look that weigh channels."""

from __future__ import annotations

import numpy as np
import pytest
from tails import CASES, Case, slopes
from tiny import CASES as TINY
from tiny import DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import PlanError
from openvino_xai.hooks import METHODS
from openvino_xai.locate import locate
from openvino_xai.probes import PROBES

pytestmark = pytest.mark.slow

CHANNEL_HOOKS = [
    name for name, method in METHODS.items() if method.masks == "nothing" and method.score != "none" and method.takes_layer
]
CHANNEL_PROBES = [name for name, probe in PROBES.items() if "layer" in probe.looks_at]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["sigmoid", "strided convolution", "squeeze and excite"])
def test_gradients_at_a_layer_are_differences_of_scores(name: str, dialect: str) -> None:
    """Behind a flattened head the gradient differs from cell to cell, where an ablated channel tells a weighted mean of it."""
    true = slopes(name)
    network = xai.probe(in_dialect(CASES[name].model("B"), dialect), "group_cam", layer="x")
    for index, image in enumerate(true.image):
        for k in (0, 3):
            gradients = network._classifier.layer_gradients(image[None], k)
            wanted = true.jacobian[index, k]
            np.testing.assert_allclose(gradients, wanted, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["abs_cam", "group_cam"])
def test_what_has_no_derivative_is_named(method: str, dialect: str) -> None:
    model = in_dialect(Case("r = Round(x) y = Add(r, x)").model("B"), dialect)
    with pytest.raises(PlanError, match=r"'r' \(Round\) cannot be differentiated: no rule knows the operation"):
        xai.probe(model, method, layer="x")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["1x1 head, pool", "conv, 1x1 head, pool", "pool, linear"])
def test_all_that_weigh_channels_look_at_one_layer(name: str, dialect: str) -> None:
    """Behind a head of 1x1 the channels are classes already: methods look ahead of it."""
    model = in_dialect(CASES[name].model("B"), dialect)
    probes = {method: xai.probe(model, method).record["layer"] for method in CHANNEL_PROBES}
    located = locate(model)
    hooks = {method: located.choose(method).name for method in CHANNEL_HOOKS}
    assert len({*probes.values(), *hooks.values()}) == 1, (probes, hooks)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_hook_and_probe_of_abs_cam_agree(dialect: str) -> None:
    """On cells that are enlarged: the probe is held to the paper as printed elsewhere."""
    case = TINY["3x3 convolution after the layer"]
    batch = images(case.build(1, 17), 2)
    hooked = xai.insert(in_dialect(case.build("B", 17), dialect), method="abs_cam", layer="f", targets=[2, 4], scale="none")
    maps = xai.load(hooked)(batch)["saliency_map"]
    probe = xai.probe(in_dialect(case.build("B", 17), dialect), "abs_cam", layer="f")
    for index, k in enumerate((2, 4)):
        np.testing.assert_allclose(maps[:, index], probe.maps(batch, [k, k])[1], atol=1e-5)
