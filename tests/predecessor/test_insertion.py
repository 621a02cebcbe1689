"""`insert_xai` means here what it meant in openvino_xai 1.1.0: the score that it reads, the scale, the layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from tiny import DIALECTS, Oracle, images, in_dialect, tiny
from tiny_transformers import Transformer, oracle

import openvino_xai as xai
from openvino_xai import Method, Task, has_xai, insert_xai
from openvino_xai.errors import InputError, LayerError

SAMPLES = Path(__file__).parents[2] / "samples" / "models"
CNN = "c = Conv(image, k) f = Relu(c) g = Conv(f, m) p = GlobalAveragePool(g) v = Flatten(p) "
WEIGHTS = {"k": (4, 3, 1, 1), "m": (4, 4, 3, 3), "w": (4, 5)}
ENDS = {
    "logits": "logits = MatMul(v, w)",
    "softmax": "z = MatMul(v, w) logits = Softmax<axis=1>(z)",
    "sigmoid": "z = MatMul(v, w) logits = Sigmoid(z)",
}


def classifier(end: str = "logits", batch: int | str = "B") -> Any:
    return tiny(CNN + ENDS[end], batch=batch, **WEIGHTS)


def maps_of(hooked: Any, batch: np.ndarray) -> np.ndarray:
    return xai.load(hooked)(batch)["saliency_map"]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ENDS)
def test_maps_are_of_logits_or_of_what_a_sigmoid_returns(dialect: str, end: str) -> None:
    model = classifier(end)
    batch = images(model, 2)
    output, score = ("z", "logit") if end == "softmax" else ("logits", "logit")  # read as it is, whatever it is
    expected = Oracle(model, "f", score, output).raw(batch)
    hooked = insert_xai(in_dialect(model, dialect), Task.CLASSIFICATION, Method.RECIPROCAM, "f", False)
    np.testing.assert_allclose(maps_of(hooked, batch), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_scaled_maps_are_bytes(dialect: str) -> None:
    model = classifier()
    batch = images(model, 2)
    original = in_dialect(model, dialect)
    hooked = insert_xai(original, "classification", target_layer="f")
    assert type(hooked) is type(original)
    maps = maps_of(hooked, batch)
    assert (maps.dtype, maps.shape) == (np.uint8, (2, 5, 6, 8))
    np.testing.assert_allclose(maps, 255 * Oracle(model, "f", "logit").unit(batch), atol=0.51)  # rounded
    assert (has_xai(original), has_xai(hooked)) == (False, True)
    assert insert_xai(hooked, Task.CLASSIFICATION) is hooked


def test_a_hooked_file_is_read(tmp_path: Path) -> None:
    path = xai.insert(classifier()).save(tmp_path / "hooked.onnx")
    assert has_xai(str(path))
    assert has_xai(insert_xai(str(path), Task.CLASSIFICATION))


def test_an_activation_map_comes_once() -> None:
    model = classifier()
    batch = images(model, 2)
    maps = maps_of(insert_xai(model, Task.CLASSIFICATION, Method.ACTIVATIONMAP, "f", False), batch)
    expected = np.stack([Oracle(model, "f").features(image[None])[0].mean(axis=0, keepdims=True) for image in batch])
    np.testing.assert_allclose(maps, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("use_gaussian", [True, False])
def test_tokens_are_masked(use_gaussian: bool) -> None:
    variant = Transformer()
    model = variant.build("B")
    batch = images(model, 2)
    hooked = insert_xai(model, Task.CLASSIFICATION, Method.VITRECIPROCAM, embed_scaling=False, use_gaussian=use_gaussian)
    expected = oracle(variant, score="logit", kernel="gaussian" if use_gaussian else "cell").raw(batch)
    np.testing.assert_allclose(maps_of(hooked, batch), expected, atol=1e-5)


def test_the_hook_that_suits_a_model_is_taken() -> None:
    record = xai.load(insert_xai(Transformer().build("B"), Task.CLASSIFICATION)).record
    assert record["method"] == "vit_reciprocam"


@pytest.mark.slow
def test_of_a_detector_the_layers_are_found_or_checked() -> None:
    model = ov.Core().read_model(SAMPLES / "ultraface_rfb320.xml")
    hooked = insert_xai(model, Task.DETECTION, embed_scaling=False)
    shape = hooked.output("saliency_map").partial_shape
    assert shape.to_shape() == ov.Shape([1, 2, 23, 23])
    with pytest.raises(InputError, match="the scores of classes are at"):
        insert_xai(model, Task.DETECTION, target_layer=["input"])


class FromTorch:
    """An object of a class that says it comes from torch."""

    __module__ = "torch.nn.modules"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "segmentation"}, "Task.CLASSIFICATION, Task.DETECTION"),
        ({"explain_method": "gradcam"}, "Method.RECIPROCAM"),
        ({"explain_method": Method.RISE}, "method='rise'"),
        ({"explain_method": Method.DETCLASSPROBABILITYMAP}, "Task.DETECTION"),
        ({"task": Task.DETECTION, "explain_method": Method.RECIPROCAM}, "DETCLASSPROBABILITYMAP"),
        ({"task": Task.DETECTION, "saliency_map_size": (7, 7)}, "23 x 23"),
        ({"target_layer": ["f", "g"]}, "one layer"),
        ({"k": 2}, "target_layer"),
        ({"cls_token": False}, "class token is kept"),
    ],
)
def test_what_means_nothing_here_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        insert_xai(classifier(), **{"task": Task.CLASSIFICATION, **options})


def test_a_module_of_torch_is_told_to_be_exported() -> None:
    with pytest.raises(InputError, match="export it"):
        insert_xai(FromTorch(), Task.CLASSIFICATION)


def test_a_layer_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(LayerError, match="nowhere"):
        insert_xai(classifier(), Task.CLASSIFICATION, target_layer="nowhere")
