"""OpenVINO models, compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino.passes import ConstantFolding, Manager

from openvino_xai.dialects.protocol import Adopted, Running
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value, opaque
from openvino_xai.graph.sizes import Dim

BRIEF = ov.Type.bf16  # which NumPy knows nothing of


@dataclass(frozen=True)
class Names:
    """The names of inputs and outputs, in their order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, model: ov.Model | ov.CompiledModel) -> Names:
        """The names that a client uses."""
        return cls(tuple(map(name_of, model.inputs)), tuple(map(name_of, model.outputs)))

    def there(self, model: ov.Model) -> Names:
        """These names for the inputs that a model read from another dialect has: OpenVINO 2025.4 drops those nobody reads."""
        inputs = (next((name for name in self.inputs if name in port.get_names()), name_of(port)) for port in model.inputs)
        return Names(tuple(inputs), self.outputs)


def running(compiled: ov.CompiledModel, names: Names, quantised: str) -> Running:
    """A compiled model as a function from inputs to outputs, by the model's `names`: compiling merges and drops some."""
    wanted = {name: i for i, name in enumerate(names.inputs)}
    brief = (
        [port.get_element_type() == BRIEF for port in compiled.inputs],
        [port.get_element_type() == BRIEF for port in compiled.outputs],
    )
    idle: list[ov.InferRequest] = []  # a request serves one thread at a time

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            free = idle.pop()
        except IndexError:
            free = compiled.create_infer_request()
        try:
            results = free.infer(by_index(inputs), share_inputs=True)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO fails on it: {first_line(error)}") from error
        idle.append(free)
        return {name: widened(results[i], of_brief=brief[1][i]) for i, name in enumerate(names.outputs)}

    @cache
    def request() -> ov.InferRequest:  # holds memory of its own: only for those who measure
        return compiled.create_infer_request()

    def by_index(inputs: Mapping[str, np.ndarray]) -> dict[int, np.ndarray | ov.Tensor]:
        there = {wanted[name]: array for name, array in inputs.items() if name in wanted}
        return {index: brief_tensor(array) if brief[0][index] else array for index, array in there.items()}

    def once(inputs: Mapping[str, np.ndarray]) -> object:
        return request().infer(by_index(inputs), share_inputs=True, share_outputs=True)

    def many(inputs: Mapping[str, np.ndarray], count: int) -> None:
        queue = ov.AsyncInferQueue(compiled)
        for _ in range(count):
            queue.start_async(by_index(inputs), share_inputs=True)
        queue.wait_all()

    return Running(run, once, many, quantised + _precision(compiled), _streams(compiled))


def _precision(compiled: ov.CompiledModel) -> str:
    try:
        return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
    except RuntimeError:  # AUTO and HETERO do not tell
        return "unknown"


def _streams(compiled: ov.CompiledModel) -> int:
    try:
        return int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    except RuntimeError:  # a device that does not tell
        return 1


def adopted(compiled: ov.CompiledModel) -> Adopted:
    """A compiled model that somebody else made. It keeps nothing of what the model told about itself."""
    graph = opaque([_value(port) for port in compiled.inputs], [_value(port) for port in compiled.outputs])
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return Adopted(running(compiled, Names.of(compiled), ""), graph, devices, lambda section: {})


def drop_in(compiled: ov.CompiledModel, more: type) -> Any:
    """A compiled model that is the same in every way, and `more`."""
    return type("CompiledModel", (more, ov.CompiledModel), {})(compiled)


def _value(port: Any) -> Value:
    partial = port.get_partial_shape()
    shape = tuple(size.get_length() if size.is_static else Dim(1, (f"axis {axis}",)) for axis, size in enumerate(partial))
    return Value(name_of(port), shape, dtype_of(port), aliases=frozenset(port.get_names()))


def dtype_of(port: Any) -> np.dtype[Any] | None:
    """NumPy's type of what a port holds, None where it has none. What is bf16 comes and goes as f32, of which it is a part."""
    element_type = port.get_element_type()
    try:
        dtype: np.dtype[Any] = np.dtype(np.float32 if element_type == BRIEF else element_type.to_dtype())
        return dtype
    except (IndexError, KeyError, RuntimeError, TypeError):  # IndexError: of a type that it has no name for
        return None


