"""What clients of a served model see: its inputs, and its outputs in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.neutral import Value
from openvino_xai.graph.protocol import Deployed
from openvino_xai.surgery.plan import CLASS, MAP
from openvino_xai.surgery.record import RECORD, record_of

LARGE = 64_000  # bytes a response grows by: some servers send every output, asked for or not


@dataclass(frozen=True)
class Tensor:
    """An input or output: -1 where a size is open."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def one(self) -> list[int]:
        """The shape for one image, 1 wherever a size is open."""
        return [max(size, 1) for size in self.shape]


@dataclass(frozen=True)
class Endpoint:
    """A hooked model as its clients see it."""

    name: str
    suffix: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    record: Mapping[str, str]

    @classmethod
    def hooked(cls, deployed: Deployed, name: str) -> Endpoint:
        """The endpoint of a model with a hook. Raises ModelError for one without."""
        if not deployed.info(RECORD):
            raise ModelError("the model carries no hook, and would be served without maps: `ovxai insert` gives it one")
        return cls.of(deployed, name)

    @classmethod
    def of(cls, deployed: Deployed, name: str) -> Endpoint:
        """The endpoint of a model. Raises InputError for a name that is none."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise InputError(f"'{name}' is no name of an endpoint: letters, digits, '_', '-' and '.' are expected")
        inputs = tuple(_tensor(value.name, value) for value in deployed.graph.inputs)
        outputs = tuple(_tensor(name, value) for name, value in deployed.graph.outputs.items())
        return cls(name, deployed.suffix, inputs, outputs, record_of(deployed.graph, deployed.info))

    @property
    def image(self) -> Tensor:
        """The input with the image."""
        return next(tensor for tensor in self.inputs if tensor.name == self.record.get("image", self.inputs[0].name))

    @property
    def open_batch(self) -> bool:
        """Whether every input and output takes any number of images."""
        return all(tensor.shape and tensor.shape[0] == -1 for tensor in (*self.inputs, *self.outputs))

    @property
    def original(self) -> tuple[Tensor, ...]:
        """The outputs that were there before the hook."""
        return tuple(tensor for tensor in self.outputs if tensor.name not in (MAP, CLASS))

    @property
    def grows_by(self) -> int:
        """The bytes that a response for one image grows by; an open size counts as one."""
        added = [tensor for tensor in self.outputs if tensor.name in (MAP, CLASS)]
        return sum(prod(max(size, 1) for size in tensor.shape[1:]) * tensor.dtype.itemsize for tensor in added)

    @property
    def warnings(self) -> list[str]:
        """What an old client may stumble over, and what would help."""
        found = []
        if self.grows_by > LARGE:
            found.append(
                f"a response grows by {self.grows_by / 1000:.0f} kB an image, and some servers send every output, asked for or "
                "not: insert with --targets top:1 --scale u8 for a smaller one, or ask for outputs by name"
            )
        behind = [tensor.name for tensor in self.original if tensor.name > MAP]
        if behind:
            found.append(
                f"a server that sorts outputs by name sends {MAP} before {', '.join(behind)}: clients that take outputs by "
                "their position there have to take them by name"
            )
        return found


def _tensor(name: str, value: Value) -> Tensor:
    if value.dtype is None or value.shape is None:
        raise ModelError(f"'{name}' has no known type and shape: a server has to be told them", node=name)
    return Tensor(name, value.dtype, tuple(size if isinstance(size, int) else -1 for size in value.shape))
