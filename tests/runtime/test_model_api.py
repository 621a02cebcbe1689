"""OpenVINO's Model API finds the maps by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import openvino_xai as xai

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
