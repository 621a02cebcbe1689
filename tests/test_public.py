"""What the package offers, and that importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import openvino_xai as xai

HEAVY = ("openvino", "onnx", "onnx_ir", "onnxruntime", "cv2", "numpy")


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh process has loaded after `code`."""
    process = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(HEAVY) & set(process.stdout.split())


def test_public_names() -> None:
    assert xai.__all__ == [
        "Contrast",
        "Detection",
        "DetectionExplanation",
        "Explanation",
        "HeadsExplanation",
        "Hooked",
        "Layer",
        "Located",
        "Match",
        "MethodRow",
        "MethodTable",
        "Network",
        "OvxaiError",
        "OwnMethod",
        "Prediction",
        "PreprocessingWarning",
        "Region",
        "SegmentationExplanation",
        "Settings",
        "Style",
        "TokenHint",
        "Where",
        "__version__",
        "explain",
        "export",
        "insert",
        "layers",
        "load",
        "load_heads",
        "methods",
        "metrics",
        "probe",
        "register_method",
        "register_probe",
        "wrap",
    ]
    for name in xai.__all__:
        assert getattr(xai, name) is not None
    assert dir(xai) == xai.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xai.nothing


def test_importing_is_light() -> None:
    assert not loaded_by("import openvino_xai")


@pytest.mark.slow
def test_metrics_are_there_without_a_runtime() -> None:
    assert not loaded_by("import openvino_xai as xai; xai.metrics.insertion") & {"openvino", "onnx", "onnx_ir", "onnxruntime"}


@pytest.mark.slow
def test_methods_are_listed_without_a_runtime() -> None:
    assert not loaded_by("import openvino_xai as xai; repr(xai.methods())") & {"openvino", "onnx", "onnx_ir", "onnxruntime"}


@pytest.mark.slow
def test_help_is_light() -> None:
    code = """
import sys
sys.argv = ["ovxai", "--help"]
from openvino_xai.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    assert not loaded_by(code)


@pytest.mark.slow
def test_the_counter_example_is_seen() -> None:
    assert "openvino" in loaded_by("import openvino_xai; openvino_xai.insert; import openvino")
