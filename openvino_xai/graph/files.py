"""Models from paths and objects, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openvino_xai.errors import InputError, OutputError
from openvino_xai.graph.paths import exists, is_file, is_folder
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
    if not is_file(path):
        raise InputError(f"there is no file {path}")
    if path.suffix == ".onnx":
        from openvino_xai.graph.onnx import OnnxModel

        return OnnxModel.read(path)
    if path.suffix in (".xml", *FRONTENDS):
        from openvino_xai.graph.openvino import OpenVINOModel

        if path.suffix == ".xml" and not is_file(path.with_suffix(".bin")):
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

    temporary = Path(tempfile.gettempdir())
    with writing(temporary), scratch_folder(temporary) as folder:
        deployed.save(folder / f"model{deployed.suffix}")
        graph = deployed.reread().graph  # the model may have grown since it was read
        names = Names(tuple(value.name for value in graph.inputs), tuple(graph.outputs))
        return OpenVINOModel.read(folder / f"model{deployed.suffix}").compile(names=names)


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
    """A temporary path with the target's name; on success it, and any files written beside it, are moved into place.

    What has been moved is on the disk when this returns. A link at the target is replaced, and what it points to is left as it
    is. Raises OutputError.
    """
    check_output(target)
    with writing(target), scratch_folder(target.parent) as folder:
        yield folder / target.name
        # what it refers to goes first
        paths = sorted(folder.iterdir(), key=lambda path: path.name == target.name)
        for path in paths:
            check_output(target.parent / path.name)
            _settle(path)
        for path in paths:
            path.replace(target.parent / path.name)
        _settle(target.parent)


def check_output(target: Path) -> None:
    """Raise OutputError where no file can be written: a folder, a pipe or a device is there, or its place cannot be used."""
    if "\0" in str(target):
        raise OutputError(f"cannot write {target}: no name holds a NUL; choose another name")
    with writing(target):
        try:
            mode = target.lstat().st_mode
        except FileNotFoundError:
            place = next(parent for parent in target.absolute().parents if exists(parent))
            if not is_folder(place):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
            return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise OutputError(f"cannot write {target}: what is there is {kind}; choose another name")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What the system says against writing a target becomes an OutputError with its name and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "choose another place")
        raise OutputError(f"cannot write {target}: {error.strerror or error}; {advice}") from error


_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "the system's limit of a file's size (ulimit -f) is too low, or the disk takes no file as large",
    errno.EACCES: "choose a place that you may write in",
    errno.EPERM: "choose a place that you may write in",
    errno.EROFS: "choose a place that you may write in",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a folder is expected where a file is",
    errno.EEXIST: "a folder is expected where a file is",
}


def _settle(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
