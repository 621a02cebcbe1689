"""Whether a model that was rewritten gives what it gave before, to the bit: both are run on the same random inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.run import provider_of, running, session
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value

SIDE = 224  # pixels, where height and width are open
LARGEST = 2**27  # values of an input
RUNS = ((1, 0.0, 1.0), (1, -1.0, 1.0), (1, 0.0, 255.0), (2, -1.0, 1.0), (3, 0.0, 255.0))  # batch, lowest and highest value


@dataclass(frozen=True)
class Difference:
    """An output that is not what it was, and how so, as a text."""

    output: str
    how: str


def difference(before: ir.Model, after: ir.Model, inputs: Sequence[Value]) -> Difference | None:
    """The first output of two models that differs in a bit, run by ONNX Runtime as anybody does; NaN is equal to NaN.

    An open batch is 1, 2 and 3; where the first model runs on 1 alone, whatever it says, that is compared. Raises ModelError
    where a model cannot be run.
    """
    batches = list(_batches(inputs))
    expected = _outputs(before, batches, least=1)
    for outputs, others in zip(expected, _outputs(after, batches[: len(expected)], least=len(expected)), strict=True):
        if list(outputs) != list(others):
            return Difference(", ".join(outputs), f"they are called {', '.join(others)}")
        for name, array in outputs.items():
            if not _is_same(array, others[name]):
                return Difference(name, _how(array, others[name]))
    return None


def _batches(inputs: Sequence[Value]) -> Iterator[dict[str, np.ndarray]]:
    """Random inputs in the ranges that images are given in; a batch that is not open is always the same."""
    rng = np.random.default_rng(0)
    for batch, low, high in RUNS:
        yield {value.name: _random(value, batch, low, high, rng) for value in inputs}


def _random(value: Value, batch: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    if value.shape is None or value.dtype is None:
        raise ModelError(f"input '{value.name}' is no tensor of numbers with a known rank: nothing random can be given to it")
    shape = [size if isinstance(size, int) else batch if axis == 0 else SIDE for axis, size in enumerate(value.shape)]
    if math.prod(shape) > LARGEST:
        raise ModelError(f"input '{value.name}' takes {shape}, and at most {LARGEST} values are given to it")
    if value.dtype.kind == "f":
        return rng.uniform(low, high, shape).astype(value.dtype)
    return rng.integers(0, 256 if value.dtype.itemsize == 1 else 2, shape).astype(value.dtype)


def _outputs(native: ir.Model, batches: Sequence[Mapping[str, np.ndarray]], *, least: int) -> list[dict[str, np.ndarray]]:
    """The outputs for each batch, up to the first that the model refuses, where that is behind the `least` of them."""
    run = running(session(native, provider_of("CPU")), "")
    outputs: list[dict[str, np.ndarray]] = []
    for batch in batches:
        try:
            outputs.append(run(batch))
        except ModelError:
            if len(outputs) < least:
                raise
            break
    return outputs


def _is_same(array: np.ndarray, other: np.ndarray) -> bool:
    if not isinstance(array, np.ndarray):  # a sequence or a map
        return np.array_equal(array, other)
    return array.dtype == other.dtype and np.array_equal(array, other, equal_nan=array.dtype.kind == "f")


def _how(array: np.ndarray, other: np.ndarray) -> str:
    if not isinstance(array, np.ndarray) or array.shape != other.shape or array.dtype != other.dtype:
        return f"it is {_described(other)} and was {_described(array)}"
    differing = array != other
    if array.dtype.kind == "f":
        differing &= ~(np.isnan(array) & np.isnan(other))
    return f"{np.count_nonzero(differing)} of {array.size} values differ"


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else "no tensor"
