"""ONNX models in ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _ort

from openvino_xai.dialects.protocol import Adopted, Running
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.model import Value, opaque
from openvino_xai.graph.sizes import Dim

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "GPU": "CUDAExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "OPENVINO": "OpenVINOExecutionProvider",
}
LARGEST_FILE = 2**31 - 2**20  # protobuf holds less than 2 GiB; above, weights go to a file beside
HANDED_OVER = 2**27  # bytes: weights beyond are handed over as they are in memory, and not written into a message first
_REFUSALS = (_ort.Fail, _ort.InvalidArgument, _ort.InvalidGraph, _ort.NotImplemented, _ort.RuntimeException)


def provider_of(device: str) -> str:
    """The provider for a device. Raises InputError for one that this ONNX Runtime does not have."""
    there = onnxruntime.get_available_providers()
    provider = PROVIDERS.get(device.upper())
    if provider is None or provider not in there:
        devices = [name for name, its in PROVIDERS.items() if its in there]
        raise InputError(
            f"device {device} is not there for ONNX Runtime: one of {', '.join(devices)} is expected (its providers are "
            f"{', '.join(there)})"
        )
    return provider


def streams_of(hint: str, provider: str) -> int:
    """How many threads a session serves best at a time: as many as there are cores, where the hint is of throughput."""
    if hint == "LATENCY" or provider != PROVIDERS["CPU"]:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def session(native: ir.Model, provider: str, streams: int = 1) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session; weights are handed over in memory, so that no file is needed.

    Where it serves several `streams`, each run has one thread.
    """
    options = onnxruntime.SessionOptions()
    if streams > 1:
        options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised, and need not be printed as well
    light, weights = _with_weights_outside(native) if weight_bytes(native) > HANDED_OVER else (None, {})
    if light is not None:
        options.add_external_initializers(
            list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(w) for w in weights.values()]
        )
    proto = ir.to_proto(native if light is None else light)
    try:
        compiled = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=[provider])
    except _REFUSALS as error:
        raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error
    first = compiled.get_providers()[0]
    if first != provider:  # ONNX Runtime falls back with a warning at most
        raise InputError(
            f"{provider} was asked for, and ONNX Runtime fell back to {first}: what that provider needs is "
            "not installed here, or the device is not there"
        )
    compiled.ovxai_weights = weights  # ONNX Runtime reads them where they are
    return compiled


def _with_weights_outside(native: ir.Model) -> tuple[ir.Model, dict[str, np.ndarray]]:
    """A clone without its large weights, and these by name."""
    light = native.clone()
    weights = {}
    for value in light.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.nbytes > 1024:
            name = str(value.name)
            weights[name] = np.ascontiguousarray(tensor.numpy())
            value.const_value = ir.ExternalTensor(
                "memory", 0, tensor.nbytes, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=name
            )
    return light, weights


def running(compiled: onnxruntime.InferenceSession, precision: str, streams: int = 1) -> Running:
    """A session as a function from inputs to outputs by name."""
    wanted = [item.name for item in compiled.get_inputs()]
    names = [item.name for item in compiled.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = compiled.run(None, {name: inputs[name] for name in wanted if name in inputs})
        except _REFUSALS as error:
            raise ModelError(f"ONNX Runtime fails on it: {str(error)[:300]}") from error
        return dict(zip(names, results, strict=True))

    def many(inputs: Mapping[str, np.ndarray], count: int) -> None:
        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(run, repeat(inputs, count)))

    return Running(run, run, many, precision, streams)


def adopted(compiled: onnxruntime.InferenceSession) -> Adopted:
    """A session that somebody else made."""
    graph = opaque([_value(item) for item in compiled.get_inputs()], [_value(item) for item in compiled.get_outputs()])
    read_entries = partial(entries, compiled.get_modelmeta().custom_metadata_map)
    return Adopted(running(compiled, "unknown"), graph, compiled.get_providers()[0], read_entries)


def entries(metadata: Mapping[str, str], section: str) -> dict[str, str]:
    """The entries of a model's metadata whose key is `<section> <name>`, by name."""
    start = section + " "
    return {key[len(start) :]: text for key, text in metadata.items() if key.startswith(start)}


def drop_in(compiled: onnxruntime.InferenceSession, more: type) -> Any:
    """A session that is the same in every way, and `more`; both run the same model."""
    twin: Any = object.__new__(type("InferenceSession", (more, onnxruntime.InferenceSession), {}))
    twin.__dict__.update(compiled.__dict__)
    return twin


def _value(item: Any) -> Value:
    shape = tuple(size if isinstance(size, int) else Dim(1, (str(size),)) for size in item.shape)
    return Value(item.name, shape, _DTYPES.get(item.type, np.dtype(object)))


_DTYPES = {
    f"tensor({name})": np.dtype(dtype)
    for name, dtype in {
        "float": np.float32,
        "float16": np.float16,
        "double": np.float64,
        "uint8": np.uint8,
        "int8": np.int8,
        "int32": np.int32,
        "int64": np.int64,
        "bool": np.bool_,
    }.items()
}


def weight_bytes(native: ir.Model) -> int:
    """The bytes of all weights."""
    return sum(v.const_value.nbytes for v in native.graph.initializers.values() if v.const_value is not None)
