"""Explain the model you deployed: saliency maps from OpenVINO IR and ONNX files, by graph surgery.

Importing this package imports neither openvino, onnx nor cv2; what needs them loads them when it is called.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from openvino_xai import predecessor
from openvino_xai.version import __version__

if TYPE_CHECKING:
    from openvino_xai import metrics
    from openvino_xai.detection import Detection, DetectionExplanation
    from openvino_xai.errors import OvxaiError, PreprocessingWarning
    from openvino_xai.explanation import Contrast, Explanation, HeadsExplanation, Match, Prediction
    from openvino_xai.locate import Located, TokenHint, Where
    from openvino_xai.method_table import MethodRow, MethodTable, methods
    from openvino_xai.own_methods import register_method, register_probe
    from openvino_xai.probes import Settings
    from openvino_xai.render.overlay import Style
    from openvino_xai.runtime.loading import load, load_heads
    from openvino_xai.runtime.network import Network
    from openvino_xai.runtime.probed import probe
    from openvino_xai.runtime.ready.explain import explain
    from openvino_xai.runtime.wrapped import wrap
    from openvino_xai.segmentation import Region, SegmentationExplanation
    from openvino_xai.serve.export import export
    from openvino_xai.surgery.hooked import Hooked
    from openvino_xai.surgery.insert import insert
    from openvino_xai.surgery.layer import Layer
    from openvino_xai.surgery.layers import layers
    from openvino_xai.words import OwnMethod

# OpenCV reads these when it is imported: the pixels of the largest image that is decoded, and what it says beside our errors
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

_HOME = {
    "Contrast": "explanation",
    "Detection": "detection",
    "DetectionExplanation": "detection",
    "Explanation": "explanation",
    "HeadsExplanation": "explanation",
    "Hooked": "surgery.hooked",
    "Layer": "surgery.layer",
    "MapCheck": "explanation.map_check",
    "Located": "locate",
    "Match": "explanation",
    "MethodRow": "method_table",
    "MethodTable": "method_table",
    "Network": "runtime.network",
    "OvxaiError": "errors",
    "OwnMethod": "words",
    "Prediction": "explanation",
    "PreprocessingWarning": "errors",
    "Region": "segmentation",
    "SegmentationExplanation": "segmentation",
    "Settings": "probes",
    "Style": "render.overlay",
    "TokenHint": "locate",
    "Where": "locate",
    "explain": "runtime.ready.explain",
    "export": "serve.export",
    "insert": "surgery.insert",
    "layers": "surgery.layers",
    "load": "runtime.loading",
    "load_heads": "runtime.loading",
    "methods": "method_table",
    "probe": "runtime.probed",
    "register_method": "own_methods",
    "register_probe": "own_methods",
    "wrap": "runtime.wrapped",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module(f"{__name__}.metrics")
    if name not in _HOME:
        return predecessor.attribute(name)
    predecessor.warn_of_mixture()
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


predecessor.answer_for_modules()


def __dir__() -> list[str]:
    return sorted(__all__)
