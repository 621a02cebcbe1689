"""A plan, carried out: the only place where a model grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from openvino_xai.contract import refuse_names
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim, Shape, Size, at_one, product
from openvino_xai.graph.trace import shape_of
from openvino_xai.operations.table import operation_of
from openvino_xai.plan.hook import Plan

FOLDED = 2**14  # elements: what is computed when the hook is inserted, and kept in the file, is no larger


def emit(plan: Plan, model: Deployed, reserved: Iterable[str] = ()) -> None:
    """Add the plan's nodes and outputs to `model`, whose graph the plan was made for.

    Raises ModelError where the model has a name that the plan adds, or one that is `reserved` for hooks: clients would not know
    which of the two they read, and a file with both does not load.
    """
    graph = model.graph
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    there = {name for value in values for name in (value.name, *value.aliases)}.union(graph.outputs)
    refuse_names([*plan.outputs, *plan.inputs, *reserved], there)
    _Emitter(model).carry_out(plan)


class _Emitter:
    def __init__(self, model: Deployed) -> None:
        self._model = model
        self._graph: Graph = model.graph
        self._native: dict[Value, Any] = {}
        self._sizes: dict[str, Any] = {}
        self._origins: dict[str, tuple[Value, int]] = {}

    def carry_out(self, plan: Plan) -> None:
        self._origins.update(plan.origins)
        for name, value in plan.inputs.items():
            assert value.dtype is not None
            self._native[value] = self._model.add_input(name, shape_of(value), value.dtype)
        for node in plan.nodes:
            if node in plan.constants and self._folded(node):
                continue
            if node.kind == "size":
                self._native[node.outputs[0]] = self._number(node.attributes["size"], node.name)
            elif node.native is not None:
                inputs = [None if value is None else self._of(value) for value in node.inputs]
                self._native.update(zip(node.outputs, self._model.repeat(node.native, inputs, node.name), strict=True))
            else:
                inputs = [self._of(value) for _, value in node.operands]
                if operation_of(node).takes_shape:
                    inputs.append(self._target(node))
                if operation_of(node).weights is not None:
                    inputs = self._with_own_weights(node, inputs)
                self._native[node.outputs[0]] = self._model.emit(node, inputs, node.name)
        for (node, index), value in plan.splices.items():
            self._model.rewire(node, index, self._of(value))
        for name, value in plan.outputs.items():
            assert value.dtype is not None
            self._model.add_output(self._of(value), name, shape_of(value), value.dtype)

    def _folded(self, node: Node) -> bool:
        """Compute a node of constants now, where that is an operation of the model and makes little."""
        if node.native is None or sum(at_one(product(shape_of(value))) for value in node.outputs) > FOLDED:
            return False
        if any(value in self._native for _, value in node.operands):
            return False
        arrays = [None if value is None else value.data if value.native is None else None for value in node.inputs]
        for value, array in zip(node.outputs, self._model.evaluate(node.native, arrays), strict=True):
            value.data = array
        return True

    def _of(self, value: Value) -> Any:
        """The native counterpart: made by the plan, there already, or a constant of the plan's."""
        if value in self._native:
            return self._native[value]
        if value.native is None:
            assert value.data is not None, value.name
            self._native[value] = self._model.constant(value.data)
        else:
            self._native[value] = self._read(value)
        return self._native[value]

    def _read(self, value: Value) -> Any:
        """A value of the model as the hook reads it, which must not change what the model makes of it.

        ONNX Runtime's CPU provider (1.32) has few kernels for half precision. What lies between nodes without one stays in f32,
        and is rounded where a node with one reads it, as a transpose is. A product has none: the hook reads half precision
        behind two changes of sign, which change no bit.
        """
        native, of_half = value.native, value.dtype == np.float16 and value.producer is not None
        if of_half and self._model.runtime == "onnxruntime" and not self._graph.is_constant(value):
            for time in ("once", "twice"):
                minus = self._model.constant(np.array(-1, np.float16))
                native = self._model.emit(_word("multiply"), [native, minus], f"ovxai/turned {time}/{value.name}")
        return native

    def _with_own_weights(self, node: Node, pair: Sequence[Any]) -> list[Any]:
        """Two factors, of which one that is a model's weights shares no memory with what the model makes of them.

        OpenVINO's CPU plugin (2026.4) keeps weights, once rearranged, by where they lie and how large they are: square ones
        that are read as they are and turned around get one arrangement, and one of the results is wrong. An ONNX file may be
        served there, too, and copies of weights are one again in an IR that is written. So the hook reads half of the weights,
        computed when the model is compiled, and twice the other factor: powers of two change no bit of the product. It is
        twice as a sum with itself: OpenVINO takes a product with a number into the weights, whose bytes are the same again.
        Weights that the hook and the model convolve with, as they are, have one arrangement in any case.
        """
        for index, (_, factor) in enumerate(node.operands):
            readers = self._graph.consumers.get(factor, ())
            if node.kind == "conv" and readers and all(reader.kind == "conv" for reader, _ in readers):
                continue
            if self._is_weights(factor) and factor.dtype is not None and factor.dtype.kind not in "biu":
                half = self._model.constant(np.array(0.5, factor.dtype))
                halved = self._model.emit(_word("multiply"), [pair[index], half], f"{node.name}/half")
                twice = self._model.emit(_word("add"), [pair[1 - index]] * 2, f"{node.name}/twice")
                return [twice, halved] if index else [halved, twice]
        return list(pair)

    def _is_weights(self, value: Value) -> bool:
        """Whether a value is the model's weights, or these laid out in another way."""
        while value.native is None and value.producer is not None and value.producer.native is None:
            if operation_of(value.producer).moves != "all":
                return False
            value = value.producer.operand(0)
        of_model = value.native is not None and self._graph.is_constant(value)
        return of_model or (value.data is not None and value.producer is not None)  # the second were folded

    def _target(self, node: Node) -> Any:
        """The shape that a node is given: numbers where they are known, else computed when the model runs."""
        before, after = shape_of(node.operand(0)), shape_of(node.outputs[0])
        sizes: list[int | None]
        if node.kind == "broadcast":  # a 1 keeps what is there
            start = len(after) - len(before)
            sizes = [
                1 if axis >= start and before[axis - start] == size else size if isinstance(size, int) else None
                for axis, size in enumerate(after)
            ]
        else:  # a 0 keeps what is there, one -1 takes the rest
            sizes = [
                size if isinstance(size, int) else 0 if axis < len(before) and before[axis] == size else None
                for axis, size in enumerate(after)
            ]
            if sizes.count(None) == 1:
                sizes[sizes.index(None)] = -1
        if None not in sizes:
            return self._model.constant(np.array(sizes, np.int64))
        return self._computed(after, sizes, node.name)

    def _computed(self, shape: Shape, sizes: list[int | None], name: str) -> Any:
        parts = []
        for size, number in zip(shape, sizes, strict=True):
            if number is not None or not isinstance(size, Dim):
                parts.append(self._model.constant(np.array([number], np.int64)))
                continue
            parts.append(self._number(size, name))
        return self._model.emit(_word("concat", axis=0), parts, f"{name}/shape")

    def _number(self, size: Size, name: str) -> Any:
        """[1], i64: a size, computed when the model runs."""
        factor, names = (size.factor, size.names) if isinstance(size, Dim) else (size, ())
        number = self._model.constant(np.array([factor], np.int64))
        for symbol in names:
            number = self._model.emit(_word("multiply"), [number, self._size(symbol)], f"{name}/size")
        return number

    def _size(self, symbol: str) -> Any:
        if symbol not in self._sizes:
            value, axis = self._origins.get(symbol) or self._graph.origins[symbol]
            self._sizes[symbol] = self._model.shape_of(self._of(value), axis, f"ovxai/{symbol}")
        return self._sizes[symbol]


def _word(kind: str, **attributes: Any) -> Node:
    return Node(kind, kind, kind, (), attributes=attributes)
