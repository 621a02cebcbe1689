"""OpenVINO's Model API finds the maps by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from colours import colour_model
from tiny import in_dialect

import openvino_xai as xai
from openvino_xai.runtime.inputs.presets import updated_by

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def classifier() -> Any:
    reason = "openvino-model-api is not installed: pip install openvino-model-api==0.4.7"
    return pytest.importorskip("model_api.models", reason=reason).ClassificationModel


def test_a_hooked_model_is_a_classification_model(classifier: Any, tmp_path: Path) -> None:
    hooked = xai.insert(SAMPLES / "models" / "efficientnet_lite0.xml", scale="u8").save(tmp_path / "hooked.xml")
    photo = cv2.cvtColor(cv2.imread(str(SAMPLES / "images" / "cat.png")), cv2.COLOR_BGR2RGB)
    result = classifier.create_model(str(hooked), device="CPU")(photo)
    assert result.top_labels[0].name.replace("_", " ") == "Egyptian cat"
    assert (result.saliency_map.shape, result.saliency_map.dtype) == ((1, 1000, 7, 7), np.uint8)
    # it resizes in its own way, and runs in what precision the device prefers
    saliency = xai.load(hooked).explain(photo, targets=[result.top_labels[0].id]).maps[0] * 255
    assert np.corrcoef(saliency.reshape(-1), result.saliency_map[0, result.top_labels[0].id].reshape(-1))[0, 1] > 0.9


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
@pytest.mark.parametrize("preset", ["unit", "imagenet", "caffe"])
def test_preprocessing_that_is_stored_is_what_it_feeds(classifier: Any, suffix: str, preset: str, tmp_path: Path) -> None:
    hooked = xai.insert(in_dialect(colour_model(1), {".xml": "openvino", ".onnx": "onnx"}[suffix]), layer="f", verify=False)
    fed = updated_by(xai.load(hooked).preprocessing, preset).to_info()
    hooked.deployed.set_info("model_info", {**fed, "model_type": "Classification"})
    path = hooked.save(tmp_path / f"colours{suffix}")
    photo = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    expected = xai.load(path).explain(photo).predictions[0]
    api = classifier.create_model(str(path), device="CPU", configuration={"output_raw_scores": True})
    result = api(np.ascontiguousarray(photo[..., ::-1]))  # as OpenCV reads it
    assert result.top_labels[0].id == expected.id
    assert result.raw_scores[expected.id] == pytest.approx(expected.probability, abs=0.02)  # in what precision it likes
