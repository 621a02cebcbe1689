"""Models from paths and objects, and files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openvino_xai.errors import InputError
from openvino_xai.graph.protocol import Deployed
from openvino_xai.graph.scratch import scratch_folder

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
    kind = type(model).__module__.partition(".")[0]
    if kind == "openvino":
        from openvino_xai.graph.openvino import OpenVINOModel

        return OpenVINOModel(model)
    if kind in ("onnx", "onnx_ml_pb2"):
        from openvino_xai.graph.onnx import OnnxModel

        return OnnxModel.of(model)
    raise InputError(f"a model is a path, an ov.Model or an onnx.ModelProto; this is {type(model).__qualname__}")


def _open_file(path: Path) -> Deployed:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if path.suffix == ".onnx":
        from openvino_xai.graph.onnx import OnnxModel

        return OnnxModel.read(path)
    if path.suffix in (".xml", *FRONTENDS):
        from openvino_xai.graph.openvino import OpenVINOModel

        if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
            raise InputError(f"{path} has no weights beside it: {path.with_suffix('.bin').name} is expected")
        return OpenVINOModel.read(path)
    raise InputError(f"{path} is no model that is known here: .xml (OpenVINO IR), .onnx, or {', '.join(FRONTENDS)} is expected")


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A temporary path with the target's name; on success it, and any files written beside it, are moved into place."""
    folder = scratch_folder(target.parent)
    try:
        yield folder / target.name
        for path in sorted(folder.iterdir(), key=lambda path: path.name == target.name):  # what it refers to goes first
            path.replace(target.parent / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