def stored_in(port: Any) -> np.dtype[Any] | None:
    """The type that a port holds where NumPy does not compute with it, else None."""
    return np.dtype(ml_dtypes.bfloat16) if port.get_element_type() == BRIEF else None


def brief_tensor(array: np.ndarray) -> ov.Tensor:
    """A tensor of bf16, which holds an array rounded."""
    tensor = ov.Tensor(BRIEF, ov.Shape(array.shape))  # which has memory of its own: an array's would go with it
    tensor.data.view(np.uint16)[...] = array.astype(ml_dtypes.bfloat16).view(np.uint16)
    return tensor


def widened(array: np.ndarray, *, of_brief: bool) -> np.ndarray:
    """An array from OpenVINO; f32 of bf16, which OpenVINO calls float16."""
    return array.view(np.uint16).view(ml_dtypes.bfloat16).astype(np.float32) if of_brief else array


def content_of(constant: Any) -> np.ndarray:
    """What a Constant holds."""
    return widened(np.array(constant.get_data()), of_brief=constant.get_output_element_type(0) == BRIEF)


def constant_of(array: np.ndarray, element_type: ov.Type) -> ov.Node:
    """A Constant of a type, with an array that `content_of` another such told."""
    return opset.constant(brief_tensor(array)) if element_type == BRIEF else opset.constant(array, element_type)


_CORE: list[ov.Core] = []


def core() -> ov.Core:
    """The one core of this process.

    OpenVINO's CPU plugin (2026.4) gives the thread a stack for signals, and puts the one before back when a core is dropped. Of
    two cores that are not dropped in turn that one is freed already, and the next signal, as Ctrl-C, ends the process.
    """
    if not _CORE:
        _CORE.append(ov.Core())
    return _CORE[0]


def computed(ports: Sequence[ov.Output]) -> list[np.ndarray]:
    """What ports that depend on no input hold."""
    model = ov.Model([opset.result(port) for port in ports], [], "constant")
    if all(port.get_element_type().is_integral() for port in ports) and (contents := _folded(model)) is not None:
        return contents
    model, tables = _fed(model)
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [widened(np.array(array), of_brief=port.get_element_type() == BRIEF) for port, array in compiled(tables).items()]


def _fed(model: ov.Model) -> tuple[ov.Model, list[np.ndarray]]:
    """A model that is fed its tables of numbers, and these, where it resizes some; else the same model.

    A constant that is resized is folded while the model is compiled: OpenVINO (2026.4) takes 12 s for a table of positions.
    """
    if all(node.get_type_name() != "Interpolate" for node in model.get_ops()):
        return model, []
    twin, inputs, tables = model.clone(), [], []
    for node in twin.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.f32 and len(node.get_output_shape(0)) > 2:
            inputs.append(opset.parameter(node.get_output_shape(0), ov.Type.f32))
            tables.append(np.array(node.get_data()))
            node.output(0).replace(inputs[-1].output(0))
    return ov.Model(twin.get_results(), inputs, "constant"), tables


def _folded(model: ov.Model) -> list[np.ndarray] | None:
    """What integer outputs hold, as OpenVINO folds them; None where it leaves some to be run.

    Compiling takes 10 ms even for a sum of two constants, and exports may have thousands of those.
    """
    twin = model.clone()
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(twin)
    constants = [result.input_value(0).get_node() for result in twin.get_results()]
    return (
        [np.array(node.get_data()) for node in constants]
        if all(node.get_type_name() == "Constant" for node in constants)
        else None
    )


def first_line(error: BaseException) -> str:
    """What OpenVINO means, without where in its sources it was found."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(("Exception from", "Check"))]
    return lines[0] if lines else type(error).__name__


def name_of(port: Any) -> str:
    """The tensor name a client uses: the first in order of spelling, or the node's name where there is none."""
    names = port.get_names()
    if names:
        return str(min(names, key=lambda name: (len(name), name)))
    node = port.get_node()
    if node.get_type_name() == "Result":
        node = node.input(0).get_source_output().get_node()
    return str(node.get_friendly_name())
