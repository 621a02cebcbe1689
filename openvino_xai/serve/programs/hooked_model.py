"""A hooked model, run by OpenVINO or ONNX Runtime for servers of the Open Inference Protocol, with nothing else beside it."""

import json
import logging
from collections import Counter

import numpy as np

ONNX_TYPES = {"float": "float32", "double": "float64"}  # others are called as numpy calls them
KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}  # of numbers that stand for those of a kind
WORDS = {"f": "FP", "i": "INT", "u": "UINT"}
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
HOOK = "hook.json"  # beside the model: the names that its hook adds

logger = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is its client's mistake, as the client is told."""


class Failed(Exception):
    """A request that the model cannot be run on."""


def datatype(dtype):
    """The type as the protocol names it: `FP32` and others."""
    return "BOOL" if dtype.kind == "b" else f"{WORDS[dtype.kind]}{dtype.itemsize * 8}"


class Input:
    """What the model takes: a size of None is open."""

    def __init__(self, name, dtype, shape):
        self.name, self.dtype, self.shape = name, np.dtype(dtype), shape

    def read(self, kind, shape, data):
        """The array of a request, whose numbers `data` returns, or Refused."""
        expected_kind, shape = datatype(self.dtype), list(shape)
        if kind != expected_kind:
            raise Refused(f"input '{self.name}' is {kind}: {expected_kind} is expected")
        fits = len(shape) == len(self.shape) and all(expected in (None, size) for expected, size in zip(self.shape, shape))
        if not fits or not all(isinstance(size, int) and size > 0 for size in shape):
            expected = [-1 if size is None else size for size in self.shape]
            raise Refused(f"input '{self.name}' has the shape {shape}: {expected} is expected, -1 for any size above 0")
        return self.numbers(data, shape)

    def numbers(self, data, shape):
        """The numbers that `data` returns, in a shape, or Refused."""
        kind = datatype(self.dtype)
        try:
            array = np.asarray(data())
            if array.dtype.kind not in KINDS[self.dtype.kind]:
                raise Refused(f"input '{self.name}' has data that are no numbers of {kind}")
            with np.errstate(over="ignore"):
                numbers = array.astype(self.dtype).reshape(shape)
        except UNREADABLE as error:
            raise Refused(f"input '{self.name}' has data that do not make {shape} of {kind}") from error
        if self.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise Refused(f"input '{self.name}' has data that are not finite, or too large for {kind}")
        if self.dtype.kind in "iu" and not np.array_equal(numbers.reshape(-1), array.reshape(-1)):
            raise Refused(f"input '{self.name}' has data that {kind} does not hold")
        return numbers


class HookedModel:
    """A model that answers requests; who does not say what to explain, where its hook has a gate, wants nothing explained."""

    def __init__(self, path, precision="f32"):
        hook = json.loads(path.with_name(HOOK).read_text(encoding="utf-8"))
        self.added, self.gate = hook["added"], hook["gate"]
        loaded = onnx_model(path) if path.suffix == ".onnx" else openvino_model(path, precision)
        self.inputs, self.outputs, self.run = loaded

    @property
    def originals(self):
        """The names of the outputs that were there before the hook."""
        return [name for name in self.outputs if name not in self.added]

    def wanted(self, names):
        """The names of the outputs that are asked for, all where none is, or Refused."""
        refuse_repeated("output", names)
        for name in names:
            if name not in self.outputs:
                raise Refused(f"there is no output '{name}': the model has {', '.join(self.outputs)}")
        return names or self.outputs

    def answer(self, items, *, explain=False):
        """The arrays of all outputs, by name, or Refused, Failed.

        Items are a name, a type, a shape, and what returns the numbers. Where the hook has a gate, and no item is it, `explain`
        says whether the images are explained.
        """
        refuse_repeated("input", [name for name, *_ in items])
        by_name = {name: item for name, *item in items}
        names = [taken.name for taken in self.inputs]
        for name in by_name:
            if name not in names:
                raise Refused(f"there is no input '{name}': the model has {', '.join(names)}")
        for name in names:
            if name not in by_name and name != self.gate:
                raise Refused(f"the input '{name}' is missing")
        arrays = {taken.name: taken.read(*by_name[taken.name]) for taken in self.inputs if taken.name in by_name}
        if self.gate is not None and self.gate not in arrays:
            arrays[self.gate] = np.full(len(next(iter(arrays.values()))), explain)
        if len({len(arrays[taken.name]) for taken in self.inputs if taken.shape[:1] == [None]}) > 1:
            raise Refused("the inputs have different numbers of images")
        return dict(zip(self.outputs, self.run(arrays)))


def refuse_repeated(kind, names):
    for name, count in Counter(names).items():
        if count > 1:
            raise Refused(f"the {kind} '{name}' is there {count} times")


def onnx_model(path):
    """Inputs, names of outputs, and a function from arrays to arrays; a file is run in the precision that it is written in."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [item.name for item in session.get_outputs()]
    kinds = [item.type.removeprefix("tensor(").removesuffix(")") for item in session.get_inputs()]
    inputs = [
        Input(item.name, ONNX_TYPES.get(kind, kind), [size if isinstance(size, int) else None for size in item.shape])
        for item, kind in zip(session.get_inputs(), kinds)
    ]
    failed = (failures.Fail, failures.InvalidArgument, failures.RuntimeException, RuntimeError, MemoryError)
    return inputs, outputs, answering(lambda arrays: session.run(outputs, arrays), failed)


def openvino_model(path, precision):
    """Inputs, names of outputs, and a function from arrays to arrays."""
    import openvino

    hints = {} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision}
    core = openvino.Core()
    model = core.read_model(path)
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **hints})
    inputs = [
        Input(
            port.get_any_name(),
            port.element_type.to_dtype(),
            [size.get_length() if size.is_static else None for size in port.partial_shape],
        )
        for port in model.inputs
    ]
    outputs = [port.get_any_name() for port in model.outputs]
    return (
        inputs,
        outputs,
        answering(lambda arrays: list(compiled.create_infer_request().infer(arrays).to_tuple()), (RuntimeError, MemoryError)),
    )


def answering(run, failed):
    """The function, whose failures are told without what the runtime says: it names files of its source."""

    def answer(arrays):
        try:
            return run(arrays)
        except failed as error:
            logger.error("the model failed", exc_info=error)
        raise Failed("the model cannot be run on this request")

    return answer
