"""Models from paths and objects, and files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openvino_xai.errors import InputError
from openvino_xai.graph.protocol import Deployed, Running, Runtime
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


def compile_for(deployed: Deployed, runtime: Runtime) -> Running:
    """The model, ready to run in f32 on the CPU by one of its runtimes: an ONNX file may be served by OpenVINO.

    Inputs and outputs keep the names of the model's own dialect. Raises InputError, ModelError.
    """
    if runtime == deployed.runtime:
        return deployed.compile()
    from openvino_xai.graph.openvino import OpenVINOModel
    from openvino_xai.graph.openvino.run import Names

    folder = scratch_folder(Path(tempfile.gettempdir()))
    try:
        deployed.save(folder / f"model{deployed.suffix}")
        graph = deployed.reread().graph  # the model may have grown since it was read
        names = Names(tuple(value.name for value in graph.inputs), tuple(graph.outputs))
        return OpenVINOModel.read(folder / f"model{deployed.suffix}").compile(names=names)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_regular(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a regular file, of at most `most`.

    Pipes, sockets and devices are not opened: reading one may hang, or do something to the machine. Raises InputError, which
    says what is wrong with the path.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise InputError(f"cannot read {path}: it has {size} bytes, and at most {most} are read")
        return file.read()


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading; what fails meanwhile is an InputError, too. Pipes and devices are not opened."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot read {path}: it is no regular file")
        # what was a file a moment ago may be a pipe now: opening must not wait for a writer
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"cannot read {path}: it is no regular file")
            yield file
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


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
