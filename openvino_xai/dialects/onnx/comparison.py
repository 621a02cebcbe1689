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

TOLERANCES = {"float64": 1e-6, "float32": 1e-4, "float16": 2e-2}  # of the largest number, where an operation rounds otherwise


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


def differing(native: ir.Model, pairs: Mapping[ir.Value, ir.Value], inputs: Sequence[Value]) -> set[str]:
    """The operations of a model that give other numbers than is made beside them, by the names of their first outputs.

    `pairs` has what is made beside, and the output that it is to be. Of a model that cannot be run that is not known of any.
    """
    operations = {output: str(node.outputs[0].name) for output in pairs.values() if (node := output.producer()) is not None}
    twin = native.clone()
    values = {str(value.name): value for node in twin.graph for value in node.outputs}
    twin.graph.outputs.clear()
    twin.graph.outputs.extend({values[str(item.name)]: None for pair in pairs.items() for item in pair})
    try:
        (results,) = _outputs(twin, [next(_batches(inputs))], least=1)
    except ModelError:
        return set(operations.values())
    return {
        operations[output]
        for value, output in pairs.items()
        if not _is_close(results[str(value.name)], results[str(output.name)])
    }


def _is_close(array: np.ndarray, other: np.ndarray) -> bool:
    """Whether two results are the same but for rounding, as the type of the second rounds."""
    if array.dtype != other.dtype or array.shape != other.shape:
        return False
    largest = np.abs(other, where=np.isfinite(other), out=np.zeros_like(other)).max(initial=0)
    tolerance = TOLERANCES.get(other.dtype.name, 0.0) * float(largest)
    return np.allclose(array.astype(np.float64), other.astype(np.float64), rtol=0, atol=tolerance, equal_nan=True)


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
