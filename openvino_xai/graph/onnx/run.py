"""ONNX models in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _ort

from openvino_xai.errors import ModelError
from openvino_xai.graph.protocol import Running

PROVIDERS = {"CPU": "CPUExecutionProvider"}
LARGEST_FILE = 2**31 - 2**20  # protobuf holds less than 2 GiB; above, weights go to a file beside
HANDED_OVER = 2**27  # bytes: weights beyond are handed over as they are in memory, and not written into a message first
_REFUSALS = (_ort.Fail, _ort.InvalidArgument, _ort.InvalidGraph, _ort.NotImplemented, _ort.RuntimeException)


def session(native: ir.Model, provider: str) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session; weights are handed over in memory, so that no file is needed."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    light, weights = _with_weights_outside(native) if weight_bytes(native) > HANDED_OVER else (None, {})
    if light is not None:
        options.add_external_initializers(
            list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(w) for w in weights.values()]
        )
    proto = _inlined(native) if light is None else ir.to_proto(light)
    try:
        held = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=[provider])
        held.ovxai_weights = weights  # ONNX Runtime reads them where they are
        return held
    except _REFUSALS as error:
        raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error


def _with_weights_outside(native: ir.Model) -> tuple[ir.Model, dict[str, np.ndarray]]:
    """A clone without its large weights, and these by name."""
    light = native.clone()
    weights = {}
    for value in light.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.nbytes > 1024:
            name = str(value.name)
            weights[name] = _mapped(tensor) if isinstance(tensor, ir.ExternalTensor) else np.ascontiguousarray(tensor.numpy())
            value.const_value = ir.ExternalTensor(
                "memory", 0, tensor.nbytes, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=name
            )
        elif isinstance(tensor, ir.ExternalTensor):  # small, and beside a file that ONNX Runtime does not know of
            value.const_value = ir.tensor(_mapped(tensor), name=tensor.name)
    return light, weights


def _mapped(tensor: ir.ExternalTensor) -> np.ndarray:
    """A tensor in a file, in a mapping of its own: onnx-ir closes the one that it reads when a model is written."""
    shape = tuple(tensor.shape.numpy())
    return np.memmap(tensor.path, tensor.dtype.numpy(), "r", tensor.offset or 0, shape or (1,)).reshape(shape)


def running(held: onnxruntime.InferenceSession, precision: str) -> Running:
    """A session as a function from inputs to outputs by name."""
    wanted = [item.name for item in held.get_inputs()]
    names = [item.name for item in held.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = held.run(None, {name: inputs[name] for name in wanted if name in inputs})
        return dict(zip(names, results, strict=True))

    def many(inputs: Mapping[str, np.ndarray], count: int) -> None:
        for _ in range(count):
            run(inputs)

    return Running(run, run, many, precision)


def _inlined(native: ir.Model) -> onnx.ModelProto:
    """A proto with every weight inside."""
    if not any(isinstance(v.const_value, ir.ExternalTensor) for v in native.graph.initializers.values()):
        return ir.to_proto(native)
    whole = native.clone()
    for value in whole.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value = ir.tensor(_mapped(value.const_value), name=value.name)
    return ir.to_proto(whole)


def weight_bytes(native: ir.Model) -> int:
    """The bytes of all weights."""
    return sum(v.const_value.nbytes for v in native.graph.initializers.values() if v.const_value is not None)
