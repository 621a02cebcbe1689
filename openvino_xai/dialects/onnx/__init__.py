"""ONNX's dialect: reading its nodes into the neutral form, and emitting a plan as its nodes."""

import logging

from openvino_xai.dialects.onnx.model import OnnxModel

# onnx-ir warns of odd names and shapes, with the names as they are: where nobody listens, they must not reach the terminal
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())

__all__ = ["OnnxModel"]
