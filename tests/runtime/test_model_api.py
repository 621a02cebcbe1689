"""OpenVINO's Model API finds the maps by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from colours import colour_model
from tiny import in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
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


HEADS = {
    "num_multiclass_heads": 2,
    "num_multilabel_classes": 1,
    "num_single_label_classes": 4,
    "head_idx_to_logits_range": {"0": [0, 2], "1": [2, 4]},
    "all_groups": [["cat", "dog"], ["tabby", "siamese"], ["indoor"]],
    "class_to_group_idx": {"cat": [0, 0], "dog": [0, 1], "tabby": [1, 0], "siamese": [1, 1], "indoor": [2, 0]},
    "label_to_idx": {"cat": 0, "dog": 1, "tabby": 2, "siamese": 3, "indoor": 4},
}
TREE = {"cls_heads_info": HEADS, "label_tree_edges": [["tabby", "cat"], ["siamese", "cat"]]}
SEVERAL = {
    "multilabel": {"multilabel": "True", "confidence_threshold": "0.4", "labels": "cat dog tabby siamese indoor"},
    "greedy": {"hierarchical": "True", "hierarchical_config": json.dumps(TREE), "labels": "dog cat siamese tabby indoor"},
    "probabilistic": {
        "hierarchical": "True",
        "hierarchical_config": json.dumps(TREE),
        "hierarchical_postproc": "probabilistic",
        "labels": "cat dog tabby siamese indoor",
        "confidence_threshold": "0.7",
    },
}


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
@pytest.mark.parametrize("kind", SEVERAL)
def test_several_labels_are_answered_as_it_answers(classifier: Any, suffix: str, kind: str, tmp_path: Path) -> None:
    w = np.random.default_rng(2).normal(0, 3, (5, 3)).astype(np.float32)
    k = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    body = "f = Conv(image, k) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w)"
    plain = in_dialect(tiny(body, batch=1, image=(3, 6, 6), k=k, w=w), {".xml": "openvino", ".onnx": "onnx"}[suffix])
    deployed = open_model(plain)
    fed = {"mean_values": "127.5", "scale_values": "60", "model_type": "Classification"}
    deployed.set_info("model_info", {**fed, **SEVERAL[kind]})
    path = xai.insert(deployed.object(), layer="f").save(tmp_path / f"several{suffix}")
    network, api = xai.load(path), classifier.create_model(str(path), device="CPU")
    answers = set()
    for seed in range(12):
        colour = np.random.default_rng(seed).integers(0, 256, (1, 1, 3), dtype=np.uint8)
        photo = np.broadcast_to(colour, (6, 6, 3)).copy()
        explanation = network.explain(photo)
        y = network.predict(network.prepare(photo))[0]
        expected = {label.name: float(label.confidence) for label in api(photo[..., ::-1].copy()).top_labels}
        assert {network.label(k): pytest.approx(y[k], abs=0.03) for k in explanation.answers or ()} == expected
        answers.add(explanation.answers)
    assert len(answers) > 3
