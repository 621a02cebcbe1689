"""An OpenVINO model: read, copied, extended, run and written."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import opset16
from openvino.utils.node_factory import NodeFactory

from openvino_xai.dialects.openvino.emit import EMIT, SIZES
from openvino_xai.dialects.openvino.kinds import neutral, order_of
from openvino_xai.dialects.openvino.run import (
    BRIEF,
    Names,
    computed,
    constant_of,
    content_of,
    core,
    dtype_of,
    first_line,
    name_of,
    running,
    stored_in,
)
from openvino_xai.dialects.protocol import Conversion, Running, Runtime
from openvino_xai.errors import InputError, ModelError, PlanError
from openvino_xai.files.external_data import data_beside, unchanged
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape
from openvino_xai.operations.refinement import settle

SMALL = 2**14  # bytes: biases and scales, but no weights


class OpenVINOModel:
    """An `ov.Model`."""

    suffix = ".xml"
    runtime: Runtime = "openvino"
    runtimes: tuple[Runtime, ...] = ("openvino",)
    conversion: Conversion | None = None

    def __init__(self, native: ov.Model) -> None:
        self.native = native

    @classmethod
    def read(cls, path: Path) -> OpenVINOModel:
        """The model in a file that OpenVINO reads, with the data beside it. Raises ModelError."""
        if path.suffix == ".xml" and not _is_markup(path):  # OpenVINO would try what else it knows, with other rules for data
            raise ModelError(f"cannot read {path}: an IR starts with '<', as XML does")
        data = data_beside(path)
        try:
            with unchanged([data] if data is not None and os.path.lexists(data) else []):
                return cls(core().read_model(path))
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ModelError(f"cannot read {path}: OpenVINO says: {first_line(error)}") from error

    @property
    def version(self) -> str:
        """OpenVINO, with the newest opset that an operation is of."""
        versions = {node.get_type_info().version_id for node in self.native.get_ordered_ops()}
        opsets = [int(version.removeprefix("opset")) for version in versions if version.removeprefix("opset").isdecimal()]
        return f"OpenVINO, opset {max(opsets)}" if opsets else "OpenVINO"

    @cached_property
    def graph(self) -> Graph:
        """The model in the neutral form. Raises ModelError."""
        try:
            return self._graph()
        except UnicodeDecodeError as error:
            raise ModelError(f"the model has names that are no text: {error}") from error

    def _graph(self) -> Graph:
        values: dict[tuple[int, int], Value] = {}
        nodes, outputs = [], {}
        parameters = {_key(port): port for port in self.native.inputs}
        for native in self.native.get_ordered_ops():
            op = native.get_type_name()
            if op == "Result":
                continue
            results = tuple(_value(port) for port in native.outputs())
            values.update({_key(port): value for port, value in zip(native.outputs(), results, strict=True)})
            if op == "Constant":
                continue
            if op == "Parameter":
                results[0].name = name_of(parameters[_key(native.output(0))])
                continue
            operands = tuple(values[_key(native.input(index).get_source_output())] for index in order_of(native))
            node = Node(native.get_friendly_name(), "", op, operands, results, native=native)
            for value in results:
                value.producer = node
            nodes.append(node)
        for port in self.native.outputs:
            source = port.get_node().input(0).get_source_output()
            outputs[name_of(port)] = values[_key(source)]
        inputs = [values[key] for key in parameters]  # as a caller counts them
        graph = Graph(nodes, inputs, outputs, fold=self._fold)
        with suppress(ModelError):  # no text: who asks for it is told
            graph.layout = self.info("model_info").get("layout")
        return settle(graph, lambda node: neutral(graph, node, node.native.get_attributes()))

    def _fold(self, value: Value) -> np.ndarray:
        """A value that depends on no input, computed, from what is known already of its operands."""
        port, node = value.native, value.producer
        if dtype_of(port) is None:
            raise ModelError(f"'{value.name}' holds {port.get_element_type()}, which NumPy has no numbers for", node=value.name)
        if port.get_node().get_type_name() == "Constant":
            return content_of(port.get_node())
        index: int = port.get_index()
        if node is not None and any(operand.data is not None for _, operand in node.operands):
            return self.evaluate(node, [None if item is None else item.data for item in node.inputs])[index]
        return computed([port])[0]

    def twin(self) -> OpenVINOModel:
        """A copy that can be changed; weights are shared."""
        return OpenVINOModel(self.native.clone())

    def reread(self) -> OpenVINOModel:
        """The same native model, of which the neutral form is read again."""
        return OpenVINOModel(self.native)

    def info(self, section: str) -> dict[str, str]:
        """The entries of `rt_info` under `section`. Raises ModelError where they are no text."""
        if not self.native.has_rt_info([section]):
            return {}
        try:
            content = self.native.get_rt_info([section])
            entries = content.value if hasattr(content, "value") else content
            if not isinstance(entries, dict):
                return {}
            return {str(key): str(getattr(item, "value", item)) for key, item in entries.items()}
        except UnicodeDecodeError as error:
            raise ModelError(f"'{section}' of its rt_info is no text in UTF-8: {error}") from error

    def set_info(self, section: str, values: Mapping[str, str]) -> None:
        """Write entries of `rt_info`. Raises ModelError where the section is something else."""
        try:
            for key, value in values.items():
                self.native.set_rt_info(value, [section, key])
        except RuntimeError as error:
            raise ModelError(
                f"'{section}' of its rt_info is no section with entries: remove it ({first_line(error)})"
            ) from error

    def remove_info(self, section: str) -> None:
        """Remove the entries of `rt_info` under `section`."""
        if self.native.has_rt_info([section]):
            del self.native.rt_info[section]

    def constant(self, array: np.ndarray) -> ov.Output:
        """A Constant with `array`."""
        return opset.constant(array).output(0)

    def repeat(self, node: Node, inputs: Sequence[ov.Output], name: str) -> list[ov.Output]:
        """A copy of `node` that reads `inputs`."""
        info = node.native.get_type_info()
        there = sorted(zip(order_of(node.native), inputs, strict=False), key=lambda pair: pair[0])
        operands = [_in_type(_own_constant(port), node.native.get_input_element_type(index)) for index, port in there]
        try:
            copy = NodeFactory(info.version_id).create(info.name, operands, node.native.get_attributes())
        except RuntimeError as error:
            raise PlanError(f"{node} cannot be repeated over rows: {first_line(error)}", node=node.name) from error
        copy.set_friendly_name(name)
        return list(copy.outputs())

    def emit(self, node: Node, inputs: Sequence[ov.Output], name: str) -> ov.Output:
        """A node of the vocabulary."""
        operands = [_in_type(_own_constant(port), ov.Type.f32) for port in inputs]
        try:
            emitted: ov.Node | ov.Output = EMIT[node.kind](node, *operands)
        except RuntimeError as error:
            raise PlanError(f"'{name}' cannot be made: {first_line(error)}", node=name) from error
        if isinstance(emitted, ov.Node):
            emitted.set_friendly_name(name)
            return emitted.output(0)
        return emitted

    def evaluate(self, node: Node, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """The outputs of a copy of `node` for arrays; None is the model's own constant operand."""
        ports = [node.native.input(index).get_source_output() for index in order_of(node.native)]
        inputs = [port if array is None else self.constant(array) for port, array in zip(ports, arrays, strict=True)]
        return computed(self.repeat(node, inputs, "constant"))

    def shape_of(self, native: ov.Output, axis: int, name: str) -> ov.Output:
        """The size of one axis, [1] i64."""
        zero = opset.constant(np.array(0, SIZES))
        return opset.gather(opset.shape_of(native, "i64"), opset.constant(np.array([axis], SIZES)), zero).output(0)

    def rewire(self, node: Node, index: int, native: ov.Output) -> None:
        """Let an operand of a node be another native value."""
        port = node.native.input(order_of(node.native)[index])
        port.replace_source_output(_in_type(native, port.get_element_type()))

    def without(self, names: Collection[str]) -> OpenVINOModel:
        """A twin that has these outputs no more, nor what only they needed; inputs of these names, too, are no more."""
        twin = self.native.clone()
        for port in twin.outputs:
            if name_of(port) in names:
                twin.remove_result(port.get_node())
        for port in twin.inputs:
            if name_of(port) in names:
                twin.remove_parameter(port.get_node())
        return OpenVINOModel(twin)

    def with_constants(self, arrays: Mapping[Value, np.ndarray]) -> OpenVINOModel:
        """A twin in which some constants hold other arrays, of the same shape and type."""
        model, counterpart = self._clone()
        for value, array in arrays.items():
            port = counterpart(value)
            other = constant_of(np.ascontiguousarray(array), port.get_element_type()).output(0)
            for target in port.get_target_inputs():
                target.replace_source_output(other)
        return OpenVINOModel(model)

    def add_input(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> ov.Output:
        """A native value that a caller has to give, behind the inputs that are there."""
        parameter = opset.parameter([size if isinstance(size, int) else -1 for size in shape], dtype, name)
        parameter.output(0).get_tensor().set_names({name})
        self.native.add_parameters([parameter])
        return parameter.output(0)

    def add_output(self, native: ov.Output, name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Make a native value the last output."""
        native = _in_type(native, ov.Type.f32)
        native.get_node().set_friendly_name(name)
        native.get_tensor().add_names({name})
        result = opset.result(native)
        self.native.add_results([result])

    def probing(self, *, read: Mapping[str, Value], inputs: Mapping[str, Value]) -> OpenVINOModel:
        """A twin with the values `read` as more outputs, and the values `inputs` as inputs, whatever is computed there."""
        model, counterpart = self._clone()
        reading = {name: counterpart(value) for name, value in read.items()}
        for name, value in inputs.items():
            port = counterpart(value)
            parameter = opset.parameter(port.get_partial_shape(), port.get_element_type(), name)
            for target in port.get_target_inputs():
                if target.get_node().get_type_name() != "Result":  # an output stays what the model computes
                    target.replace_source_output(parameter.output(0))
            parameter.output(0).get_tensor().set_names({name})
            model.add_parameters([parameter])
        for name, port in reading.items():
            exposed = opset16.identity(port).output(0)  # its own tensor, and so its own name
            exposed.get_tensor().set_names({name})
            model.add_results([opset.result(exposed)])
        model.validate_nodes_and_infer_types()
        return OpenVINOModel(model)

    def _clone(self) -> tuple[ov.Model, Callable[[Value], ov.Output]]:
        """A copy, and for a value of this model its counterpart there."""
        model = self.native.clone()
        copies: dict[int, Any] = {}
        left = list(zip(_ends(self.native), _ends(model), strict=True))
        while left:  # by what is read, not by its place: a copy of Pad has a constant more where no value is told
            node, copy = left.pop()
            if node.get_instance_id() not in copies:
                copies[node.get_instance_id()] = copy
                left += zip(_sources(node), _sources(copy), strict=False)

        def counterpart(value: Value) -> ov.Output:
            node, index = _key(value.native)
            return copies[node].output(index)

        return model, counterpart

    def object(self) -> ov.Model:
        """The model as an `ov.Model`."""
        return self.native

    def compile(
        self,
        device: str = "CPU",
        precision: str = "f32",
        hint: str = "LATENCY",
        cache_dir: Path | None = None,
        *,
        names: Names | None = None,
    ) -> Running:
        """The model, ready to run; OpenVINO chooses the precision where `precision` is `default`.

        `names` are those of inputs and outputs in another dialect, from which the model was read.
        """
        hints = {"PERFORMANCE_HINT": hint, **({} if cache_dir is None else {"CACHE_DIR": str(cache_dir)})}
        if precision != "default":
            hints["INFERENCE_PRECISION_HINT"] = precision
        try:
            compiled = core().compile_model(self.native, device, hints)
        except RuntimeError as error:
            devices = ", ".join(core().available_devices)
            raise InputError(
                f"the model does not compile for device {device} in {precision} (devices here: {devices}): {first_line(error)}"
            ) from error
        quantised = any(op.get_type_name() == "FakeQuantize" for op in self.native.get_ops())
        return running(
            compiled, Names.of(self.native) if names is None else names.there(self.native), "int8/" if quantised else ""
        )

    def save(self, path: Path) -> list[Path]:
        """Write `path` (.xml) and its .bin, in the precision the model has. Raises OSError."""
        try:
            ov.save_model(self.native, path, compress_to_fp16=False)
            core().read_model(path)  # a full disk goes unnoticed where the last bytes are written
        except RuntimeError as error:
            raise OSError(f"OpenVINO cannot write it whole, as where the disk is full ({str(error).strip()})") from error
        return [path, path.with_suffix(".bin")]


def _is_markup(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _ends(model: ov.Model) -> list[Any]:
    return [*model.get_results(), *model.get_sinks(), *model.get_parameters()]


def _sources(node: Any) -> list[Any]:
    return [node.input_value(index).get_node() for index in range(node.get_input_size())]


def _key(port: Any) -> tuple[int, int]:
    return port.get_node().get_instance_id(), port.get_index()


def _value(port: ov.Output) -> Value:
    partial = port.get_partial_shape()
    node = port.get_node()
    name = node.get_friendly_name()
    if port.get_index() or len(node.outputs()) > 1:
        name = f"{name}.{port.get_index()}"
    shape: Shape | None = None
    if partial.rank.is_static:
        shape = tuple(
            partial[axis].get_length() if partial[axis].is_static else Dim(1, (f"{name}[{axis}]",))
            for axis in range(partial.rank.get_length())
        )
    return Value(name, shape, dtype_of(port), native=port, aliases=frozenset(port.get_names()), stored=stored_in(port))


def _in_type(port: ov.Output, element_type: ov.Type) -> ov.Output:
    """A value as a node reads it: what is bf16 and what is f32 take each other's place, and a plan knows f32 alone."""
    if BRIEF not in (port.get_element_type(), element_type) or {port.get_element_type(), element_type} - {BRIEF, ov.Type.f32}:
        return port
    return port if port.get_element_type() == element_type else opset.convert(port, element_type.get_type_name()).output(0)


def _own_constant(port: ov.Output) -> ov.Output:
    """A small constant, copied; anything else as it is.

    The CPU plugin (2026.4) fuses a bias or a scale into the layer before it only where no other node reads that constant:
    a shared one would take fusions, and with them bits, from the original layers.
    """
    chain = [port.get_node()]
    while chain[-1].get_type_name() == "Convert":
        chain.append(chain[-1].input_value(0).get_node())
    constant = chain.pop()
    if constant.get_type_name() != "Constant" or constant.get_byte_size() > SMALL or dtype_of(constant.output(0)) is None:
        return port
    copy = constant_of(content_of(constant), constant.get_output_element_type(0))
    for convert in reversed(chain):
        copy = opset.convert(copy, convert.get_output_element_type(0).get_type_name())
    return copy.output(0)
