"""A repository for NVIDIA Triton: explicit configuration, version folders, and a pair of ensembles for old clients."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.graph.protocol import Deployed
from openvino_xai.serve.endpoint import Endpoint, Tensor

TYPES = {
    np.dtype(kind): f"TYPE_{name}"
    for kind, name in {
        np.float32: "FP32", np.float16: "FP16", np.float64: "FP64", np.uint8: "UINT8", np.int8: "INT8",
        np.int32: "INT32", np.int64: "INT64", np.bool_: "BOOL",
    }.items()
}  # fmt: skip
BACKENDS = {".xml": ("openvino", "python"), ".onnx": ("onnxruntime", "python", "openvino")}
LARGEST_BATCH = 64


def write_triton(
    folder: Path, endpoint: Endpoint, deployed: Deployed, *, backend: str | None, precision: str, legacy: bool
) -> None:
    """Write the repository into a folder.

    `backend` is Triton's `openvino`, `onnxruntime` or `python`, None the one that is the model's own. `legacy` makes two
    ensembles that share one copy of the weights: the endpoint as it was, and `NAME_xai` with maps. Raises InputError.
    """
    known = BACKENDS[endpoint.suffix]
    backend = backend or known[0]
    if backend not in known:
        raise InputError(f"backend '{backend}' does not serve {endpoint.suffix} files: one of {', '.join(known)} is expected")
    core = f"{endpoint.name}_core" if legacy else endpoint.name
    version = folder / core / "1"
    version.mkdir(parents=True)
    deployed.save(version / f"model{endpoint.suffix}")
    if backend == "python":
        (version / "model.py").write_text(
            files("openvino_xai.serve").joinpath("triton_model.py").read_text(encoding="utf-8"), encoding="utf-8"
        )
    (folder / core / "config.pbtxt").write_text(_model(core, endpoint, backend, precision), encoding="utf-8")
    if legacy:
        for name, outputs in ((endpoint.name, endpoint.original), (f"{endpoint.name}_xai", endpoint.outputs)):
            (folder / name / "1").mkdir(parents=True)
            (folder / name / "1" / ".keep").touch()  # a version folder must be there, and an ensemble has no file
            (folder / name / "config.pbtxt").write_text(_ensemble(name, core, endpoint, outputs), encoding="utf-8")


def _model(name: str, endpoint: Endpoint, backend: str, precision: str) -> str:
    lines = [f'name: "{name}"', f'backend: "{backend}"', *_tensors(endpoint, endpoint.outputs, backend == "python")]
    lines.append("instance_group [ { count: 1 kind: KIND_CPU } ]")
    if endpoint.open_batch:
        lines.append("dynamic_batching { max_queue_delay_microseconds: 0 }")
    if backend == "openvino":
        lines.append('parameters { key: "PERFORMANCE_HINT" value { string_value: "LATENCY" } }')
        if precision == "bf16":
            lines.append('parameters { key: "HINT_BF16" value { string_value: "YES" } }')
    elif backend == "python":
        lines.append(f'parameters {{ key: "precision" value {{ string_value: "{precision}" }} }}')
    return "\n".join(lines) + "\n"


def _ensemble(name: str, core: str, endpoint: Endpoint, outputs: Sequence[Tensor]) -> str:
    inputs = "\n".join(f'      input_map {{ key: "{tensor.name}" value: "{tensor.name}" }}' for tensor in endpoint.inputs)
    made = "\n".join(f'      output_map {{ key: "{tensor.name}" value: "{tensor.name}" }}' for tensor in outputs)
    step = f'      model_name: "{core}"\n      model_version: -1\n{inputs}\n{made}'
    steps = f"ensemble_scheduling {{\n  step [\n    {{\n{step}\n    }}\n  ]\n}}"
    return "\n".join([f'name: "{name}"', 'platform: "ensemble"', *_tensors(endpoint, outputs), steps]) + "\n"


def _tensors(endpoint: Endpoint, outputs: Sequence[Tensor], optional: bool = False) -> list[str]:
    """Inputs and outputs; where the batch is open, Triton counts it apart. A gate may be `optional`, for old clients."""
    gate = endpoint.record.get("gate") if optional else None
    first = 1 if endpoint.open_batch else 0
    lines = [f"max_batch_size: {LARGEST_BATCH if endpoint.open_batch else 0}"]
    for word, tensors in (("input", endpoint.inputs), ("output", outputs)):
        told = [
            f'  {{ name: "{tensor.name}" data_type: {_type(tensor)} {_dims(tensor.shape[first:])}'
            + (" optional: true }" if tensor.name == gate else " }")
            for tensor in tensors
        ]
        lines.append(f"{word} [\n" + ",\n".join(told) + "\n]")
    return lines


def _dims(shape: Sequence[int]) -> str:
    """The sizes of one image's part; Triton takes one at least, and so a single number is [1]."""
    return f"dims: [ {', '.join(map(str, shape))} ]" if shape else "dims: [ 1 ] reshape { shape: [ ] }"


def _type(tensor: Tensor) -> str:
    if tensor.dtype not in TYPES:
        raise InputError(
            f"'{tensor.name}' is {tensor.dtype}, which Triton has no type for: {', '.join(map(str, TYPES))} are known"
        )
    return TYPES[tensor.dtype]


def client(endpoint: Endpoint, legacy: bool) -> str:
    """How a client asks."""
    image, scores = endpoint.image, endpoint.original[0]
    shape = image.one
    name = f"{endpoint.name}_xai" if legacy else endpoint.name
    return f"""import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient("127.0.0.1:8000")
image = triton.InferInput("{image.name}", {shape}, "{_type(image).removeprefix("TYPE_")}")
image.set_data_from_numpy(np.zeros({shape}, np.{image.dtype}))
asked = [triton.InferRequestedOutput(name) for name in ("{scores.name}", "saliency_map")]  # leave out what is not wanted
result = client.infer("{name}", [image], outputs=asked)
print(result.as_numpy("{scores.name}").shape, result.as_numpy("saliency_map").shape)
"""
