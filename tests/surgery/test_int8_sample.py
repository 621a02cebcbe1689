"""The INT8 sample, on a photo, in both runtimes: its tail keeps its quantisation, and its maps are the definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from tiny import DIALECTS

import openvino_xai as xai

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"
MODEL = SAMPLES / "models" / "efficientnet_lite0_int8.onnx"
LAYER = "head_relu6_DequantizeLinear"
TENSOR = "head_relu6_DequantizeLinear_Output"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    from openvino_xai.render.photo import read_photo

    network = xai.load(MODEL)
    return network.preprocessing(read_photo(SAMPLES / "images" / "cat.png"))


def rounded(x: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """QuantizeLinear, then DequantizeLinear, of bytes."""
    return (np.clip(np.rint(x / scale) + zero.astype(np.float64), 0, 255) - zero) * scale


@pytest.fixture(scope="module")
def expected(photo: np.ndarray) -> np.ndarray:
    """[K, 7, 7] logits when one cell is kept: features from ONNX Runtime, the quantised tail written out in NumPy."""
    model = onnx.load(MODEL)
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = (tensors["fc.w_quantized"] - tensors["fc.w_zero_point"][:, None].astype(np.float64)) * tensors["fc.w_scale"][
        :, None
    ]
    bias = tensors["fc.b_quantized"] * tensors["fc.b_quantized_scale"].astype(np.float64)
    stem = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(["image"], [TENSOR])
    features = onnxruntime.InferenceSession(stem.SerializeToString()).run(None, {"image": photo})[0][0]
    maps = np.zeros((1000, 7, 7))
    for h in range(7):
        for w in range(7):
            masked = np.zeros_like(features)
            masked[:, h, w] = features[:, h, w]
            pooled = rounded(masked.mean(axis=(1, 2)), tensors["gap_scale"], tensors["gap_zero_point"])
            maps[:, h, w] = rounded(weights @ pooled + bias, tensors["logits_scale"], tensors["logits_zero_point"])
    return maps


@pytest.mark.parametrize("dialect", DIALECTS)
def test_maps_of_quantised_logits(dialect: str, photo: np.ndarray, expected: np.ndarray) -> None:
    model = MODEL if dialect == "onnx" else ov.Core().read_model(MODEL)
    hooked = xai.insert(model, layer=LAYER, score="logit", scale="none")
    plain, new = xai.load(model)(photo), xai.load(hooked)(photo)
    np.testing.assert_array_equal(plain["logits"], new["logits"])
    # logits are multiples of one step; where a sum falls between two, runtimes may round to either
    step = np.diff(np.unique(expected)).min()
    difference = np.abs(new["saliency_map"][0] - expected)
    assert difference.max() <= step * 1.01
    assert (difference < step / 2).mean() > 0.9
