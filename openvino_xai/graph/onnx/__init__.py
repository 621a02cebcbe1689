"""ONNX's dialect: reading its nodes into the neutral form, and emitting a plan as its nodes."""

from openvino_xai.graph.onnx.model import OnnxModel

__all__ = ["OnnxModel"]
