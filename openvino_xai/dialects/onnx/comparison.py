"""Whether a model that was rewritten gives what it gave before, to the bit: both are run on the same random inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.run import provider_of, running, session
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value

SIDE = 224  # pixels, where height and width are open
RUNS = ((1, 0.0, 1.0), (1, -1.0, 1.0), (1, 0.0, 255.0), (2, -1.0, 1.0), (3, 0.0, 255.0))  # batch, lowest and highest value


@dataclass(frozen=True)
class Difference:
    """An output that is not what it was, and by how much at most, as a text."""

    output: str
    amount: str


def difference(before: ir.Model, after: ir.Model, inputs: Sequence[Value]) -> Difference | None:
    """The first output of two models that differs in a bit, run by ONNX Runtime as anybody does; NaN is equal to NaN.

    An open batch is 1, 2 and 3. Raises ModelError where one of them cannot be run.
    """
    batches = list(_batches(inputs))
    for outputs, others in zip(_outputs(before, batches), _outputs(after, batches), strict=True):
        if list(outputs) != list(others):
            return Difference(", ".join(outputs), f"they are called {', '.join(others)}")
        for name, array in outputs.items():
            if not _same(array, others[name]):
                return Difference(name, _amount(array, others[name]))
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
    if value.dtype.kind == "f":
        return rng.uniform(low, high, shape).astype(value.dtype)
    return rng.integers(0, 256 if value.dtype.itemsize == 1 else 2, shape).astype(value.dtype)


def _outputs(native: ir.Model, batches: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    run = running(session(native, provider_of("CPU")), "")
    return [run(batch) for batch in batches]


def _same(array: np.ndarray, other: np.ndarray) -> bool:
    numbers = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    if numbers and array.dtype != other.dtype:
        return False
    return np.array_equal(array, other, equal_nan=numbers)


def _amount(array: np.ndarray, other: np.ndarray) -> str:
    if np.shape(array) != np.shape(other):
        return f"it is {list(np.shape(other))} and was {list(np.shape(array))}"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        return "it holds something else"
    return f"it differs by up to {np.nanmax(np.abs(array.astype(np.float64) - other)):.3g}"
