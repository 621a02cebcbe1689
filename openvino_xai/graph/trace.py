"""Words recorded as neutral nodes, which a dialect emits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, concrete, product, text
from openvino_xai.graph.vocabulary import JOIN, Array, Axis


class Trace:
    """The vocabulary as a recorder: every call appends a neutral node to `nodes` and returns its value."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def record(
        self,
        kind: str,
        inputs: Sequence[Array | None],
        shape: Shape,
        dtype: Any,
        attributes: dict[str, Any] | None = None,
    ) -> Value:
        """The value of a new node of `kind`."""
        operands = tuple(None if item is None else as_value(item, inputs) for item in inputs)
        name = f"ovxai/{len(self.nodes)}/{kind}"
        node = Node(name, kind, kind, operands, attributes=attributes or {})
        value = Value(name, tuple(shape), np.dtype(dtype), producer=node)
        node.outputs = (value,)
        self.nodes.append(node)
        return value

    def shaped(self, kind: str, x: Value, shape: Shape) -> Value:
        """`reshape` or `broadcast_to`, by the kind of node that is told a shape."""
        return self.reshape(x, shape) if kind == "reshape" else self.broadcast_to(x, shape)

    def repeat(self, original: Node, inputs: Sequence[Value | None], shapes: Sequence[Shape]) -> tuple[Value, ...]:
        """The values of a copy of a model's node that reads `inputs`."""
        node = Node(
            f"ovxai/{len(self.nodes)}/{original.name}",
            original.kind,
            original.op,
            tuple(inputs),
            attributes=original.attributes,
            native=original,
        )
        node.outputs = tuple(
            Value(f"ovxai/{len(self.nodes)}/{old.name}", tuple(shape), old.dtype, producer=node)
            for old, shape in zip(original.outputs, shapes, strict=True)
        )
        self.nodes.append(node)
        return node.outputs

    def splice(self, parts: Sequence[Value], /, *, axis: int) -> Value:
        """`parts` along an axis, for a node of the model to read instead of the value that the first part is taken of."""
        spliced = self.concat(parts, axis=axis)
        assert spliced.producer is not None
        spliced.producer.name = f"ovxai/{len(self.nodes)}/{JOIN}"
        return spliced

    def size(self, size: Size) -> Value:
        """[1], i64: a size that only a run knows."""
        return self.record("size", [], (1,), np.int64, {"size": size})

    def _binary(self, kind: str, a: Array, b: Array, dtype: Any = None) -> Value:
        pair = [a, b]
        left, right = as_value(a, pair), as_value(b, pair)
        return self.record(kind, [left, right], broadcast(shape_of(left), shape_of(right)), dtype or left.dtype)

    def add(self, a: Array, b: Array, /) -> Value:
        return self._binary("add", a, b)

    def subtract(self, a: Array, b: Array, /) -> Value:
        return self._binary("subtract", a, b)

    def multiply(self, a: Array, b: Array, /) -> Value:
        return self._binary("multiply", a, b)

    def divide(self, a: Array, b: Array, /) -> Value:
        return self._binary("divide", a, b)

    def equal(self, a: Array, b: Array, /) -> Value:
        return self._binary("equal", a, b, bool)

    def greater(self, a: Array, b: Array, /) -> Value:
        return self._binary("greater", a, b, bool)

    def maximum(self, a: Array, b: Array, /) -> Value:
        return self._binary("maximum", a, b)

    def minimum(self, a: Array, b: Array, /) -> Value:
        return self._binary("minimum", a, b)

    def where(self, condition: Array, a: Array, b: Array, /) -> Value:
        left, right = as_value(a, [a, b]), as_value(b, [a, b])
        shape = broadcast(shape_of(condition), broadcast(shape_of(left), shape_of(right)))
        return self.record("where", [condition, left, right], shape, left.dtype)

    def round(self, x: Value, /) -> Value:
        return self._unary("round", x)

    def _unary(self, kind: str, x: Value) -> Value:
        return self.record(kind, [x], shape_of(x), x.dtype)

    def exp(self, x: Value, /) -> Value:
        return self._unary("exp", x)

    def log(self, x: Value, /) -> Value:
        return self._unary("log", x)

    def sqrt(self, x: Value, /) -> Value:
        return self._unary("sqrt", x)

    def tanh(self, x: Value, /) -> Value:
        return self._unary("tanh", x)

    def sin(self, x: Value, /) -> Value:
        return self._unary("sin", x)

    def cos(self, x: Value, /) -> Value:
        return self._unary("cos", x)

    def erf(self, x: Value, /) -> Value:
        return self._unary("erf", x)

    def sigmoid(self, x: Value, /) -> Value:
        return self._unary("sigmoid", x)

    def astype(self, x: Value, dtype: Any, /) -> Value:
        return x if x.dtype == np.dtype(dtype) else self.record("cast", [x], shape_of(x), dtype, {"dtype": np.dtype(dtype)})

    def softmax(self, x: Value, /, *, axis: int) -> Value:
        return self.record("softmax", [x], shape_of(x), x.dtype, {"axes": [axis % len(shape_of(x))]})

    def _reduce(self, kind: str, x: Value, axis: Axis, *, keepdims: bool) -> Value:
        shape = shape_of(x)
        axes = sorted(a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis))
        sizes = [1 if i in axes else size for i, size in enumerate(shape) if keepdims or i not in axes]
        return self.record(kind, [x], tuple(sizes), x.dtype, {"axes": axes, "keepdims": keepdims})

    def max(self, x: Value, /, *, axis: Axis, keepdims: bool = False) -> Value:
        return self._reduce("max", x, axis, keepdims=keepdims)

    def min(self, x: Value, /, *, axis: Axis, keepdims: bool = False) -> Value:
        return self._reduce("min", x, axis, keepdims=keepdims)

    def mean(self, x: Value, /, *, axis: Axis, keepdims: bool = False) -> Value:
        return self._reduce("mean", x, axis, keepdims=keepdims)

    def sum(self, x: Value, /, *, axis: Axis, keepdims: bool = False) -> Value:
        return self._reduce("sum", x, axis, keepdims=keepdims)

    def matmul(self, a: Array, b: Array, /) -> Value:
        left, right = as_value(a, [a, b]), as_value(b, [a, b])
        batch = broadcast(shape_of(left)[:-2], shape_of(right)[:-2])
        shape = (*batch, shape_of(left)[-2], shape_of(right)[-1])
        return self.record("matmul", [left, right], shape, left.dtype, {"transpose_a": False, "transpose_b": False})

    def reshape(self, x: Value, /, shape: Shape) -> Value:
        if x.producer is not None and x.producer.kind == "reshape" and x.producer.native is None:
            return self.reshape(x.producer.operand(0), shape)  # one reshape for two
        return x if shape_of(x) == tuple(shape) else self.record("reshape", [x], shape, x.dtype)

    def permute_dims(self, x: Value, /, axes: tuple[int, ...]) -> Value:
        if x.producer is not None and x.producer.kind == "transpose" and x.producer.native is None:  # one permutation for two
            before = x.producer.attributes["perm"]
            return self.permute_dims(x.producer.operand(0), tuple(before[axis] for axis in axes))
        if tuple(axes) == tuple(range(len(axes))):
            return x
        return self.record("transpose", [x], tuple(shape_of(x)[axis] for axis in axes), x.dtype, {"perm": list(axes)})

    def broadcast_to(self, x: Array, /, shape: Shape) -> Value:
        x = as_value(x, [x])
        return x if shape_of(x) == tuple(shape) else self.record("broadcast", [x], shape, x.dtype)

    def concat(self, arrays: Sequence[Array], /, *, axis: int) -> Value:
        values = [as_value(item, arrays) for item in arrays]
        shape = list(shape_of(values[0]))
        sizes = [shape_of(value)[axis] for value in values]
        numbers = [size for size in sizes if isinstance(size, int)]
        # a sum with a size that a run tells is a size of its own, which nothing else has
        shape[axis] = sum(numbers) if len(numbers) == len(sizes) else Dim(1, (f"ovxai/{len(self.nodes)}/joined",))
        return self.record("concat", values, tuple(shape), values[0].dtype, {"axis": axis % len(shape)})

    def take(self, x: Value, indices: Array, /, *, axis: int) -> Value:
        index = as_value(indices, [indices])
        shape, axis = shape_of(x), axis % len(shape_of(x))
        return self.record("gather", [x, index], (*shape[:axis], *shape_of(index), *shape[axis + 1 :]), x.dtype, {"axis": axis})

    def take_along_axis(self, x: Value, indices: Value, /, *, axis: int) -> Value:
        axis = axis % len(shape_of(x))
        return self.record("gather_elements", [x, indices], shape_of(indices), x.dtype, {"axis": axis})

    def top_k(self, x: Value, k: int, /, *, axis: int, ordered: bool = True) -> Value:
        axis = axis % len(shape_of(x))
        shape = tuple(k if i == axis else size for i, size in enumerate(shape_of(x)))
        return self.record("top_k", [x], shape, np.int64, {"axis": axis, "k": k, "ordered": ordered})

    def scatter_add(self, x: Value, indices: Array, updates: Array, /, *, axis: int) -> Value:
        attributes = {"axis": axis % len(shape_of(x))}
        return self.record("scatter_add", [x, as_value(indices, []), updates], shape_of(x), x.dtype, attributes)

    def conv(
        self,
        x: Value,
        weights: Array,
        /,
        *,
        strides: Sequence[int],
        pads: Sequence[int],
        dilations: Sequence[int],
        groups: int,
    ) -> Value:
        shape, n = shape_of(x), len(shape_of(x)) - 2
        weights = as_value(weights, [x])
        kernel = concrete(shape_of(weights)[-n:], f"the kernel '{weights.name}'")
        channels = product(shape_of(weights)[: -n - 1])  # of all groups, which may have an axis of their own
        spatial = [
            (size + pads[i] + pads[i + n] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
            for i, size in enumerate(concrete(shape[2:], f"the cells of '{x.name}'"))
        ]
        attributes = {
            "strides": list(strides),
            "pads": list(pads),
            "dilations": list(dilations),
            "groups": groups,
            "kernel": list(kernel),
        }
        return self.record("conv", [x, weights], (shape[0], channels, *spatial), x.dtype, attributes)

    def conv_transpose(
        self,
        x: Value,
        weights: Value,
        /,
        *,
        strides: Sequence[int],
        pads: Sequence[int],
        dilations: Sequence[int],
        groups: int,
        output_padding: Sequence[int],
    ) -> Value:
        shape, n = shape_of(x), len(shape_of(x)) - 2
        weights = as_value(weights, [x])
        channels, kernel = shape_of(weights)[-n - 1], concrete(shape_of(weights)[-n:], f"the kernel '{weights.name}'")
        spatial = [
            _enlarged(size, strides[i], dilations[i] * (kernel[i] - 1) + 1 + output_padding[i] - pads[i] - pads[i + n])
            for i, size in enumerate(shape[2:])
        ]
        attributes = {
            "strides": list(strides),
            "pads": list(pads),
            "dilations": list(dilations),
            "groups": groups,
            "output_padding": list(output_padding),
        }
        return self.record("conv_transpose", [x, weights], (shape[0], channels * groups, *spatial), x.dtype, attributes)


def _enlarged(size: Size, stride: int, more: int) -> Size:
    """(size - 1) * stride + more, where that can be told."""
    if isinstance(size, int):
        return (size - 1) * stride + more
    if stride == more:
        return size * stride
    raise PlanError(f"what a convolution read of {size} cells cannot be told: give the model a fixed height and width")


def as_value(item: Array, beside: Sequence[Array]) -> Value:
    """A Value as it is; a number or an array as a constant, a number in the type of what stands beside it."""
    if isinstance(item, Value):
        return item
    dtype = next((other.dtype for other in beside if isinstance(other, (Value, np.ndarray))), None)
    data = item if isinstance(item, np.ndarray) else np.asarray(item, dtype)
    return Value("constant", data.shape, data.dtype, data=data)


def shape_of(value: Value) -> Shape:
    """The shape, which must be known. Raises PlanError where the model does not tell it."""
    if value.shape is None:
        raise PlanError(f"the number of axes of '{value.name}' is not known before the model runs", node=value.name)
    return value.shape


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape that two shapes broadcast to."""
    longest = max(len(a), len(b))
    left: Shape = (1,) * (longest - len(a)) + a
    right: Shape = (1,) * (longest - len(b)) + b
    sizes: list[Size] = []
    for x, y in zip(left, right, strict=True):
        if x not in (y, 1) and y != 1:
            are_open = isinstance(x, Dim) and isinstance(y, Dim)
            raise PlanError(
                f"shapes {text(a)} and {text(b)} do not go together: "
                + ("the model does not say that open sizes of two inputs are one, so fix them" if are_open else "")
                + ("" if are_open else "the model is not what it says")
            )
        sizes.append(y if x == 1 else x)
    return tuple(sizes)
