"""What clients of a served model see: its inputs, and its outputs in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from openvino_xai.contract import CLASS, MAP, RECORD
from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.model import Value
from openvino_xai.record.reading import names_in_file, record_of, records_of
from openvino_xai.serve.literals import code_span

LARGE = 64_000  # bytes a response grows by: some servers send every output, asked for or not
LONGEST = 200  # characters of a name: with what is added to it, a folder's name has at most 255 bytes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
RESERVED = {
    "config.json",
    "readme.md",
    "dockerfile",
    "inference_service.yaml",
    "models",
    "predictor",
    "settings.json",
    "seldon.yaml",
    "service_with_explainer.yaml",
    "ovxai-manifest.json",
}
DATATYPES = {
    np.dtype(kind): name
    for kind, name in {
        np.float32: "FP32", np.float16: "FP16", np.float64: "FP64", np.bool_: "BOOL",
        np.uint8: "UINT8", np.uint16: "UINT16", np.uint32: "UINT32", np.uint64: "UINT64",
        np.int8: "INT8", np.int16: "INT16", np.int32: "INT32", np.int64: "INT64",
    }.items()
}  # fmt: skip
RUNTIMES: dict[Runtime, str] = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class Tensor:
    """An input or output: -1 where a size is open."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def request_shape(self) -> list[int]:
        """The shape for one image, 1 wherever a size is open."""
        return [max(size, 1) for size in self.shape]

    @property
    def datatype(self) -> str:
        """The type as servers name it: `FP32` and others."""
        return DATATYPES[self.dtype]


@dataclass(frozen=True)
class Endpoint:
    """A hooked model as its clients see it; `runtime` runs it, and `own_runtime` is that of its dialect."""

    name: str
    suffix: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    record: Mapping[str, str]
    runtime: Runtime
    own_runtime: Runtime
    added: frozenset[str] = frozenset((MAP, CLASS))  # names of outputs and inputs that a hook may have

    @classmethod
    def hooked(cls, deployed: Deployed, name: str, runtime: Runtime | None = None) -> Endpoint:
        """The endpoint of a model with a hook. Raises ModelError for one without, and InputError for a hook that was not
        verified in the runtime that will serve it.
        """
        if not deployed.info(RECORD):
            raise ModelError("the model carries no hook, and would be served without maps: `ovxai insert` gives it one")
        endpoint = cls.of(deployed, name, runtime)
        if not endpoint.original:
            names = ", ".join(f"{tensor.name!a}" for tensor in endpoint.outputs)
            raise ModelError(f"the model has no output beside those that a hook adds ({names}): insert into the original anew")
        endpoint._refuse_unverified()
        return endpoint

    @classmethod
    def of(cls, deployed: Deployed, name: str, runtime: Runtime | None = None) -> Endpoint:
        """The endpoint of a model, run by its own runtime or by another. Raises InputError for a name that is none."""
        _check_name(name)
        inputs = tuple(_tensor(value.name, value) for value in deployed.graph.inputs)
        outputs = tuple(_tensor(output, value) for output, value in deployed.graph.outputs.items())
        runtime = runtime or deployed.runtime
        records = records_of(deployed.graph, deployed.info)
        added = frozenset(added for record in records for added in names_in_file(record))
        record = record_of(deployed.graph, deployed.info)
        return cls(name, deployed.suffix, inputs, outputs, record, runtime, deployed.runtime, added)

    @property
    def verified(self) -> tuple[str, ...] | None:
        """The runtimes that the hook was verified in; None for one that does not say, of an older version."""
        if "verified" not in self.record:
            return None
        return tuple(word for word in self.record["verified"].split(",") if word != "none")

    @property
    def checked(self) -> str:
        """The runtime that serves, and those that the hook was verified in, as a sentence."""
        names = [RUNTIMES[word] for word in RUNTIMES if word in (self.verified or ())]
        where = f"was verified in {' and '.join(names)}" if names else "was not verified"
        if self.verified is None:
            where = "does not say where it was verified"
        return f"{RUNTIMES[self.runtime]} runs the model, whose hook {where}"

    def _refuse_unverified(self) -> None:
        """Raise InputError where bits may differ from those that were verified: runtimes round in different ways.

        A hook that tells nothing, and one that was inserted without verification, may be served by the runtime of its dialect.
        """
        if self.runtime in (self.verified or ()) or (not self.verified and self.runtime == self.own_runtime):
            return
        raise InputError(
            f"{self.checked}: bits may differ there. `ovxai insert` on the original with runtime {self.runtime} verifies a "
            f"hook in {RUNTIMES[self.runtime]}, and with runtime both in either",
            options=("runtime",),
        )

    @property
    def gate(self) -> str | None:
        """The input that tells which images are explained, where the hook has one."""
        return self.record.get("gate")

    @property
    def request(self) -> dict[str, list[int]]:
        """The shapes of a request for one image."""
        return {tensor.name: tensor.request_shape for tensor in self.inputs}

    @property
    def open_batch(self) -> bool:
        """Whether every input and output takes any number of images."""
        return all(tensor.shape and tensor.shape[0] == -1 for tensor in (*self.inputs, *self.outputs))

    @property
    def original(self) -> tuple[Tensor, ...]:
        """The outputs that were there before the hook."""
        return tuple(tensor for tensor in self.outputs if tensor.name not in self.added)

    @property
    def maps(self) -> list[str]:
        """The names of the outputs with maps, of each head in turn."""
        return [tensor.name for tensor in self.outputs if tensor.name in self.added and tensor.name.startswith(MAP)]

    @property
    def grows_by(self) -> int:
        """The bytes that a response for one image grows by; an open size counts as one."""
        added = [tensor for tensor in self.outputs if tensor.name in self.added]
        return sum(prod(max(size, 1) for size in tensor.shape[1:]) * tensor.dtype.itemsize for tensor in added)

    @property
    def summary(self) -> str:
        """What is told of it when it was written."""
        return f"a response grows by {self.grows_by} bytes an image; {self.checked}"

    @property
    def warnings(self) -> list[str]:
        """What an old client may stumble over, and what would help."""
        notes = []
        if self.verified == ():
            notes.append(f"{self.checked}: it was inserted without verification")
        if self.gate is not None:
            notes.append(
                f"requests tell which images are explained, by {code_span(self.gate)}: old clients do not, and only "
                "servers that run the model by a program in Python let it be left out"
            )
        if self.grows_by > LARGE:
            notes.append(
                f"a response grows by {self.grows_by / 1000:.0f} kB an image, and some servers send every output, asked for or "
                "not: insert with targets top:1 and scale u8 for a smaller one, or ask for outputs by name"
            )
        maps = min(self.maps, default="")
        behind = [tensor.name for tensor in self.original if maps and tensor.name > maps]
        if behind:
            names = ", ".join(map(code_span, behind))
            notes.append(
                f"a server that sorts outputs by name sends {code_span(maps)} before {names}: clients that take outputs by "
                "their position there have to take them by name"
            )
        return notes


