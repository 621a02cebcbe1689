"""A QOperator model as QDQ: what computes on levels, as the operation on numbers between DequantizeLinear and QuantizeLinear.

ONNX Runtime's quantiser writes both forms, and its optimiser takes the second back to the first (docs/operators and "Quantize
ONNX Models" of onnxruntime.ai tell both). Nodes of one kind are then enough to be read. Whether a model is the same to the bit,
running it tells (`comparison.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.naming import initializer, names_of, unused

Triple = tuple[int, int, int]  # the indices of levels, of their scale and of their zero


@dataclass(frozen=True)
class _Form:
    """Where an operation on levels has its `operands`, the scale and zero of its `result`, and an int32 `bias`.

    It is `op` on numbers, with the same `attributes`. `plain` operands are read as they are, ahead of the others.
    """

    op: str
    operands: tuple[Triple, ...]
    result: tuple[int, int]
    attributes: tuple[str, ...] = ()
    bias: int | None = None
    plain: tuple[int, ...] = ()


UNARY, BINARY = ((0, 1, 2),), ((0, 1, 2), (3, 4, 5))
WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
FORMS: Mapping[str, _Form] = {
    "QGemm": _Form("Gemm", BINARY, (7, 8), ("alpha", "transA", "transB"), bias=6),
    "QLinearAdd": _Form("Add", BINARY, (6, 7)),
    "QLinearAveragePool": _Form("AveragePool", UNARY, (3, 4), POOL),
    "QLinearConcat": _Form("Concat", (), (0, 1), ("axis",)),  # operands follow, as many as there are
    "QLinearConv": _Form("Conv", BINARY, (6, 7), WINDOW, bias=8),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", UNARY, (3, 4)),
    "QLinearLeakyRelu": _Form("LeakyRelu", UNARY, (3, 4), ("alpha",)),
    "QLinearMatMul": _Form("MatMul", BINARY, (6, 7)),
    "QLinearMul": _Form("Mul", BINARY, (6, 7)),
    "QLinearReduceMean": _Form("ReduceMean", UNARY, (3, 4), ("axes", "keepdims")),
    "QLinearSigmoid": _Form("Sigmoid", UNARY, (3, 4)),
    "QLinearSoftmax": _Form("Softmax", UNARY, (3, 4), ("axis",)),
    "QLinearWhere": _Form("Where", ((1, 2, 3), (4, 5, 6)), (7, 8), plain=(0,)),
}
# They give the levels that they are given, with the same scale.
KEEPING = frozenset("Expand Flatten Gather Identity MaxPool Reshape Slice Squeeze Tile Transpose Unsqueeze".split())
SOFTMAX_OF_ONE_AXIS = 13  # the opset before which all axes from the one that is told were one
WITH_AXES = 18  # the opset in which ReduceMean has its axes in an operand


@dataclass
class _Writing:
    """A graph on its way, with the scale and the zero of the levels that are known, and names that are taken."""

    model: ir.Model
    names: set[str]
    levels: dict[ir.Value, tuple[ir.Value, ir.Value | None]] = field(default_factory=dict)
    added: list[ir.Node] = field(default_factory=list)

    def node(self, op: str, inputs: Sequence[ir.Value | None], name: str, attributes: Sequence[ir.Attr] = ()) -> ir.Value:
        """A node behind those that were added, and what it makes."""
        name = unused(name, self.names)
        output = ir.Value(name=name)
        self.added.append(ir.Node("", op, inputs, attributes, outputs=[output], name=name))
        return output

    def constant(self, array: np.ndarray, name: str) -> ir.Value:
        """An initializer."""
        value = initializer(unused(name, self.names), array)
        self.model.graph.register_initializer(value)
        return value

    def numbers(self, levels: ir.Value, scale: ir.Value, zero: ir.Value | None, axis: int) -> ir.Value:
        """What levels stand for; scales of channels belong to an axis."""
        attributes = [ir.AttrInt64("axis", axis)] if _count(scale) != 1 else []
        return self.node("DequantizeLinear", [levels, scale, zero], f"{levels.name}/dequantized", attributes)

    def replace(self, node: ir.Node, numbers: ir.Value, result: tuple[ir.Value, ir.Value | None] | None) -> None:
        """Let what a node made be `numbers`, as levels where their scale is told."""
        output = node.outputs[0]
        if result is not None:
            self.node("QuantizeLinear", [numbers, *result], f"{output.name}/quantized")
            self.levels[self.added[-1].outputs[0]] = result
        ir.convenience.replace_nodes_and_values(
            self.model.graph, node, [node], self.added, [output], list(self.added[-1].outputs)
        )
        self.added = []


def operators(native: ir.Model) -> set[str]:
    """The operations of a model that compute on levels, and that are read as they are written in QDQ."""
    return {node.op_type for node in native.graph if _form(node) is not None}


def rewrite(native: ir.Model, chosen: Collection[str]) -> None:
    """Write the `chosen` operations on levels as QDQ, and what moves their levels, too."""
    nodes = list(native.graph)
    writing = _Writing(native, names_of(native.graph))
    for node in nodes:
        form = _form(node)
        if node.op_type == "QuantizeLinear" and node.domain == "" and not node.attributes:
            writing.levels[node.outputs[0]] = (_operand(node, 1), _at(node, 2))
        elif form is not None and node.op_type in chosen:
            _write(writing, node, form)
        elif _keeps(node) and (levels := writing.levels.get(_operand(node, 0))) is not None:
            _keep(writing, node, levels)


def _form(node: ir.Node) -> _Form | None:
    """How a node is written, where it has what it should have, its scales are constants, and all else means the same."""
    form = FORMS.get(node.op_type) if node.domain in ("", "com.microsoft") else None
    if form is None or _number(node, "channels_last", 0) != 0 or _number(node, "alpha", 1.0) is None:
        return None
    if node.op_type == "QLinearSoftmax" and (_number(node, "opset", 0) or 0) < SOFTMAX_OF_ONE_AXIS:
        return None
    if any(_at(node, index) is None for index in form.plain) or (form.op != "Gemm" and _at(node, form.result[0]) is None):
        return None
    scales = []
    for levels, scale, _ in _operands(node, form):
        content = _content(_at(node, scale))
        if _at(node, levels) is None or content is None or content.ndim > 1 or not content.size:
            return None
        scales.append(content)
    return form if scales and scales[0].size == 1 else None


def _number(node: ir.Node, name: str, default: float) -> float | None:
    """An attribute with a number; None where it holds something else."""
    attribute = node.attributes.get(name)
    if attribute is None:
        return default
    return attribute.value if attribute.type in (ir.AttributeType.INT, ir.AttributeType.FLOAT) else None


def _keeps(node: ir.Node) -> bool:
    return node.domain == "" and node.op_type in KEEPING and len([output for output in node.outputs if output.name]) == 1


def _operands(node: ir.Node, form: _Form) -> Iterator[Triple]:
    """The operands of a node: a join has as many as it is given, behind the scale and zero of its result."""
    yield from form.operands or ((i, i + 1, i + 2) for i in range(2, len(node.inputs), 3))


def _write(writing: _Writing, node: ir.Node, form: _Form) -> None:
    triples = list(_operands(node, form))
    axes = [_channels(node, index) for index in range(len(triples))]
    inputs: list[ir.Value | None] = [_operand(node, index) for index in form.plain]
    for (levels, scale, zero), axis in zip(triples, axes, strict=True):
        inputs.append(writing.numbers(_operand(node, levels), _operand(node, scale), _at(node, zero), axis))
    if form.bias is not None and (bias := _at(node, form.bias)) is not None:
        scales = [_content(_at(node, scale)) for _, scale, _ in triples]
        assert scales[0] is not None and scales[1] is not None
        product = (np.float32(_number(node, "alpha", 1.0)) * scales[0].reshape(()) * scales[1]).astype(np.float32)
        inputs.append(writing.numbers(bias, writing.constant(product, f"{bias.name}/scale"), None, 0))
    attributes = [node.attributes[name] for name in form.attributes if name in node.attributes]
    if form.op == "ReduceMean" and (writing.model.opset_imports.get("") or 0) >= WITH_AXES:
        axes_told = [attribute for attribute in attributes if attribute.name == "axes"]
        attributes = [attribute for attribute in attributes if attribute.name != "axes"]
        inputs += [writing.constant(np.array(item.as_ints(), np.int64), f"{node.name}/axes") for item in axes_told]
    numbers = writing.node(form.op, inputs, node.name or str(node.outputs[0].name), attributes)
    result = _at(node, form.result[0])
    writing.replace(node, numbers, None if result is None else (result, _at(node, form.result[1])))


def _keep(writing: _Writing, node: ir.Node, levels: tuple[ir.Value, ir.Value | None]) -> None:
    """Let a node that moves levels, or picks some, do so with numbers."""
    numbers = writing.numbers(_operand(node, 0), *levels, 1)
    moved = writing.node(node.op_type, [numbers, *node.inputs[1:]], str(node.name), list(node.attributes.values()))
    writing.replace(node, moved, levels)


def _channels(node: ir.Node, index: int) -> int:
    """The axis that scales of an operand belong to: weights have one for each thing that they make."""
    if node.op_type == "QLinearConv":
        return 0
    return 1 if index and not _number(node, "transB", 0) else 0


def _at(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _operand(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _content(value: ir.Value | None) -> np.ndarray | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def _count(scale: ir.Value) -> int:
    content = _content(scale)
    return 1 if content is None else content.size
