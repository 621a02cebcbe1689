"""The mean of a layer's features, as one more output of a hooked model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from command import ovxai
from tiny import CASES, DIALECTS, HEAD, LINEAR, STEM, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.errors import OvxaiError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.plan.site import PlannedSite
from openvino_xai.record.removal import unhooked


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam", "activation_map"])
@pytest.mark.slow
def test_it_is_the_mean_over_the_cells(method: str, dialect: str) -> None:
    model = CASES["pool and linear"].build("B", 17)
    image = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", method=method, feature_vector=True)
    outputs = xai.load(hooked)(image)
    true = np.concatenate([Oracle(model, "f").features(item[None]) for item in image]).mean(axis=(2, 3))
    np.testing.assert_allclose(outputs["feature_vector"], true, atol=1e-6)
    assert list(outputs)[-1] == "feature_vector" and hooked.record["feature_vector"] == "feature_vector"
    assert list(unhooked(hooked.deployed).graph.outputs) == ["logits"]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_0_for_an_image_that_is_not_asked_for(dialect: str) -> None:
    model = CASES["pool and linear"].build("B", 17)
    image = images(model, 2)
    network = xai.load(xai.insert(in_dialect(model, dialect), layer="f", gate=True, feature_vector=True))
    vectors = network(image, explain=np.array([False, True]))["feature_vector"]
    assert not vectors[0].any() and vectors[1].any()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_numbers_are_seen(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PlannedSite.feature_vector

    def doubled(site: PlannedSite) -> Value:
        return site._trace.multiply(real(site), np.float32(2))

    monkeypatch.setattr(PlannedSite, "feature_vector", doubled)
    with pytest.raises(VerificationError, match="not the mean"):
        xai.insert(in_dialect(CASES["pool and linear"].build("B", 17), dialect), layer="f", feature_vector=True)


def test_an_output_of_that_name_is_kept() -> None:
    body = STEM + HEAD.format("f") + " feature_vector = Relu(p)"
    model = tiny(body, output="float[B,5] logits, float[B,4,1,1] feature_vector", **LINEAR)
    with pytest.raises(OvxaiError, match="has an output 'feature_vector' already"):
        xai.insert(model, scores="logits", feature_vector=True)


@pytest.mark.slow
def test_the_command_adds_it(tmp_path: Path) -> None:
    onnx.save(CASES["pool and linear"].build("B", 17), tmp_path / "m.onnx")
    ovxai("insert", "-m", tmp_path / "m.onnx", "-o", tmp_path / "h.onnx", "--feature-vector")
    assert [output.name for output in onnx.load(tmp_path / "h.onnx").graph.output] == [
        "logits",
        "saliency_map",
        "feature_vector",
    ]
