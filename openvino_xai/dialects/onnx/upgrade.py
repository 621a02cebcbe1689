"""A model of an older opset, rewritten for opset 13: one table of the operations that changed on the way.

onnx's own converter is not used: of 1.23 it lets linear Upsample and Resize sample other points, gives Hardmax another axis,
leaves both scales and sizes at a Resize, and wants the whole model, weights included, in one message below 2 GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from openvino_xai.dialects.onnx.naming import initializer, unused
from openvino_xai.errors import ModelError

OLDEST_READ = 7  # before, operands were stretched to each other's shapes by attributes
OLDEST_WRITTEN = 13  # hooks are emitted in this opset, or in a newer one where the file has it
IR_VERSION = 7  # the version of the format that came with it
WITH_OVERRIDES = 4  # from this version of the format on, an initializer that is an input may be given by a caller
DEFAULT_DOMAINS = ("", "ai.onnx")
WAY_OUT = f"export it again with opset {OLDEST_WRITTEN} or newer"
# Of a newer version in opset 13, by more types, more ranks or more that may be left out: what could be written before means
# the same.
WIDENED = frozenset(
    """
    Abs Add ArgMax ArgMin AveragePool Cast Ceil Compress Concat Constant Conv ConvTranspose DepthToSpace DequantizeLinear Div
    Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gemm Greater Identity If IsNaN LRN Less Log Loop LpPool
    MatMul Max MaxPool MaxUnpool Mean MeanVarianceNormalization Min Mod Mul Neg NegativeLogLikelihoodLoss NonMaxSuppression
    NonZero OneHot PRelu Pow QuantizeLinear Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSumSquare Relu Reshape ScatterElements ScatterND Shape Sigmoid Sign Size SoftmaxCrossEntropyLoss
    SpaceToDepth Sqrt Sub Sum Tanh Tile Transpose
    """.split()
)


@dataclass(frozen=True)
class _Rewriting:
    """A model on its way from a `version`: the names that are taken, and what is known of the values of its graph."""

    model: ir.Model
    version: int
    source: str
    names: set[str]
    inferred: Mapping[ir.Value, ir.Value]

    def constant(self, node: ir.Node, word: str, array: np.ndarray) -> ir.Value:
        """An initializer that takes the place of an attribute of a node."""
        value = initializer(unused(f"{node.name or node.outputs[0].name}/{word}", self.names), array)
        self.model.graph.register_initializer(value)
        return value

    def moved(self, node: ir.Node, word: str, index: int) -> None:
        """Let an attribute with integers, where it has any, be an operand."""
        attribute = node.attributes.pop(word, None)
        if attribute is not None and len(attribute.as_ints()):
            _give(node, index, self.constant(node, word, np.array(attribute.as_ints(), np.int64)))

    def shape(self, value: ir.Value) -> tuple[int | ir.SymbolicDim, ...] | None:
        """The shape of a value, None where nothing is known of it."""
        shape = self.inferred.get(value, value).shape
        return None if shape is None else tuple(shape)

    def dtype(self, value: ir.Value) -> np.dtype:
        """The type of a value: f32 where it is no float, or nothing is known of it; a runtime refuses what does not fit."""
        dtype = self.inferred.get(value, value).dtype
        return dtype.numpy() if dtype is not None and dtype.is_floating_point() else np.dtype(np.float32)

    def refusal(self, node: ir.Node, why: str) -> ModelError:
        """A ModelError that names a node."""
        return ModelError(
            f"{self.source} is of opset {self.version} and cannot be converted to opset {OLDEST_WRITTEN}: '{_name(node)}' "
            f"({node.op_type}) {why}; {WAY_OUT}",
            node=_name(node),
        )


Rule = Callable[[_Rewriting, ir.Node], None]


def upgrade(native: ir.Model, inferred: Mapping[str, ir.Value], source: str) -> None:
    """Rewrite a model of opset 7 to 12, whose functions are written out, for opset 13; bodies and branches, too.

    `inferred` tells shapes and types by name. Raises ModelError for a node that opset 13 has no words for.
    """
    nodes = list(ir.traversal.RecursiveGraphIterator(native.graph))
    values = [*native.graph.inputs, *native.graph.initializers.values()]
    for node in nodes:
        values += node.outputs
        for attribute in node.attributes.values():
            for graph in _graphs(attribute):
                values += [*graph.inputs, *graph.initializers.values()]
    names = {str(value.name) for value in values} | {str(node.name) for node in nodes}
    inferences = {value: inferred[str(value.name)] for node in native.graph for value in node.outputs if value.name in inferred}
    rewriting = _Rewriting(native, native.opset_imports[""], source, names, inferences)
    for node in nodes:
        if node.domain in DEFAULT_DOMAINS:
            _upgrade_node(rewriting, node)
    if native.ir_version < WITH_OVERRIDES:  # there every initializer had to be an input, and none was one
        inputs = [value for value in native.graph.inputs if str(value.name) not in native.graph.initializers]
        native.graph.inputs.clear()
        native.graph.inputs.extend(inputs)
    native.ir_version = max(native.ir_version, IR_VERSION)
    native.opset_imports[""] = OLDEST_WRITTEN


def _upgrade_node(rewriting: _Rewriting, node: ir.Node) -> None:
    try:
        before = onnx.defs.get_schema(node.op_type, rewriting.version, "")
        after = onnx.defs.get_schema(node.op_type, OLDEST_WRITTEN, "")
    except onnx.defs.SchemaError as error:
        raise rewriting.refusal(node, "is no operation of that opset") from error
    if before.deprecated:
        raise rewriting.refusal(node, "is no operation of that opset any more")
    _refuse_incomplete(rewriting, node, before)
    since, rule = RULES.get(node.op_type, (0, None))
    if rule is not None and rewriting.version < since:
        rule(rewriting, node)
    elif rule is None and before.since_version != after.since_version and node.op_type not in WIDENED:
        raise rewriting.refusal(node, "has another meaning there, and no way from one to the other is known")


def _refuse_incomplete(rewriting: _Rewriting, node: ir.Node, schema: onnx.defs.OpSchema) -> None:
    missing = [name for name, attribute in schema.attributes.items() if attribute.required and name not in node.attributes]
    if missing:
        raise rewriting.refusal(node, f"has no {missing[0]}")
    required = [formal.option == onnx.defs.OpSchema.FormalParameterOption.Single for formal in schema.inputs]
    left_out = any(value is None and needed for value, needed in zip(node.inputs, required, strict=False))
    if left_out or not schema.min_input <= len(node.inputs) <= schema.max_input:
        count = len([value for value in node.inputs if value is not None])
        raise rewriting.refusal(node, f"has {count} operands; {schema.min_input} or more are expected")


def _graphs(attribute: ir.Attr) -> Sequence[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    return attribute.as_graphs() if attribute.type == ir.AttributeType.GRAPHS else []


def _name(node: ir.Node) -> str:
    return node.name or str(node.outputs[0].name)


def _operand(node: ir.Node, index: int) -> ir.Value:
    """An operand that has to be there."""
    value = node.inputs[index]
    assert value is not None
    return value


def _give(node: ir.Node, index: int, value: ir.Value) -> None:
    """Let an operand of a node be a value, behind as many that are left out as it takes."""
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def _number(node: ir.Node, name: str, default: int) -> int:
    """An attribute with an integer, taken off a node."""
    attribute = node.attributes.pop(name, None)
    return default if attribute is None else attribute.as_int()


def _axes(rewriting: _Rewriting, node: ir.Node) -> None:
    rewriting.moved(node, "axes", 1)


def _split(rewriting: _Rewriting, node: ir.Node) -> None:
    rewriting.moved(node, "split", 1)


def _slice(rewriting: _Rewriting, node: ir.Node) -> None:
    for index, word in enumerate(("starts", "ends", "axes"), start=1):
        rewriting.moved(node, word, index)


def _top_k(rewriting: _Rewriting, node: ir.Node) -> None:
    _give(node, 1, rewriting.constant(node, "k", np.array([_number(node, "k", 1)], np.int64)))


def _pad(rewriting: _Rewriting, node: ir.Node) -> None:
    rewriting.moved(node, "pads", 1)
    value = node.attributes.pop("value", None)
    if value is not None and value.as_float():
        data = _operand(node, 0)
        _give(node, 2, rewriting.constant(node, "value", np.array(value.as_float(), rewriting.dtype(data))))


def _clip(rewriting: _Rewriting, node: ir.Node) -> None:
    dtype = rewriting.dtype(_operand(node, 0))
    for index, word in enumerate(("min", "max"), start=1):
        limit = node.attributes.pop(word, None)
        if limit is not None:
            _give(node, index, rewriting.constant(node, word, np.array(limit.as_float(), dtype)))


def _dropout(rewriting: _Rewriting, node: ir.Node) -> None:
    """The ratio is of importance only to training. The mask is boolean from opset 10 on."""
    node.attributes.pop("ratio", None)
    if rewriting.version < 10 and len(node.outputs) > 1:
        mask = node.outputs[1]
        if mask.uses() or mask.is_graph_output():
            raise rewriting.refusal(node, "has a mask of numbers that is read, and there it is boolean")
        mask.type = ir.TensorType(ir.DataType.BOOL)


def _batch_norm(rewriting: _Rewriting, node: ir.Node) -> None:
    if not _number(node, "spatial", 1):
        raise rewriting.refusal(node, "normalises each element by itself (spatial=0)")


def _flat_softmax(rewriting: _Rewriting, node: ir.Node) -> None:
    """Before opset 13, all axes from `axis` on were one; where those behind it are of one element, `axis` is all there is."""
    axis, data = _number(node, "axis", 1), _operand(node, 0)
    shape = rewriting.shape(data)
    if shape and all(size == 1 for size in shape[axis % len(shape) + 1 :]):
        node.attributes.add(ir.AttrInt64("axis", axis % len(shape)))
        return
    name, graph = _name(node), node.graph
    assert graph is not None

    def new_node(op: str, inputs: Sequence[ir.Value], attributes: Sequence[ir.Attr] = ()) -> ir.Node:
        output = ir.Value(name=unused(f"{name}/{op.lower()}", rewriting.names))
        return ir.Node("", op, inputs, attributes, outputs=[output], name=output.name)

    sizes, flat = new_node("Shape", [data]), new_node("Flatten", [data], [ir.AttrInt64("axis", axis)])
    scores = new_node(node.op_type, flat.outputs, [ir.AttrInt64("axis", 1)])
    reshaped = new_node("Reshape", [*scores.outputs, *sizes.outputs])
    scores.name = node.name
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [sizes, flat, scores, reshaped], node.outputs, reshaped.outputs
    )


def _upsample(rewriting: _Rewriting, node: ir.Node) -> None:
    """Upsample becomes a Resize that takes the points it took."""
    scales = node.attributes.pop("scales", None)
    if scales is not None:
        _give(node, 1, rewriting.constant(node, "scales", np.array(scales.as_floats(), np.float32)))
    _resize_by(node, "floor")


def _resize(rewriting: _Rewriting, node: ir.Node) -> None:
    if rewriting.version >= 11:
        _choose_sizes(rewriting, node)
        return
    nearest = "floor"
    if "mode" not in node.attributes or node.attributes["mode"].as_string() == "nearest":
        scales = ir.convenience.get_const_tensor(_operand(node, 1))
        if scales is None or scales.dtype != ir.DataType.FLOAT:
            raise rewriting.refusal(node, "takes the nearest point by scales that only a run knows")
        if (scales.numpy() < 1).any():  # where it makes an axis smaller, it took the next point, not the last
            nearest = "ceil"
            if (scales.numpy() > 1).any():
                raise rewriting.refusal(node, "makes one axis larger and another smaller, by nearest points")
    _resize_by(node, nearest)


def _resize_by(node: ir.Node, nearest: str) -> None:
    """Let a node with the operands of Resize 10 be a Resize of today, which has a region of interest in between."""
    node.op_type = "Resize"
    _give(node, 2, _operand(node, 1))
    node.replace_input_with(1, None)
    node.attributes.add(ir.AttrString("coordinate_transformation_mode", "asymmetric"))
    node.attributes.add(ir.AttrString("nearest_mode", nearest))


def _choose_sizes(rewriting: _Rewriting, node: ir.Node) -> None:
    """One of scales and sizes is left out, where an empty tensor stood for it."""
    mode = node.attributes.get("coordinate_transformation_mode")
    if mode is not None and mode.as_string() == "tf_half_pixel_for_nn":
        raise rewriting.refusal(node, "samples by tf_half_pixel_for_nn, which is no more")
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        sizes = ir.convenience.get_const_tensor(node.inputs[3])
        node.replace_input_with(3 if sizes is not None and not sizes.size else 2, None)


def _scan(rewriting: _Rewriting, node: ir.Node) -> None:
    raise rewriting.refusal(node, "goes through a batch of sequences")


def _scatter(_rewriting: _Rewriting, node: ir.Node) -> None:
    node.op_type = "ScatterElements"


RULES: Mapping[str, tuple[int, Rule]] = {  # each with the first opset that says it in the new way
    "BatchNormalization": (9, _batch_norm),
    "Clip": (11, _clip),
    "Dropout": (12, _dropout),
    "Hardmax": (13, _flat_softmax),
    "LogSoftmax": (13, _flat_softmax),
    "Pad": (11, _pad),
    "ReduceSum": (13, _axes),
    "Resize": (13, _resize),
    "Scan": (9, _scan),
    "Scatter": (11, _scatter),
    "Slice": (10, _slice),
    "Softmax": (13, _flat_softmax),
    "Split": (13, _split),
    "Squeeze": (13, _axes),
    "TopK": (10, _top_k),
    "Unsqueeze": (13, _axes),
    "Upsample": (10, _upsample),
}
