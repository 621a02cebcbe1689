"""Abs-CAM that asks about the channels of the largest weights alone: hook and probe, by the model's own layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, VerificationError
from openvino_xai.plan.site import PlannedSite
from openvino_xai.probes import Settings

pytestmark = pytest.mark.slow

CASE = CASES["3x3 convolution after the layer"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
@pytest.mark.parametrize("most", [1, 2, 4, 9])
def test_hook_and_probe_agree(most: int, batch: str | int, dialect: str) -> None:
    model = in_dialect(CASE.build(batch, 17), dialect)
    hooked = xai.insert(model, method="abs_cam", layer="f", targets=[2, 4], scale="none", channels=most)
    assert hooked.record["channels"] == str(most)
    batch_of_two = images(CASE.build(1, 17), 2)
    maps = xai.load(hooked)(batch_of_two)["saliency_map"]
    probe = xai.probe(in_dialect(CASE.build(batch, 17), dialect), "abs_cam", layer="f", settings=Settings(channels=most))
    for index, k in enumerate((2, 4)):
        alone = xai.insert(model, method="abs_cam", layer="f", targets=[k], scale="none", channels=most)
        np.testing.assert_allclose(maps[:, index], probe.maps(batch_of_two, [k, k])[1], atol=1e-5)
        np.testing.assert_allclose(maps[:, index], xai.load(alone)(batch_of_two)["saliency_map"][:, 0], atol=1e-5)
    assert np.abs(maps).max() > 1e-3


@pytest.mark.parametrize("targets", ["top:1", "top:2", "asked"])
def test_fewer_channels_cost_less(targets: str) -> None:
    few, everything = (
        xai.insert(CASE.build("B", 17), method="abs_cam", layer="f", targets=targets, channels=most).layer.cost
        for most in (1, None)
    )
    assert few is not None and everything is not None and few < everything


def test_channels_that_do_not_weigh_most_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PlannedSite.largest_channels

    def wrong(self: PlannedSite, weights: Any) -> Any:
        return right(self, self._trace.multiply(weights, -1.0))

    monkeypatch.setattr(PlannedSite, "largest_channels", wrong)
    with pytest.raises(VerificationError):
        xai.insert(CASE.build("B", 17), method="abs_cam", layer="f", channels=1)


@pytest.mark.parametrize("method", [None, "grad_cam", "ablation_cam", "abs_cam_init", "reciprocam"])
def test_other_methods_are_refused_by_name(method: str | None) -> None:
    with pytest.raises(InputError, match=method or "abs_cam"):
        xai.insert(CASE.build("B", 17), method=method, channels=3)


def test_other_probes_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="score_cam does not choose"):
        xai.probe(CASE.build("B", 17), "score_cam", layer="f", settings=Settings(channels=3))


@pytest.mark.parametrize("channels", [0, -1, 1.5, True, "8"])
def test_no_number_of_channels_is_refused(channels: Any) -> None:
    with pytest.raises(InputError, match="channels is"):
        xai.insert(CASE.build("B", 17), method="abs_cam", layer="f", channels=channels)
