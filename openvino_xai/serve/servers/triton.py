"""A repository for NVIDIA Triton: explicit configuration, version folders, and a pair of ensembles for old clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.json_text import to_json
from openvino_xai.serve.endpoint import Endpoint, Tensor
from openvino_xai.serve.servers.by_python import write_program
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.model_config import printed
from openvino_xai.serve.servers.overlay import PICTURE, Drawing
from openvino_xai.serve.servers.readme import write_readme
from openvino_xai.serve.servers.server import Options, Server

BACKENDS = {".xml": ("openvino", "python"), ".onnx": ("onnxruntime", "python", "openvino")}
LARGEST_BATCH = 64
START = "tritonserver --model-repository=. --http-address=127.0.0.1 --grpc-address=127.0.0.1 --metrics-address=127.0.0.1"
PAIR = (
    "`{name}` answers as it did, `{name}_xai` with maps; both run `{name}_core`, one copy of the weights, which computes the "
    "maps either way. Outputs of an ensemble come in no order: take them by name.\n\n"
)
ABOUT_PICTURES = (
    f"`{{name}}_overlay` answers all that `{{core}}` does, and `{PICTURE}`: PNG bytes, the map of the most probable class over "
    "the image as the model is fed it. Who asks the other endpoint pays nothing for it.\n\n"
)


@dataclass(frozen=True)
class Drawn(Endpoint):
    """An endpoint that returns pictures, too; `doubts` are about the pixels below them."""

    doubts: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What an old client may stumble over, and what the pictures may show wrong."""
        return [*super().warnings, *self.doubts]


def write_triton(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> Endpoint:
    """Write the repository into a folder, with a README; the endpoint. Raises InputError for what cannot be drawn."""
    drawing = write_models(folder, endpoint, deployed, options)
    about = PAIR.format(name=endpoint.name) if options.legacy else ""
    if drawing is not None:
        endpoint = Drawn(**vars(endpoint), doubts=drawing.doubts)
        about += ABOUT_PICTURES.format(name=endpoint.name, core=f"{endpoint.name}_xai" if options.legacy else endpoint.name)
    code = client(endpoint, legacy=options.legacy, picture=options.overlay)
    write_readme(folder, endpoint, start=START, client=code, about=about)
    return endpoint


def write_models(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> Drawing | None:
    """Write the models of a repository into a folder.

    The backend is Triton's `openvino`, `onnxruntime` or `python`. `legacy` makes two ensembles that share one copy of the
    weights: the endpoint as it was, and `NAME_xai` with maps. `overlay` makes `NAME_overlay`, an ensemble of the model and of
    `NAME_draw`, which draws.
    """
    backend, drawing = options.backend, Drawing.of(endpoint, deployed) if options.overlay else None
    core = f"{endpoint.name}_core" if options.legacy else endpoint.name
    version = folder / core / "1"
    version.mkdir(parents=True)
    deployed.save(version / f"model{endpoint.suffix}")
    if backend == "python":
        write_program(version / "model.py", "triton_model.py")
    (folder / core / "config.pbtxt").write_text(_model(core, endpoint, backend, options.precision), encoding="utf-8")
    if options.legacy:
        for name, outputs in ((endpoint.name, endpoint.original), (f"{endpoint.name}_xai", endpoint.outputs)):
            step = _step(core, endpoint.inputs, outputs)
            _write_ensemble(folder / name, [step], _tensors(endpoint, outputs))
    if drawing is not None:
        _write_drawing(folder, core, endpoint, drawing)
    return drawing


def _write_drawing(folder: Path, core: str, endpoint: Endpoint, drawing: Drawing) -> None:
    """Write the step that draws, and its ensemble with the model.

    All outputs are the step's. In between, tensors have other names: asked for some outputs, Triton 2.51 leaves out a step of
    which none is asked for, though another reads it.
    """
    place, name = folder / f"{endpoint.name}_draw", f"{endpoint.name}_overlay"
    (place / "1").mkdir(parents=True)
    write_program(place / "1" / "model.py", "triton_overlay.py")
    (place / "1" / "overlay.json").write_text(to_json(drawing.to_dict(endpoint)) + "\n", encoding="utf-8")
    tensors = _tensors(endpoint, endpoint.outputs)
    tensors["output"].append(_picture(endpoint))
    read = [*drawing.inputs, *(tensor.name for tensor in endpoint.outputs)]
    fields = {field["name"]: field for field in (*tensors["input"], *tensors["output"])}
    inputs = [{**fields[tensor], "name": drawing.between(tensor)} for tensor in read]
    kind = [{"count": 1, "kind": "KIND_CPU"}]
    text = printed(name=place.name, backend="python", **{**tensors, "input": inputs}, instance_group=kind)
    (place / "config.pbtxt").write_text(text, encoding="utf-8")
    runs = _step(core, endpoint.inputs, endpoint.outputs)
    draws = _step(place.name, (), endpoint.outputs)
    for pair in runs["output_map"]:
        pair["value"] = drawing.between(pair["value"])
    for tensor in read:
        value = tensor if tensor in drawing.inputs else drawing.between(tensor)
        draws["input_map"].append({"key": drawing.between(tensor), "value": value})
    draws["output_map"].append({"key": PICTURE, "value": PICTURE})
    _write_ensemble(folder / name, [runs, draws], tensors)


def _picture(endpoint: Endpoint) -> dict[str, Any]:
    """The output with pictures, one an image."""
    images = endpoint.outputs[0].shape[0] if endpoint.outputs[0].shape else 1
    return {"name": PICTURE, "data_type": "TYPE_STRING", "dims": [1 if endpoint.open_batch else images]}


def _write_ensemble(folder: Path, steps: Sequence[Mapping[str, Any]], tensors: Mapping[str, Any]) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / ".keep").touch()  # a version folder must be there, and an ensemble has no file
    text = printed(name=folder.name, platform="ensemble", **tensors, ensemble_scheduling={"step": steps})
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")


def _step(model: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[str, Any]:
    """A step of an ensemble, whose tensors have the names that they have in the model."""
    maps = {"input_map": inputs, "output_map": outputs}
    pairs = {field: [{"key": tensor.name, "value": tensor.name} for tensor in tensors] for field, tensors in maps.items()}
    return {"model_name": model, "model_version": -1, **pairs}


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


def client(endpoint: Endpoint, *, legacy: bool = False, picture: bool = False, port: int = 8000) -> str:
    """How a client asks."""
    shapes = {
        tensor.name: [*([1] if endpoint.open_batch else []), *(max(size, 1) for size in _field(endpoint, tensor)["dims"])]
        for tensor in endpoint.inputs
    }
    name = f"{endpoint.name}_overlay" if picture else f"{endpoint.name}_xai" if legacy else endpoint.name
    pictures = PICTURE if picture else None
    return client_code(endpoint, name=name, protocol="http", port=port, shapes=shapes, picture=pictures)


TRITON = Server(
    title="Triton",
    write=write_triton,
    backends=BACKENDS,
    options=frozenset({"backend", "precision", "legacy", "overlay"}),
)
