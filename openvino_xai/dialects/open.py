"""Models from paths and objects, and compiled for a runtime."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openvino_xai.dialects.packages import packages_of
from openvino_xai.dialects.protocol import Deployed, Running, Runtime
from openvino_xai.dialects.unreadable import foreign, refuse_fetched_wrongly, refuse_pointer
from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists, is_file
from openvino_xai.files.scratch import scratch_folder
from openvino_xai.files.writing import writing

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    import openvino

Compiled: TypeAlias = "openvino.CompiledModel | onnxruntime.InferenceSession"
Model: TypeAlias = "str | os.PathLike[str] | openvino.Model | onnx.ModelProto"

FRONTENDS = (".tflite", ".pdmodel", ".pb")  # what OpenVINO reads, beside its own


def open_model(model: Model) -> Deployed:
    """The model in a file (`.xml`, `.onnx`) or an object, which is not changed. Raises InputError, ModelError."""
    if isinstance(model, (str, os.PathLike)):
        return _open_file(Path(model))
    package = type(model).__module__.partition(".")[0]
    if package == "openvino":
        with packages_of("openvino", "an ov.Model"):
            from openvino_xai.dialects.openvino import OpenVINOModel
        return OpenVINOModel(model)
    if package in ("onnx", "onnx_ml_pb2"):
        with packages_of("onnx", "an onnx.ModelProto"):
            from openvino_xai.dialects.onnx import OnnxModel
        return OnnxModel.of(model)
    raise InputError(f"a model is a path, an ov.Model or an onnx.ModelProto; this is {type(model).__qualname__}")


def check_model_file(path: Path) -> None:
    """Raise InputError for a path that leads to no model, as far as its name and its first bytes tell."""
    what = foreign(path)
    if what is not None and exists(path):
        raise InputError(f"{path} is {what}")
    if not is_file(path):
        raise InputError(f"there is no file {path}")
    if path.suffix not in (".onnx", ".xml", *FRONTENDS):
        raise InputError(
            f"{path} is no model that is known here: .xml (OpenVINO IR), .onnx, or {', '.join(FRONTENDS)} is expected"
        )
    refuse_fetched_wrongly(path)
    if path.suffix == ".xml":
        weights = path.with_suffix(".bin")
        if not is_file(weights):
            raise InputError(f"{path} has no weights beside it: {weights.name} is expected")
        refuse_pointer(weights)


def _open_file(path: Path) -> Deployed:
    check_model_file(path)
    if path.suffix == ".onnx":
        with packages_of("onnx", str(path)):
            from openvino_xai.dialects.onnx import OnnxModel
        return OnnxModel.read(path)
    with packages_of("openvino", str(path)):
        from openvino_xai.dialects.openvino import OpenVINOModel
    return OpenVINOModel.read(path)


def runtimes_of(deployed: Deployed, word: str | None) -> tuple[Runtime, ...]:
    """The runtimes that a caller's word names (None is the model's own), the model's own first. Raises InputError."""
    if word is None:
        return (deployed.runtime,)
    runtimes = deployed.runtimes
    if word == "both" and len(runtimes) > 1:
        return runtimes
    if word not in runtimes:
        words = (*runtimes, "both") if len(runtimes) > 1 else runtimes
        raise InputError(f"runtime '{word}' does not run {deployed.suffix} files: {' or '.join(words)} is expected")
    return tuple(name for name in runtimes if name == word)


def compile_for(deployed: Deployed, runtime: Runtime) -> Running:
    """The model, ready to run in f32 on the CPU by one of its runtimes: an ONNX file may be served by OpenVINO.

    Inputs and outputs keep the names of the model's own dialect. Raises InputError, ModelError.
    """
    if runtime == deployed.runtime:
        return deployed.compile()
    with packages_of("openvino", "runtime openvino"):
        from openvino_xai.dialects.openvino import OpenVINOModel
        from openvino_xai.dialects.openvino.run import Names

    temporary = Path(tempfile.gettempdir())
    with writing(temporary), scratch_folder(temporary) as folder:
        deployed.save(folder / f"model{deployed.suffix}")
        graph = deployed.reread().graph  # the model may have grown since it was read
        names = Names(tuple(value.name for value in graph.inputs), tuple(graph.outputs))
        return OpenVINOModel.read(folder / f"model{deployed.suffix}").compile(names=names)
