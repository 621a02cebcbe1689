"""Layers that are listed as having the same maps do, and others do not."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import openvino_xai as xai

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
twins (float[B, 3, 8, 8] image) => (float[B, 4] logits)
{
    convolved = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w)
    biased = Add(convolved, b)
    clipped = Relu(biased)
    squashed = Sigmoid(clipped)
    gate = Sigmoid(squashed)
    swish = Mul(squashed, gate)
    halved = Mul(swish, half)
    signed = Tanh(halved)
    mean = GlobalAveragePool(signed)
    flat = Flatten(mean)
    logits = MatMul(flat, c)
}
"""


def model() -> onnx.ModelProto:
    proto = onnx.parser.parse_model(TEXT)
    rng = np.random.default_rng(0)
    shapes = {"w": (5, 3, 3, 3), "b": (1, 5, 1, 1), "half": (1, 5, 1, 1), "c": (5, 4)}
    arrays = [onnx.numpy_helper.from_array(rng.normal(0, 1, shape).astype(np.float32), name) for name, shape in shapes.items()]
    proto.graph.initializer.extend(arrays)
    return proto


def maps(layer: str) -> np.ndarray:
    hooked = xai.insert(model(), layer=layer, scale="none", score="logit").model
    image = np.random.default_rng(1).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)
    return onnxruntime.InferenceSession(hooked.SerializeToString()).run(["saliency_map"], {"image": image})[0]


def test_twins() -> None:
    twins = {layer.name: layer.twin for layer in xai.layers(model())}
    assert twins == {
        "signed": None,
        "halved": "signed",  # tanh(0) = 0
        "swish": "signed",  # a product with a constant
        "squashed": None,  # read twice
        "clipped": None,  # sigmoid(0) = 1/2
        "biased": "clipped",
        "convolved": None,  # a bias is added
        "gate": None,
    }


@pytest.mark.parametrize(("layer", "twin"), [("halved", "signed"), ("swish", "signed"), ("biased", "clipped")])
def test_the_maps_of_twins_are_the_same(layer: str, twin: str) -> None:
    np.testing.assert_allclose(maps(layer), maps(twin), rtol=1e-5, atol=1e-6)  # sums in another order


@pytest.mark.parametrize(("layer", "other"), [("clipped", "squashed"), ("convolved", "biased")])
def test_maps_that_differ_are_no_twins(layer: str, other: str) -> None:
    assert not np.allclose(maps(layer), maps(other), rtol=1e-2, atol=1e-3)
