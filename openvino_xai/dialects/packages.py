"""The packages that a dialect needs: whoever serves models of one kind need not install what reads the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from openvino_xai.errors import InputError

PACKAGES = {  # by the extra that has them: what is imported, and what it is called where packages are installed
    "openvino": {"openvino": "openvino"},
    "onnx": {"onnx": "onnx", "onnx_ir": "onnx-ir", "onnxruntime": "onnxruntime"},
}
FILES = {"openvino": "OpenVINO runs models", "onnx": "ONNX files are read and run"}


@contextmanager
def packages_of(extra: Literal["openvino", "onnx"], what: str) -> Iterator[None]:
    """Raise InputError where a package that is imported within is not installed; `what` needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = PACKAGES[extra].get((error.name or "").partition(".")[0])
        if name is None:
            raise
        raise InputError(
            f"{what} needs the package {name}, by which {FILES[extra]}, and it is not installed: pip install 'ovxai[{extra}]'"
        ) from error
