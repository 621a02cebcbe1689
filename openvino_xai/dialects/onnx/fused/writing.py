"""The nodes that are written beside a fused operation, and what a rule is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from openvino_xai.dialects.onnx.naming import initializer, unused

AXES_AS_OPERAND = 18  # the opset in which ReduceMean has its axes in an operand
MATRIX = 2  # axes of a matrix
DEEPEST = 8  # nodes between a value and the weights that tell its last size
LARGEST = 2**24  # elements of a constant that is written: a file of a few bytes may tell of any number of tokens
TYPES = {  # of the attributes that rules read: no other name may hold what a stranger put there
    ir.AttributeType.FLOAT: "activation_alpha activation_beta alpha beta epsilon mask_filter_value scale softcap",
    ir.AttributeType.FLOATS: "activation_params",
    ir.AttributeType.INT: (
        "axis do_rotary group interleaved is_causal kv_num_heads num_heads q_num_heads qk_matmul_output_mode "
        "rotary_embedding_dim softmax_precision stash_type transA transB transBatchA transBatchB unidirectional"
    ),
    ir.AttributeType.INTS: "dilations kernel_shape pads qkv_hidden_sizes strides",
    ir.AttributeType.STRING: "activation auto_pad",
}
TYPE_OF = {name: kind for kind, names in TYPES.items() for name in names.split()}


@dataclass(frozen=True)
class Writing:
    """A fused operation, and the `nodes` and `constants` that a rule writes beside it. `names` are taken."""

    opset: int
    node: ir.Node
    inferred: Mapping[str, ir.Value]
    names: set[str]
    nodes: list[ir.Node] = field(default_factory=list)
    constants: list[ir.Value] = field(default_factory=list)

    def operand(self, index: int) -> ir.Value:
        """An operand that is there, as the rule's `operands` say."""
        value = self.optional(index)
        if value is None:
            raise LookupError(f"operand {index} of '{self.node.name}' is left out")
        return value

    def optional(self, index: int) -> ir.Value | None:
        """An operand, None where it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """What an attribute holds."""
        attribute = self.node.attributes.get(name)
        return default if attribute is None else attribute.value

    def attributes(self, names: Sequence[str]) -> dict[str, ir.Attr]:
        """Those of some attributes that are there."""
        return {name: self.node.attributes[name] for name in names if name in self.node.attributes}

    def write(self, op: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """What a node makes that is written behind the others."""
        return self.write_several(op, 1, *inputs, **attributes)[0]

    def write_several(self, op: str, count: int, *inputs: ir.Value | None, **attributes: Any) -> list[ir.Value]:
        """What a node with `count` outputs makes."""
        name = unused(f"{self.node.name or self.node.outputs[0].name}/{op.lower()}", self.names)
        outputs = [ir.Value(name=name if not index else unused(f"{name}.{index}", self.names)) for index in range(count)]
        convert = ir.convenience.convert_attribute
        converted = [item if isinstance(item, ir.Attr) else convert(key, item) for key, item in attributes.items()]
        self.nodes.append(ir.Node("", op, inputs, converted, outputs=outputs, name=name))
        return outputs

    def constant(self, array: np.ndarray, word: str) -> ir.Value:
        """An initializer."""
        value = initializer(unused(f"{self.node.name or self.node.outputs[0].name}/{word}", self.names), array)
        self.constants.append(value)
        return value

    def number(self, number: float, like: ir.Value, word: str) -> ir.Value:
        """A constant of the type of another value."""
        return self.constant(np.array(number, self.dtype(like)), word)

    def integers(self, numbers: Sequence[int], word: str) -> ir.Value:
        """A constant with whole numbers."""
        return self.constant(np.array(numbers, np.int64), word)

    def scaled(self, value: ir.Value, factor: float, like: ir.Value) -> ir.Value:
        """A value times a number of the type of `like`."""
        return value if factor == 1 else self.write("Mul", value, self.number(factor, like, "factor"))

    def mean(self, value: ir.Value, axes: Sequence[int]) -> ir.Value:
        """The mean along some axes, which stay."""
        if self.opset < AXES_AS_OPERAND:
            return self.write("ReduceMean", value, axes=list(axes), keepdims=1)
        return self.write("ReduceMean", value, self.integers(axes, "axes"), keepdims=1)

    def transposed(self, value: ir.Value, rank: int) -> ir.Value:
        """Matrices [..., M, N] as [..., N, M]."""
        return self.write("Transpose", value, perm=[*range(rank - MATRIX), rank - 1, rank - MATRIX])

    def shape(self, value: ir.Value) -> tuple[int | ir.SymbolicDim, ...] | None:
        """The shape of a value of the model, None where nothing is known of it."""
        if value.const_value is not None:
            return tuple(value.const_value.shape.numpy())
        shape = self.inferred.get(str(value.name), value).shape
        return None if shape is None else tuple(shape)

    def rank(self, value: ir.Value) -> int | None:
        """The number of axes of a value of the model, None where it is not known."""
        shape = self.shape(value)
        return None if shape is None else len(shape)

    def last_size(self, value: ir.Value, depth: int = 0) -> int | None:
        """The last size of a value of the model, as shapes or the weights that make it tell; None where neither does."""
        shape = self.shape(value)
        if shape and isinstance(shape[-1], int):
            return shape[-1]
        node = value.producer()
        if node is None or depth == DEEPEST or node.op_type not in ("Add", "MatMul"):
            return None
        sizes = [self.last_size(item, depth + 1) for item in reversed(node.inputs) if item is not None]
        return next((size for size in sizes if size is not None and size > 1), None)

    def dtype(self, value: ir.Value) -> np.dtype[Any]:
        """The type of a value: f32 where it is no float, or nothing is known of it."""
        dtype = self.inferred.get(str(value.name), value).dtype
        return dtype.numpy() if dtype is not None and dtype.is_floating_point() else np.dtype(np.float32)

    def is_boolean(self, value: ir.Value) -> bool:
        """Whether a value holds truths."""
        return self.inferred.get(str(value.name), value).dtype == ir.DataType.BOOL


Results: TypeAlias = "dict[int, ir.Value] | None"  # by the index of the output; None where it cannot be written


@dataclass(frozen=True)
class Rule:
    """How an operation is written: it may have these `operands`, the `needed` first ones always, and these `attributes`."""

    write: Callable[[Writing], Results]
    needed: int
    operands: frozenset[int]
    attributes: frozenset[str] = frozenset()

    def reads(self, node: ir.Node) -> bool:
        """Whether a node has nothing that the rule does not read, and its attributes are of the types that they are to have."""
        there = {index for index, value in enumerate(node.inputs) if value is not None}
        typed = all(attribute.type == TYPE_OF.get(name) for name, attribute in node.attributes.items())
        return set(range(self.needed)) <= there <= self.operands and set(node.attributes) <= self.attributes and typed


def rule(write: Callable[[Writing], Results], needed: int, more: Sequence[int] = (), attributes: str = "") -> Rule:
    """A rule for `needed` operands and perhaps `more`, and for `attributes` by their names."""
    return Rule(write, needed, frozenset([*range(needed), *more]), frozenset(attributes.split()))
