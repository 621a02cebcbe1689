"""A hook on an ONNX file is verified in the runtime that will serve it, which the caller names and the record keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from tiny import CASES, in_dialect
from tiny_transformers import Transformer

import openvino_xai as xai
from openvino_xai.dialects.onnx import model as onnx_dialect
from openvino_xai.errors import InputError, OutputsChanged

pytestmark = pytest.mark.slow

INT8 = Path(__file__).parents[2] / "samples" / "models" / "efficientnet_lite0_int8.onnx"


def logits_in_openvino(path: Path) -> np.ndarray:
    """The logits that OpenVINO computes from a file, without this package."""
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = np.random.default_rng(5).standard_normal((1, 3, 224, 224)).astype(np.float32)
    return compiled(image)["logits"]


def test_openvino_keeps_the_bits_of_an_onnx_file_with_a_hook(tmp_path: Path) -> None:
    path = xai.insert(INT8).save(tmp_path / "hooked.onnx")
    np.testing.assert_array_equal(logits_in_openvino(path), logits_in_openvino(INT8))


def test_a_hook_that_changes_a_bit_in_the_serving_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_dialect, "SMALL", -1)  # the hook then shares biases, which OpenVINO no longer fuses
    assert xai.insert(INT8).record["verified"] == "onnxruntime"
    for runtime in ("openvino", "both"):
        with pytest.raises(OutputsChanged, match=r"output 'logits' changed by up to .* in openvino"):
            xai.insert(INT8, runtime=runtime)


@pytest.mark.parametrize(
    ("runtime", "verified"),
    [(None, "onnxruntime"), ("openvino", "openvino"), ("both", "onnxruntime,openvino")],
)
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam"])
def test_the_record_says_where_a_hook_was_verified(runtime: str | None, verified: str, method: str, tmp_path: Path) -> None:
    hooked = xai.insert(CASES["pool and linear"].build("B", 17), runtime=runtime, method=method)
    assert hooked.record["verified"] == verified
    assert hooked.verified is not None and ",".join(hooked.verified.runtimes) == verified
    assert xai.load(hooked.save(tmp_path / "hooked.onnx")).record["verified"] == verified


def test_class_tokens_gates_and_wanted_classes_are_verified_in_both() -> None:
    assert xai.insert(Transformer().build(1), runtime="both").record["method"] == "vit_reciprocam"
    model = CASES["pool and linear"].build("B", 17)
    assert xai.insert(model, runtime="both", gate=True).record["verified"] == "onnxruntime,openvino"
    assert xai.insert(model, runtime="both", targets="asked").record["verified"] == "onnxruntime,openvino"


def test_what_is_not_verified_says_so() -> None:
    assert xai.insert(CASES["pool and linear"].build("B", 17), verify=False).record["verified"] == "none"


def test_only_openvino_runs_an_ir() -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    assert xai.insert(model, runtime="openvino").record["verified"] == "openvino"
    for runtime in ("onnxruntime", "both", "tensorrt"):
        with pytest.raises(InputError, match=f"runtime '{runtime}' does not run .xml files: openvino is expected"):
            xai.insert(model, runtime=runtime)
    with pytest.raises(InputError, match="onnxruntime or openvino or both is expected"):
        xai.insert(CASES["pool and linear"].build("B", 17), runtime="tensorrt")
