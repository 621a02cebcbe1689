"""Weights that a model reads as they are and a hook turned around: OpenVINO keeps one arrangement of what lies in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from tiny import DIALECTS, HEAD, images, in_dialect, tiny

import openvino_xai as xai

pytestmark = pytest.mark.slow

CHANNELS = 48  # of square weights below 16 KiB, which a hook copies, and of a number that vector units like
STEM = "c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) "
BODY = STEM + "d = Conv(f, w1) g = Relu(d) e = Conv<pads=[1,1,1,1]>(g, w2) r = Relu(e) "
SQUARE = (CHANNELS, CHANNELS)


@pytest.fixture
def model() -> onnx.ModelProto:
    """A classifier with square weights of 1 x 1 and 3 x 3 behind a layer `f`."""
    sizes = {"w0": (CHANNELS, 3, 3, 3), "w1": (*SQUARE, 1, 1), "w2": (*SQUARE, 3, 3), "w": (5, CHANNELS), "b": (5,)}
    return tiny(BODY + HEAD.format("r"), batch=2, **sizes)


def maps_in_openvino(path: Path, batch: np.ndarray) -> np.ndarray:
    """The maps that OpenVINO makes of a file, without this package."""
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"image": batch})["saliency_map"]


@pytest.mark.parametrize("method", ["layer_cam", "hires_cam"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_written_file_has_the_maps_in_openvino(dialect: str, method: str, model: onnx.ModelProto, tmp_path: Path) -> None:
    hooked = xai.insert(in_dialect(model, dialect), method=method, layer="f", verify=False)
    path, batch = hooked.save(tmp_path / f"hooked{hooked.deployed.suffix}"), images(model, 2)
    reference = xai.insert(model, method=method, layer="f")
    expected = xai.load(reference.save(tmp_path / "reference.onnx"))(batch)["saliency_map"]
    np.testing.assert_allclose(maps_in_openvino(path, batch), expected, atol=1e-4)


def test_an_onnx_file_that_becomes_ir_has_the_maps(model: onnx.ModelProto, tmp_path: Path) -> None:
    path, batch = xai.insert(model, method="layer_cam", layer="f").save(tmp_path / "hooked.onnx"), images(model, 2)
    ov.save_model(ov.convert_model(path), tmp_path / "hooked.xml", compress_to_fp16=False)
    expected = xai.load(path)(batch)["saliency_map"]
    np.testing.assert_allclose(maps_in_openvino(tmp_path / "hooked.xml", batch), expected, atol=1e-4)