def _check_name(name: str) -> None:
    """Raise InputError for what cannot name an endpoint: it is a folder, a part of an address, and a model of a server."""
    if len(name) > LONGEST:
        raise InputError(
            f"a name of an endpoint has at most {LONGEST} characters, and this has {len(name)}: choose another name",
            options=("name",),
        )
    if not NAME.fullmatch(name) or ".." in name or name.endswith("."):
        raise InputError(
            f"'{name}' is no name of an endpoint: letters, digits, '_', '-' and single '.' are expected, a letter or digit "
            "first and no '.' last; choose another name",
            options=("name",),
        )
    if name.lower() in RESERVED:
        raise InputError(
            f"'{name}' is the name of a file or folder that an export may hold: choose another name", options=("name",)
        )


def _tensor(name: str, value: Value) -> Tensor:
    """An input or output. Raises ModelError for one that servers cannot be told of."""
    if not name:
        raise ModelError("an input or output has an empty name: a server cannot be asked for it", node=name)
    if not name.isprintable():
        raise ModelError(f"{name!a} has characters that are not printed, which servers do not carry: rename it", node=name)
    dtype = value.dtype_in_file
    if dtype is None or value.shape is None:
        raise ModelError(f"'{name}' has no known type and shape: a server has to be told them", node=name)
    if dtype not in DATATYPES:
        raise ModelError(
            f"'{name}' is {dtype}, which servers have no type for: {', '.join(map(str, DATATYPES))} are expected",
            node=name,
        )
    return Tensor(name, dtype, tuple(size if isinstance(size, int) else -1 for size in value.shape))
