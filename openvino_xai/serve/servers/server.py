"""What a server is to an export: a line in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import InputError
from openvino_xai.serve.endpoint import Endpoint

RUN_BY: dict[str, Runtime] = {"openvino": "openvino", "onnxruntime": "onnxruntime"}
BY_PYTHON = {".xml": ("python",), ".onnx": ("python",)}  # a program beside the model, which runs it by its own runtime


@dataclass(frozen=True, kw_only=True)
class Options:
    """What somebody chose of what a server leaves open; `backend` is the one that serves the file."""

    backend: str
    precision: str = "f32"
    legacy: bool = False
    overlay: bool = False
    runtime: Path | None = None


Write: TypeAlias = Callable[[Path, Endpoint, Deployed, Options], Endpoint]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server by its `title`: `write` fills a folder, and returns the endpoint as people are told of it.

    `backends` are those that serve a file, by its suffix, the default first; `options` are the options that it knows.
    `tells_class` is whether who uses it tells the class that a hook is asked for. `otherwise` helps a file that it does not
    serve.
    """

    title: str
    write: Write
    backends: Mapping[str, tuple[str, ...]]
    options: frozenset[str] = frozenset({"precision"})
    tells_class: bool = False
    otherwise: str = ""

    def backend(self, suffix: str, choice: str | None) -> str:
        """What serves a file, the default where none is named. Raises InputError."""
        backends = self.backends.get(suffix, ())
        if not backends:
            expected = " or ".join(self.backends)
            raise InputError(f"{self.title} does not serve {suffix} files: the model as {expected} is expected{self.otherwise}")
        if choice is not None and choice not in backends:
            raise InputError(
                f"backend '{choice}' does not serve {suffix} files: one of {', '.join(backends)} is expected",
                options=("backend",),
            )
        return choice or backends[0]


def runtime_of(backend: str, deployed: Deployed) -> Runtime:
    """What runs a model: a backend that is no runtime itself runs it by the model's own."""
    return RUN_BY.get(backend, deployed.runtime)
