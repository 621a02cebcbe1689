"""OpenVINO's dialect: reading its nodes into the neutral form, and emitting a plan as its nodes."""

from openvino_xai.dialects.openvino.model import OpenVINOModel

__all__ = ["OpenVINOModel"]
