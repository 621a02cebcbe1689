"""A repository for NVIDIA Triton: explicit configuration, version folders, and a pair of ensembles for old clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.serve.endpoint import Endpoint, Tensor
from openvino_xai.serve.servers.by_python import write_program
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.model_config import printed
from openvino_xai.serve.servers.server import Options, Server

BACKENDS = {".xml": ("openvino", "python"), ".onnx": ("onnxruntime", "python", "openvino")}
LARGEST_BATCH = 64


def write_triton(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> str:
    """Write the repository into a folder; the code of a client.

    The backend is Triton's `openvino`, `onnxruntime` or `python`. `legacy` makes two ensembles that share one copy of the
    weights: the endpoint as it was, and `NAME_xai` with maps.
    """
    backend, legacy = options.backend, options.legacy
    core = f"{endpoint.name}_core" if legacy else endpoint.name
    version = folder / core / "1"
    version.mkdir(parents=True)
    deployed.save(version / f"model{endpoint.suffix}")
    if backend == "python":
        write_program(version / "model.py", "triton_model.py")
    (folder / core / "config.pbtxt").write_text(_model(core, endpoint, backend, options.precision), encoding="utf-8")
    if legacy:
        for name, outputs in ((endpoint.name, endpoint.original), (f"{endpoint.name}_xai", endpoint.outputs)):
            (folder / name / "1").mkdir(parents=True)
            (folder / name / "1" / ".keep").touch()  # a version folder must be there, and an ensemble has no file
            (folder / name / "config.pbtxt").write_text(_ensemble(name, core, endpoint, outputs), encoding="utf-8")
    return client(endpoint, legacy=legacy)


def _model(name: str, endpoint: Endpoint, backend: str, precision: str) -> str:
    parameters = {}
    if backend == "openvino":
        parameters = {"PERFORMANCE_HINT": "LATENCY", **({"HINT_BF16": "YES"} if precision == "bf16" else {})}
    elif backend == "python":
        parameters = {"precision": precision}
    batching: dict[str, Any] = {"dynamic_batching": {"max_queue_delay_microseconds": 0}} if endpoint.open_batch else {}
    return printed(
        name=name,
        backend=backend,
        **_tensors(endpoint, endpoint.outputs, optional=endpoint.gate if backend == "python" else None),
        instance_group=[{"count": 1, "kind": "KIND_CPU"}],
        **batching,
        parameters=[{"key": key, "value": {"string_value": value}} for key, value in parameters.items()],
    )


def _ensemble(name: str, core: str, endpoint: Endpoint, outputs: Sequence[Tensor]) -> str:
    step = {
        "model_name": core,
        "model_version": -1,
        "input_map": [{"key": tensor.name, "value": tensor.name} for tensor in endpoint.inputs],
        "output_map": [{"key": tensor.name, "value": tensor.name} for tensor in outputs],
    }
    return printed(name=name, platform="ensemble", **_tensors(endpoint, outputs), ensemble_scheduling={"step": [step]})


def _tensors(endpoint: Endpoint, outputs: Sequence[Tensor], *, optional: str | None = None) -> dict[str, Any]:
    """Inputs and outputs; where the batch is open, Triton counts it apart. A gate may be `optional`, for old clients."""
    inputs = [
        {**_field(endpoint, tensor), **({"optional": True} if tensor.name == optional else {})} for tensor in endpoint.inputs
    ]
    return {
        "max_batch_size": LARGEST_BATCH if endpoint.open_batch else 0,
        "input": inputs,
        "output": [_field(endpoint, tensor) for tensor in outputs],
    }


def _field(endpoint: Endpoint, tensor: Tensor) -> dict[str, Any]:
    """A tensor with the sizes of one image's part; Triton takes one at least, and so a single number is [1]."""
    dims = tensor.shape[1:] if endpoint.open_batch else tensor.shape
    sizes = {"dims": list(dims)} if dims else {"dims": [1], "reshape": {"shape": []}}
    return {"name": tensor.name, "data_type": f"TYPE_{tensor.datatype}", **sizes}


def client(endpoint: Endpoint, *, legacy: bool = False, port: int = 8000) -> str:
    """How a client asks."""
    shapes = {
        tensor.name: [*([1] if endpoint.open_batch else []), *(max(size, 1) for size in _field(endpoint, tensor)["dims"])]
        for tensor in endpoint.inputs
    }
    name = f"{endpoint.name}_xai" if legacy else endpoint.name
    return client_code(endpoint, name=name, protocol="http", port=port, shapes=shapes)


TRITON = Server(
    title="Triton",
    write=write_triton,
    start="tritonserver --model-repository=. --http-address=127.0.0.1 --grpc-address=127.0.0.1 --metrics-address=127.0.0.1",
    backends=BACKENDS,
    options=frozenset({"backend", "precision", "legacy"}),
)
