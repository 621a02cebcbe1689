"""An ONNX model: read, copied, extended, run and written."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes.common import InlinePass, RemoveUnusedNodesPass, ShapeInferencePass

from openvino_xai.dialects.onnx import comparison, qdq
from openvino_xai.dialects.onnx.emit import EMIT
from openvino_xai.dialects.onnx.fused import beside
from openvino_xai.dialects.onnx.kinds import neutral
from openvino_xai.dialects.onnx.naming import names_of, unused
from openvino_xai.dialects.onnx.run import LARGEST_FILE, entries, provider_of, running, session, streams_of, weight_bytes
from openvino_xai.dialects.onnx.upgrade import OLDEST_READ, OLDEST_WRITTEN, WAY_OUT, upgrade
from openvino_xai.dialects.onnx.weights import Mapped, native_of
from openvino_xai.dialects.onnx.wellformed import refuse_malformed, refuse_mistyped, refuse_unreadable_constants
from openvino_xai.dialects.protocol import Conversion, Running, Runtime
from openvino_xai.errors import InputError, ModelError
from openvino_xai.files.reading import read_regular
from openvino_xai.graph.model import Graph, Node, Value, opaque
from openvino_xai.graph.sizes import Dim, Shape
from openvino_xai.operations.integers import symbolic_content
from openvino_xai.operations.refinement import settle

SMALL = 2**14  # bytes: biases and scales, but no weights
CONSTANT = "ovxai/constant"  # what the hook's own constants are called
DEEPEST_FUSED = 128  # fused operations one behind the other, of which each tells the sizes of the next
_UNREADABLE = (DecodeError, ir.serde.SerdeError, OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError)


class OnnxModel:
    """An `onnx_ir.Model`; where it came from a file, weights beside it are read when they are needed."""

    suffix = ".onnx"
    runtime: Runtime = "onnxruntime"
    runtimes: tuple[Runtime, ...] = ("onnxruntime", "openvino")

    def __init__(self, native: ir.Model, conversion: Conversion | None = None) -> None:
        self.native = native
        self.conversion = conversion
        self._copies: dict[ir.Value, ir.Value] = {}  # of constants in half precision

    @classmethod
    def read(cls, path: Path) -> OnnxModel:
        """The model in a file. Raises ModelError."""
        try:
            model = cls(native_of(onnx.ModelProto.FromString(read_regular(path)), path.parent, str(path)))
        except _UNREADABLE as error:
            raise ModelError(f"cannot read {path}: not an ONNX model ({type(error).__name__}: {_brief(error)})") from error
        return model.checked(str(path)).settled(str(path))

    @classmethod
    def of(cls, proto: onnx.ModelProto) -> OnnxModel:
        """The model in a `ModelProto`, which is left as it is. Raises ModelError."""
        try:
            model = cls(native_of(proto, None, "the ModelProto"))
        except _UNREADABLE as error:
            raise ModelError(f"cannot read the ModelProto ({type(error).__name__}: {_brief(error)})") from error
        return model.checked("the ModelProto").settled("the ModelProto")

    def checked(self, source: str) -> OnnxModel:
        """This model, or a ModelError where it is malformed, or of an opset that is not read."""
        if not len(self.native.graph) or self.opset is None:
            raise ModelError(f"cannot read {source}: it holds no ONNX graph")
        if self.opset < OLDEST_READ:
            raise ModelError(f"{source} uses opset {self.opset}; {OLDEST_READ} or newer is needed: {WAY_OUT}")
        if self.opset > (newest := onnx.defs.onnx_opset_version()):
            raise ModelError(f"{source} uses opset {self.opset}, and the onnx package here knows none beyond {newest}")
        refuse_malformed(self.native, source)
        return self

    def settled(self, source: str) -> OnnxModel:
        """This model with its functions written out, of a newer opset, and each `If` replaced by the branch that runs take.

        What computes on levels is written as QDQ, and fused operations have standard nodes beside them. Raises ModelError.
        """
        model = self._rewritten(source)
        if not beside.has_fused(model.native):
            return model
        model._put_beside()
        return OnnxModel(model.native, model.conversion)  # what was read of the graph before has no nodes beside operations

    def _put_beside(self) -> None:
        """Put standard nodes beside the fused operations that they give the same as."""
        for _ in range(DEEPEST_FUSED):
            if not beside.put_beside(self.native, _inferred(self.native)):
                break  # else what was put there tells sizes of what lies behind
        if pairs := beside.stand_ins(self.native):
            inputs = OnnxModel(self.native).graph.inputs
            beside.take_away(self.native, comparison.differing(self.native, pairs, inputs))

    def _rewritten(self, source: str) -> OnnxModel:
        is_older = (self.opset or 0) < OLDEST_WRITTEN
        original = OnnxModel(self.native.clone()) if is_older or qdq.operators(self.native) else None
        if self.native.functions:
            try:
                InlinePass()(self.native)
            except (ir.passes.PassError, ir.passes.InvariantError, ValueError, KeyError) as error:
                raise ModelError(f"{source} has functions that cannot be written out: {_brief(error)}") from error
            refuse_malformed(self.native, source)
        refuse_unreadable_constants(self.native, source)
        refuse_mistyped(self.native, source)
        if is_older:
            upgrade(self.native, _inferred(self.native), source)
        while any(node.op_type == "If" for node in self.native.graph) and (decision := self._decided()) is not None:
            _take_branch(self.native.graph, *decision)
        if original is None:
            return self
        converted = self._converted(original, source) if is_older else self
        return converted._on_numbers(original) if qdq.operators(self.native) else converted

    def _on_numbers(self, original: OnnxModel) -> OnnxModel:
        """This model, with as many of its operations on levels written as QDQ as leave each bit of the outputs as it was."""
        operators = qdq.operators(self.native)
        model = self._in_qdq(operators, original)
        if model is None:
            alone = {operator for operator in operators if self._in_qdq({operator}, original) is not None}
            model = self._in_qdq(alone, original) if alone else None
        if model is None:
            return self
        model.conversion = Conversion(original, original.opset or 0, model.opset or 0, "QDQ")
        return model

    def _in_qdq(self, operators: Collection[str], original: OnnxModel) -> OnnxModel | None:
        """A twin with some operations on levels written as QDQ, where that gives the same to the bit."""
        twin = self.twin()
        qdq.rewrite(twin.native, operators)
        try:
            difference = comparison.difference(original.native, twin.native, self.graph.inputs)
        except ModelError:  # it does not run, which whoever runs it is told
            return None
        return twin if difference is None else None

    def _converted(self, original: OnnxModel, source: str) -> OnnxModel:
        """This model, which was rewritten from another that it gives the same as, to the bit. Raises ModelError."""
        conversion = Conversion(original, original.opset or 0, OLDEST_WRITTEN)
        intro = f"{source} is of opset {conversion.before}, and converted to opset {conversion.after}"
        try:
            difference = comparison.difference(original.native, self.native, self.graph.inputs)
        except ModelError as error:
            raise ModelError(f"{intro} it cannot be held to what it was: {error}; {WAY_OUT}") from error
        if difference is not None:
            raise ModelError(f"{intro} its output '{difference.output}' is not what it was: {difference.how}; {WAY_OUT}")
        self.conversion = conversion
        return self

    def _decided(self) -> tuple[ir.Node, ir.Graph] | None:
        """An `If` of which the condition is known before the model runs, and its branch."""
        graph = OnnxModel(self.native).graph
        for node in graph.nodes:
            content = symbolic_content(graph, node.inputs[0]) if node.op == "If" else None
            if content is not None and len(content) == 1 and not isinstance(content[0], Dim):
                return node.native, node.native.attributes["then_branch" if content[0] else "else_branch"].as_graph()
        return None

    @property
    def opset(self) -> int | None:
        """The version of the default operator set."""
        return self.native.opset_imports.get("")

    @property
    def version(self) -> str:
        """ONNX, with its opset, and that of the file where it was older."""
        if self.conversion is None or self.conversion.before == self.conversion.after:
            return f"ONNX, opset {self.opset}"
        return f"ONNX, opset {self.conversion.before}, read as {self.conversion.after}"

    @cached_property
    def graph(self) -> Graph:
        """The model in the neutral form; shapes inferred by onnx where the file does not tell them.

        Of a model of an older opset only its inputs and outputs are known.
        """
        inferred = _inferred(self.native)
        values: dict[ir.Value, Value] = {}
        nodes: list[Node] = []

        def value_of(native: ir.Value) -> Value:
            native = stand_ins.get(native, native)
            if native not in values:
                values[native] = _value(native, inferred)
            return values[native]

        weights, stand_ins = set(self.native.graph.initializers.values()), beside.stand_ins(self.native)
        fused = {output.producer() for output in stand_ins.values()}
        inputs = [value_of(native) for native in self.native.graph.inputs if native not in weights]
        if self.opset is not None and self.opset < OLDEST_WRITTEN:
            return opaque(inputs, [value_of(native) for native in self.native.graph.outputs])
        for native in self.native.graph:
            if native in fused:
                continue
            results = tuple(value_of(output) for output in native.outputs)
            if native.op_type == "Constant":
                results[0].data = _constant_of(native)
                results[0].dtype = results[0].data.dtype
                results[0].shape = results[0].data.shape
                continue
            read = [*native.inputs, *_captured(native)]
            operands = tuple(None if item is None else value_of(item) for item in read)
            fused_node = None if native.outputs[0] not in stand_ins else stand_ins[native.outputs[0]].producer()
            name = (native if fused_node is None else fused_node).name
            node = Node(name or results[0].name, "", native.op_type, operands, results, native=native)
            for value in results:
                value.producer = node
            nodes.append(node)
        outputs = {str(native.name): value_of(native) for native in self.native.graph.outputs}
        graph = Graph(nodes, inputs, outputs, fold=self._fold)
        graph.layout = self.info("model_info").get("layout")
        settle(graph, lambda node: neutral(graph, node, node.native.domain, _attributes(node.native)))
        graph.fused = [node for node in graph.nodes if not node.kind and beside.is_fused(node.native)]
        return graph

    def _fold(self, value: Value) -> np.ndarray:
        """A value that depends on no input, computed."""
        native: ir.Value = value.native
        if native.const_value is not None:
            return native.const_value.numpy()
        part = ir.convenience.extract(self.native.graph, [], [native])
        model = ir.Model(part, ir_version=self.native.ir_version, functions=list(self.native.functions.values()))
        return OnnxModel(model).compile()({})[str(native.name)]

    def twin(self) -> OnnxModel:
        """A copy that can be changed; weights are shared."""
        return OnnxModel(self.native.clone())

    def reread(self) -> OnnxModel:
        """The same native model, of which the neutral form is read again."""
        return OnnxModel(self.native)

    def info(self, section: str) -> dict[str, str]:
        """The entries of `metadata_props` whose key is `<section> <name>`."""
        return entries(self.native.metadata_props, section)

    def set_info(self, section: str, values: Mapping[str, str]) -> None:
        """Write entries of `metadata_props`."""
        self.native.metadata_props.update({f"{section} {key}": text for key, text in values.items()})

    def remove_info(self, section: str) -> None:
        """Remove the entries of `metadata_props` under `section`."""
        for key in self.info(section):
            del self.native.metadata_props[f"{section} {key}"]

    def constant(self, array: np.ndarray) -> ir.Value:
        """An initializer with `array`."""
        name = unused(CONSTANT, self._names)
        value = _initializer(name, array)
        self.native.graph.register_initializer(value)
        return value

    def repeat(self, node: Node, inputs: Sequence[ir.Value | None], name: str) -> list[ir.Value]:
        """A copy of `node` that reads `inputs`."""
        native: ir.Node = node.native
        copies = [self._own_constant(value) for value in inputs]
        return self._append(
            native.op_type, copies, name, attributes=native.attributes, domain=native.domain, outputs=len(native.outputs)
        )

    def _own_constant(self, value: ir.Value | None) -> ir.Value | None:
        """A small initializer of one axis, or one in half precision, copied; anything else as it is.

        OpenVINO, which may serve the file, fuses a bias or a scale into the layer before it only where no other node reads that
        constant: a shared one would take fusions, and with them bits, from the original layers. So it is with weights in half
        precision, which ONNX Runtime's CPU provider (1.32) makes f32 ahead of time only where a single node reads them.
        """
        if value is None or value.const_value is None or str(value.name).startswith(CONSTANT):
            return value
        if value.const_value.dtype == ir.DataType.FLOAT16:
            if value not in self._copies:
                self._copies[value] = self.constant(value.const_value.numpy())
            return self._copies[value]
        if value.const_value.nbytes > SMALL or sum(size != 1 for size in value.const_value.shape.numpy()) > 1:
            return value
        return self.constant(value.const_value.numpy())

    def emit(self, node: Node, inputs: Sequence[ir.Value], name: str) -> ir.Value:
        """A node of the vocabulary."""
        op, attributes, extra = EMIT[node.kind](node, self.opset or 0)
        operands = [*map(self._own_constant, inputs), *map(self.constant, extra)]
        outputs = self._append(op, operands, name, attributes=attributes, outputs=2 if op == "TopK" else 1)
        return outputs[-1]

    def evaluate(self, node: Node, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """The outputs of a copy of `node` for arrays; None is the model's own constant operand."""
        operands = [
            self.graph.constant(value) if array is None else array for value, array in zip(node.inputs, arrays, strict=True)
        ]
        inputs = [None if array is None else _initializer(f"in{i}", array) for i, array in enumerate(operands)]
        native: ir.Node = node.native
        outputs = [ir.Value(name=f"out{i}") for i in range(len(native.outputs))]
        copy = ir.Node(native.domain, native.op_type, inputs, native.attributes.values(), outputs=outputs)
        graph = ir.Graph(
            [],
            outputs,
            nodes=[copy],
            initializers=[v for v in inputs if v is not None],
            opset_imports=self.native.opset_imports,
        )
        model = ir.Model(graph, ir_version=self.native.ir_version)
        return list(OnnxModel(model).compile()({}).values())

    def shape_of(self, native: ir.Value, axis: int, name: str) -> ir.Value:
        """The size of one axis, [1] i64."""
        (shape,) = self._append("Shape", [native], name)
        index = self.constant(np.array([axis], np.int64))
        return self._append("Gather", [shape, index], name + "/axis", attributes={"axis": 0})[0]

    def _append(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        name: str,
        *,
        attributes: Mapping[str, Any] = MappingProxyType({}),
        domain: str = "",
        outputs: int = 1,
    ) -> list[ir.Value]:
        name = unused(name, self._names)
        results = [ir.Value(name=name if i == 0 else f"{name}.{i}") for i in range(outputs)]
        convert = ir.convenience.convert_attribute
        native_attributes = [item if isinstance(item, ir.Attr) else convert(key, item) for key, item in attributes.items()]
        self.native.graph.append(ir.Node(domain, op, inputs, native_attributes, outputs=results, name=name))
        return results

    @cached_property
    def _names(self) -> set[str]:
        return names_of(self.native.graph)

    def rewire(self, node: Node, index: int, native: ir.Value) -> None:
        """Let an operand of a node be another native value."""
        beside.rewire(self.native, node.native, index, native)
        self.native.graph.sort()

    def without(self, names: Collection[str]) -> OnnxModel:
        """A twin that has these outputs no more, nor what only they needed; inputs of these names, too, are no more."""
        twin = self.native.clone()
        outputs = [output for output in twin.graph.outputs if output.name not in names]
        del twin.graph.outputs[:]
        twin.graph.outputs.extend(outputs)
        RemoveUnusedNodesPass()(twin)
        needed = [value for value in twin.graph.inputs if value.name not in names]
        del twin.graph.inputs[:]
        twin.graph.inputs.extend(needed)
        return OnnxModel(twin)

    def with_constants(self, arrays: Mapping[Value, np.ndarray]) -> OnnxModel:
        """A twin in which some constants hold other arrays, of the same shape and type."""
        twin = self.twin()
        constants = {str(node.outputs[0].name): node.outputs[0] for node in twin.native.graph if node.op_type == "Constant"}
        for value, array in arrays.items():
            name = str(value.native.name)
            if name in twin.native.graph.initializers:
                twin.native.graph.initializers[name].const_value = ir.tensor(array, name=name)
            else:
                ir.convenience.replace_all_uses_with(constants[name], twin.constant(array))
        return twin

    def add_input(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> ir.Value:
        """A native value that a caller has to give, behind the inputs that are there."""
        value = ir.Value(name=name)
        _describe(value, shape, dtype)
        self.native.graph.inputs.append(value)
        return value

    def add_output(self, native: ir.Value, name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Make a native value the last output."""
        native.name = name
        _describe(native, shape, dtype)
        self.native.graph.outputs.append(native)

    def probing(self, *, read: Mapping[str, Value], inputs: Mapping[str, Value]) -> OnnxModel:
        """A twin with the values `read` as more outputs, and the values `inputs` as inputs, whatever is computed there."""
        twin = self.twin()
        by_name = {str(output.name): output for node in twin.native.graph for output in node.outputs}
        if any(beside.is_within(by_name[value.native.name]) for value in inputs.values() if value.native.name in by_name):
            by_name |= beside.replace(twin.native)  # the operation would not see what is given there
        for name, value in inputs.items():
            replacement = ir.Value(name=name)
            if value.shape is not None and value.dtype is not None:
                _describe(replacement, value.shape, value.dtype)
            for use in list(by_name[value.native.name].uses()):  # an output stays what the model computes
                use.node.replace_input_with(use.idx, replacement)
            twin.native.graph.inputs.append(replacement)
        for name, value in read.items():
            (exposed,) = twin._append("Identity", [by_name[value.native.name]], name)
            if value.shape is not None and value.dtype is not None:
                _describe(exposed, value.shape, value.dtype)
            twin.native.graph.outputs.append(exposed)
        if inputs:
            RemoveUnusedNodesPass()(twin.native)  # ONNX Runtime would run what leads nowhere
        return twin

    def object(self) -> onnx.ModelProto:
        """The model as a `ModelProto`."""
        return ir.to_proto(beside.pruned(self.native))

    def compile(
        self, device: str = "CPU", precision: str = "f32", hint: str = "LATENCY", cache_dir: Path | None = None
    ) -> Running:
        """The model, ready to run in the precision it is written in, on the provider for `device`.

        Where the hint is of throughput, on the CPU, each run has one thread, and as many run at a time as there are cores.
        """
        if cache_dir is not None:
            raise InputError("ONNX Runtime keeps no compiled models: leave the cache folder out")
        provider = provider_of(device)
        streams = streams_of(hint, provider)
        return running(session(beside.pruned(self.native), provider, streams), self.precision, streams)

    @property
    def precision(self) -> str:
        """The precision that the model is written in: `int8`, or the type of most of its weights."""
        if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in self.native.graph):
            return "int8"
        sizes: dict[ir.DataType, int] = {ir.DataType.FLOAT: 0}
        for value in self.native.graph.initializers.values():
            if value.const_value is not None and value.const_value.dtype.is_floating_point():
                sizes[value.const_value.dtype] = sizes.get(value.const_value.dtype, 0) + value.const_value.nbytes
        return max(sizes, key=lambda dtype: sizes[dtype]).short_name()

    def save(self, path: Path) -> list[Path]:
        """Write `path`; weights that were beside the model, or are too large for one file, go beside it again."""
        weights = path.name + ".data"
        native = beside.pruned(self.native)
        external = any(isinstance(v.const_value, Mapped) for v in native.graph.initializers.values())
        if external or weight_bytes(native) > LARGEST_FILE:
            ir.save(native, path, external_data=weights)
            return [path, path.with_name(weights)]
        ir.save(native, path)
        return [path]


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else ""


def _attributes(native: ir.Node) -> dict[str, Any]:
    return {attribute.name: attribute.value for attribute in native.attributes.values()}


def _captured(native: ir.Node) -> list[ir.Value]:
    """What the branches and bodies of a node read of the graph around them."""
    outer_values: dict[ir.Value, None] = {}
    for attribute in native.attributes.values():
        for graph in [attribute.value] if attribute.type == ir.AttributeType.GRAPH else []:
            inner_values = {*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)}
            read = [*graph.outputs, *(item for node in graph for item in [*node.inputs, *_captured(node)])]
            outer_values.update(dict.fromkeys(item for item in read if item is not None and item not in inner_values))
    return list(outer_values)


def _take_branch(graph: ir.Graph, node: ir.Node, branch: ir.Graph) -> None:
    """Put a branch in the place of its `If`."""
    for value in list(branch.initializers.values()):
        del branch.initializers[str(value.name)]
        graph.register_initializer(value)
    nodes, outputs = list(branch), list(branch.outputs)
    branch.outputs.clear()  # deleting the items would leave them the graph's
    branch.remove(nodes)
    ir.convenience.replace_nodes_and_values(graph, node, [node], nodes, node.outputs, outputs)


def _inferred(native: ir.Model) -> dict[str, ir.Value]:
    """What onnx's shape inference says of every value, by name; the model itself is left as it is."""
    twin = native.clone()
    outputs = beside.replace(twin)
    logger = logging.getLogger("onnx_ir.passes.common.shape_inference")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what it cannot infer is found out later, where it matters
    ShapeInferencePass()(twin)
    logger.setLevel(level)
    return {str(output.name): output for node in twin.graph for output in node.outputs} | outputs


def _value(native: ir.Value, inferred: Mapping[str, ir.Value]) -> Value:
    name = str(native.name)
    source = inferred.get(name, native)
    shape: Shape | None = None
    if source.shape is not None:
        shape = tuple(
            size if isinstance(size, int) and size >= 0 else Dim(1, (getattr(size, "value", None) or f"{name}[{axis}]",))
            for axis, size in enumerate(source.shape)
        )
    dtype = None if source.dtype in (None, ir.DataType.UNDEFINED, ir.DataType.STRING) else source.dtype.numpy()
    if native.const_value is not None:
        shape, dtype = tuple(native.const_value.shape.numpy()), native.const_value.dtype.numpy()
    return Value(name, shape, dtype, native=native)


def _constant_of(native: ir.Node) -> np.ndarray:
    (attribute,) = native.attributes.values()
    content = attribute.value
    if isinstance(content, ir.TensorProtocol):
        return content.numpy()
    return np.asarray(content, np.float32 if attribute.name in ("value_float", "value_floats") else None)


def _initializer(name: str, array: np.ndarray) -> ir.Value:
    value = ir.Value(name=name, const_value=ir.tensor(array, name=name), shape=ir.Shape(array.shape))
    value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
    return value


def _describe(native: ir.Value, shape: Shape, dtype: np.dtype[Any]) -> None:
    """Declare type and shape, as ONNX wants them of graph inputs and outputs."""
    native.shape = ir.Shape([size if isinstance(size, int) else str(size) for size in shape])
    native.type = ir.TensorType(ir.DataType.from_numpy(dtype))
