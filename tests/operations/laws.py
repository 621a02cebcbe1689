"""The laws of operations: a law compares one column of a record with what the operation computes in f64.

A law takes a record and a case, which is one node that can be run. It fails with an AssertionError where they disagree, and
checks nothing where the record leaves the column out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from openvino_xai.dialects.open import open_model
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Dim
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.operations.axes import reduced
from openvino_xai.operations.centres import evenly
from openvino_xai.operations.record import Operation

Arrays = list[np.ndarray]
TYPES = {"double": np.float64, "int64": np.int64, "bool": np.bool_, "uint8": np.uint8}


@dataclass(frozen=True)
class Case:
    """One node, written in ONNX's text format.

    `body` is the node, as in `y = Op(a, b)`. `inputs` are the operands that vary, with types and shapes, as in
    `double[2,3] a`. `constants` are the others, with their contents, as in `int64[2] x = {1, -1}`. Random inputs lie between
    `low` and `high`. `cost` replaces the number of multiplications that the law of costs expects.
    """

    body: str
    inputs: str
    constants: str = ""
    opset: int = 20
    low: float = -2.0
    high: float = 2.0
    cost: int | None = None

    @cached_property
    def model(self) -> onnx.ModelProto:
        constants = f"<{self.constants}>" if self.constants else ""
        outputs = ", ".join(f"double {name.strip()}" for name in self.body.partition("=")[0].split(","))
        text = (
            f'<ir_version: 9, opset_import: ["" : {self.opset}]> g ({self.inputs}) => ({outputs}) {constants} {{ {self.body} }}'
        )
        model = onnx.parser.parse_model(text)
        for value in model.graph.output:
            value.ClearField("type")
        return onnx.shape_inference.infer_shapes(model, data_prop=True)

    @cached_property
    def graph(self) -> Graph:
        return open_model(self.model).graph

    @property
    def node(self) -> Node:
        return self.graph.nodes[-1]

    @cached_property
    def _evaluator(self) -> ReferenceEvaluator:
        return ReferenceEvaluator(self.model)

    def run(self, arrays: Arrays) -> Arrays:
        names = [value.name for value in self.model.graph.input]
        return [np.asarray(array) for array in self._evaluator.run(None, dict(zip(names, arrays, strict=True)))]

    def arrays(self, seed: int) -> Arrays:
        """Random contents of the operands that vary."""
        rng = np.random.default_rng(seed)
        return [_random(value, rng, self.low, self.high) for value in self.graph.inputs]

    @property
    def variables(self) -> list[int]:
        """The indices of the node's operands that `arrays` holds, in its order."""
        return [next(index for index, value in self.node.operands if value.name == item.name) for item in self.graph.inputs]


@dataclass(frozen=True)
class Native:
    """One node of a kind that no ONNX operation has: its attributes, and the NumPy function that computes it.

    `shapes` and `types` are those of all operands, constants too; without `types` all are f64.
    """

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    function: Callable[..., Any]
    attributes: Any = None
    types: tuple[type, ...] = ()
    constants: tuple[tuple[int, Any], ...] = ()  # index and content of the operands that do not vary
    low: float = -2.0
    high: float = 2.0
    cost: int | None = None  # replaces the number of multiplications that the law of costs expects

    @cached_property
    def node(self) -> Node:
        fixed = dict(self.constants)
        types = self.types or (np.float64,) * len(self.shapes)
        inputs = [
            Value(f"i{index}", shape, np.dtype(dtype), data=fixed.get(index))
            for index, (shape, dtype) in enumerate(zip(self.shapes, types, strict=True))
        ]
        node = Node(self.kind, self.kind, self.kind, tuple(inputs), attributes=self.attributes or {})
        results = self.run(self.arrays(0))
        node.outputs = tuple(Value(f"o{i}", array.shape, array.dtype, producer=node) for i, array in enumerate(results))
        return node

    @cached_property
    def graph(self) -> Graph:
        def fold(value: Value) -> np.ndarray:
            assert value.data is not None
            return value.data

        inputs = [value for value in self.node.inputs if value is not None and value.data is None]
        return Graph([self.node], inputs, {value.name: value for value in self.node.outputs}, fold)

    @property
    def variables(self) -> list[int]:
        """The indices of the operands that `arrays` holds, in its order."""
        fixed = dict(self.constants)
        return [index for index in range(len(self.shapes)) if index not in fixed]

    def run(self, arrays: Arrays) -> Arrays:
        fixed, varying = dict(self.constants), iter(arrays)
        operands = [fixed[index] if index in fixed else next(varying) for index in range(len(self.shapes))]
        result = self.function(*operands)
        return [np.asarray(array) for array in (result if isinstance(result, (list, tuple)) else [result])]

    def arrays(self, seed: int) -> Arrays:
        rng = np.random.default_rng(seed)
        types = self.types or (np.float64,) * len(self.shapes)
        values = [Value("", shape, np.dtype(dtype)) for shape, dtype in zip(self.shapes, types, strict=True)]
        return [_random(values[index], rng, self.low, self.high) for index in self.variables]


AnyCase = Case | Native


def _random(value: Value, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    shape = [size for size in value.shape or () if isinstance(size, int)]
    assert value.dtype is not None
    if value.dtype == np.bool_:
        return rng.random(shape) < 0.5
    if value.dtype.kind in "iu":
        return rng.integers(0, 3, shape).astype(value.dtype)
    return rng.uniform(low, high, shape)


def _subsets(case: AnyCase, operation: Operation) -> Iterator[tuple[int, ...]]:
    """Every non-empty set of the operands that vary and hold numbers to compute with."""
    data = [i for i in case.variables if i not in operation.controls and case.node.operand(i).dtype == np.float64]
    return chain.from_iterable(combinations(data, count) for count in range(1, len(data) + 1))


def _replaced(case: AnyCase, arrays: Arrays, new: dict[int, np.ndarray]) -> Arrays:
    return [new.get(index, array) for index, array in zip(case.variables, arrays, strict=True)]


def zeros_stay(operation: Operation, case: AnyCase) -> None:
    """Zeros in the operands that the record names give zeros in the output."""
    arrays = case.arrays(0)
    for subset in _subsets(case, operation):
        if operation.gives_zero(case.node, subset, case.graph.constant):
            zeros = {index: np.zeros_like(arrays[case.variables.index(index)]) for index in subset}
            for array in case.run(_replaced(case, arrays, zeros)):
                np.testing.assert_array_equal(array, 0, err_msg=f"{operation.name} of zeros in {subset}")


def lines_stay(operation: Operation, case: AnyCase) -> None:
    """f(a x + b y) = a f(x) + b f(y) where it is linear. Where it is affine the law holds for a + b = 1."""
    first, second = case.arrays(0), case.arrays(1)
    for subset in _subsets(case, operation):
        how = operation.linearity(case.node, subset)
        if how is None:
            continue
        a, b = (2.0, 3.0) if how == "linear" else (-1.5, 2.5)
        places = [case.variables.index(index) for index in subset]
        other = _replaced(case, first, {index: second[place] for index, place in zip(subset, places, strict=True)})
        both = {index: a * first[place] + b * second[place] for index, place in zip(subset, places, strict=True)}
        for x, y, z in zip(case.run(first), case.run(other), case.run(_replaced(case, first, both)), strict=True):
            np.testing.assert_allclose(z, a * x + b * y, rtol=1e-9, atol=1e-9, err_msg=f"{operation.name} in {subset}")


def elements_stand_alone(operation: Operation, case: AnyCase) -> None:
    """In a pointwise operation, one changed element of an operand changes no output but those that it is broadcast to."""
    if not operation.pointwise:
        return
    arrays, moved = case.arrays(0), case.arrays(1)
    before = case.run(arrays)[0]
    for place, array in enumerate(arrays):
        changed = array.copy()
        changed.flat[0] = moved[place].flat[0]
        allowed = np.zeros(array.shape, bool)
        allowed.flat[0] = True
        after = case.run([*arrays[:place], changed, *arrays[place + 1 :]])[0]
        different = np.not_equal(after, before)
        assert not (different & ~np.broadcast_to(allowed, before.shape)).any(), f"{operation.name}: operand {place}"


def slices_are_treated_alike(operation: Operation, case: AnyCase) -> None:
    """An output axis that comes exactly from an operand's axis treats all of its slices alike.

    Permuting the slices of the operands permutes those of the output. Changing the first slice changes the first of the output
    and no other.
    """
    rng, arrays, others, node = np.random.default_rng(5), case.arrays(0), case.arrays(1), case.node
    before = case.run(arrays)
    rules = [operation.axes, *[operation.later_axes or operation.axes] * (len(before) - 1)]
    for output, target, sources in ((i, *item) for i, rule in enumerate(rules) for item in enumerate(rule(node) or [])):
        exact = [source for source in sources if source.exact]
        if not exact or any(source.operand not in case.variables for source in exact):
            continue
        order = rng.permutation(before[output].shape[target])
        permuted, changed = {}, {}
        for operand, axis, _ in exact:
            place = case.variables.index(operand)
            array = arrays[place]
            assert array.shape[axis] == len(order), f"{operation.name}: axis {target} is not axis {axis} of operand {operand}"
            permuted[operand] = np.take(array, order, axis=axis)
            first = np.arange(len(order)).reshape([-1 if a == axis else 1 for a in range(array.ndim)]) == 0
            changed[operand] = np.where(first, others[place], array)
        old, rest = before[output], range(1, len(order))
        new = case.run(_replaced(case, arrays, permuted))[output]
        np.testing.assert_allclose(new, np.take(old, order, axis=target), atol=1e-9, err_msg=f"{operation.name}, {target}")
        new = case.run(_replaced(case, arrays, changed))[output]
        np.testing.assert_allclose(np.take(new, rest, axis=target), np.take(old, rest, axis=target), atol=1e-9)


def reductions_have_closed_forms(operation: Operation, case: AnyCase) -> None:
    """A reduction is the NumPy function that the record names, over the node's axes, or over a window that covers all."""
    if operation.reduces is None:
        return
    x = case.arrays(0)[0]
    if "axes" in case.node.attributes:
        axes, keepdims = tuple(case.node.attributes["axes"]), case.node.attributes["keepdims"]
    elif tuple(case.node.attributes["kernel"]) == x.shape[2:]:
        axes, keepdims = tuple(range(2, x.ndim)), True
    else:
        return
    true = getattr(np, operation.reduces)(x, axis=axes, keepdims=keepdims)
    np.testing.assert_allclose(case.run([x, *case.arrays(0)[1:]])[0], true, atol=1e-12)


def elements_move(operation: Operation, case: AnyCase) -> None:
    """The output holds each element of the first operand once (`all`), or only elements of it (`some`)."""
    if operation.moves is None:
        return
    arrays = case.arrays(0)
    outputs = np.concatenate([array.reshape(-1) for array in case.run(arrays)])
    if operation.moves == "all":
        np.testing.assert_array_equal(np.sort(outputs), np.sort(arrays[0].reshape(-1)))
    assert np.isin(outputs, arrays[0]).all()


def centres_are_in_the_middle(operation: Operation, case: AnyCase) -> None:
    """Items of an axis that is made coarser or finer lie in the middle of those that they change with, or are equal parts.

    Items at an end see less than others, and are left out, as is a border that repeats what lies inside. Of what lies between
    two items both are seen, or one. What a norm makes of an item depends on all, and lies where it lay.
    """
    if operation.normalises:
        return
    arrays, axes = case.arrays(0), operation.axes(case.node) or []
    spatial = [(target, source.axis) for target, sources in enumerate(axes) for source in sources if not source.exact]
    for target, axis in spatial:
        effects = np.stack([_changed(case, arrays, axis, item, target) for item in range(arrays[0].shape[axis])], axis=1)
        reach = effects.sum(axis=1)
        centres = operation.centres(case.node, axis) if operation.centres is not None else None
        centres = centres or evenly(effects.shape[1], effects.shape[0])
        places = centres.ahead + centres.step * np.arange(len(effects))
        inner = (reach == reach.max()) & (places > -1) & (places < effects.shape[1])
        middle, expected = (effects @ np.arange(effects.shape[1]))[inner] / reach.max(), places[inner]
        between = 0.5 if centres.step % 1 or operation.centres is None else 0.0
        between = 1.0 if operation.name == "resize" else between
        assert inner.any(), f"{operation.name}: nothing along axis {axis} lies where it is said to lie"
        np.testing.assert_allclose(middle, expected, atol=between * max(centres.step, 1) + 1e-9, err_msg=operation.name)
        behind = effects.shape[1] - 1 - (centres.ahead + centres.step * (effects.shape[0] - 1))
        assert -1e-9 <= abs(behind - centres.behind) < max(centres.step, 1), f"{operation.name}: the end of axis {axis}"


def _changed(case: AnyCase, arrays: Arrays, axis: int, item: int, target: int) -> np.ndarray:
    """Which items of an output's axis change with one item of the first operand's axis, each item true or false."""
    place = np.arange(arrays[0].shape[axis]).reshape([-1 if a == axis else 1 for a in range(arrays[0].ndim)]) == item
    first = case.run(arrays)[0]
    different = case.run([np.where(place, arrays[0] + 100, arrays[0]), *arrays[1:]])[0] != first
    return np.asarray(np.moveaxis(different, target, 0).reshape(first.shape[target], -1).any(axis=1))


def costs_are_counted(operation: Operation, case: AnyCase) -> None:
    """A product or a pool costs one for each pair of an element of its first operand and an output that depends on it.

    A reduction, and what ranks, costs one for each element that it reads. All others cost one for each output element, or
    nothing.
    """
    outputs, node = case.run(case.arrays(0)), case.node
    elements, cost = sum(array.size for array in outputs), operation.macs(node)
    windowed = operation.reduces is not None and "kernel" in node.attributes
    if operation.axes is reduced or operation.ranks:
        assert cost == max(case.arrays(0)[0].size, elements), operation.name
        return
    if operation.pointwise or (not windowed and len(operation.factors) < 2):
        assert cost in ((0, elements) if case.cost is None else (case.cost,)), operation.name
        return
    arrays, pairs = case.arrays(0), 0
    base = [array.copy() for array in outputs]
    for place in np.ndindex(arrays[0].shape):
        x = arrays[0].copy()
        x[place] += 1e3
        pairs += sum(int(np.count_nonzero(a != b)) for a, b in zip(case.run([x, *arrays[1:]]), base, strict=True))
    assert cost == pairs, f"{operation.name}: {cost}, where {pairs} are counted"


def contents_are_computed(operation: Operation, case: AnyCase) -> None:
    """The rule for small integers computes what the operation computes."""
    if operation.integers is None or any(value.dtype is None for value in case.node.outputs):
        return
    arrays = [np.abs(np.rint(array)) + 1 for array in case.arrays(0) if array.dtype != np.bool_]
    if len(arrays) != len(case.variables):
        arrays = case.arrays(0)
    operands: list[np.ndarray] = []
    inputs = dict(zip(case.variables, arrays, strict=True))
    for index, value in case.node.operands:
        data = inputs[index] if index in inputs else case.graph.constant(value)
        assert data is not None
        operands.append(np.asarray(data).astype(object))
    result = operation.integers(case.node, operands)
    if result is None:
        return
    results = result if isinstance(result, list) else [result]
    for content, true in zip(
        results, case.run([a.astype(b.dtype) for a, b in zip(arrays, case.arrays(0), strict=True)]), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(content, np.float64).reshape(-1), np.asarray(true, np.float64).reshape(-1))


def shapes_are_told(operation: Operation, case: AnyCase) -> None:
    """The rules for rank and shape say what comes out. A shape may leave a size open."""
    node, true = case.node, [array.shape for array in case.run(case.arrays(0))]
    shapes = [value.shape for value in node.outputs]

    def content(index: int) -> tuple[int, ...] | None:
        value = node.inputs[index] if index < len(node.inputs) else None
        data = None if value is None else case.graph.constant(value)
        return None if data is None or data.dtype.kind not in "iu" else tuple(int(item) for item in data.reshape(-1))

    if operation.rank is not None:
        assert operation.rank(node, content) == len(true[0])
    if operation.shape is None:
        return
    try:
        for value, sizes in zip(node.outputs, true, strict=True):
            value.shape = tuple(Dim(1, (f"open{axis}",)) for axis in range(len(sizes)))
        for result, sizes in zip(operation.shape(node, content) or [], true, strict=False):
            assert len(result) == len(sizes), operation.name
            assert all(isinstance(a, Dim) or a == b for a, b in zip(result, sizes, strict=True)), (
                f"{operation.name}: {result}, {sizes}"
            )
    finally:
        for value, shape in zip(node.outputs, shapes, strict=True):
            value.shape = shape


def parts_make_the_whole(operation: Operation, case: AnyCase) -> None:
    """What joins concatenates its operands. The outputs of what splits, concatenated, are its first operand."""
    operands, axis = case.arrays(0), case.node.attributes.get("axis", -1)
    if operation.joins:
        np.testing.assert_array_equal(case.run(operands)[0], np.concatenate(operands, axis))
    if operation.splits:
        np.testing.assert_array_equal(np.concatenate(case.run(operands), axis), operands[0])


def operands_are_what_they_are_called(operation: Operation, case: AnyCase) -> None:
    """The columns that give an operand a role name one that can play it.

    The operation is linear in its weights, and in the first operand where its adjoint is lazy. The operand that holds a shape
    holds that of the output, apart from -1, 0 and 1. Where elements are moved, operands that control or select hold integers
    or booleans.
    """
    node = case.node
    if operation.weights is not None:
        assert operation.linearity(node, {operation.weights}) is not None
    if operation.lazy_adjoint:
        assert operation.adjoint is not None
        assert operation.linearity(node, {0}) is not None
    if operation.takes_shape and len(node.inputs) > 1:
        target = case.graph.constant(node.operand(1))
        assert target is not None
        shape, strict = case.run(case.arrays(0))[0].shape, operation.moves == "all"  # what is broadcast may have more axes
        assert all(size in (-1, 0, 1, there) for size, there in zip(target.tolist()[::-1], shape[::-1], strict=strict))
    for index, value in node.operands:
        if (index and index in operation.controls) or index in operation.selectors:
            assert value.dtype is not None
            assert value.dtype.kind in "iub" or not operation.moves, f"{operation.name}: operand {index}"


def levels_and_scales(operation: Operation, case: AnyCase) -> None:
    """Rounding to levels a second time changes nothing. In a normalisation one changed element changes more than one output."""
    arrays = case.arrays(0)
    first = case.run(arrays)[0]
    if operation.quantises:
        assert first.size == arrays[0].size
        if operation.pointwise:
            np.testing.assert_allclose(case.run([first, *arrays[1:]])[0], first, atol=1e-12)
    if operation.normalises:
        assert first.shape == arrays[0].shape
        changed = arrays[0].copy()
        changed.flat[0] += 1.0
        assert np.count_nonzero(case.run([changed, *arrays[1:]])[0] != first) > 1


@dataclass
class ArrayStep:
    """A node of the backward pass as an adjoint rule sees it, with arrays for values."""

    case: AnyCase
    operands: dict[int, np.ndarray]
    result: np.ndarray
    xp: Any = field(default_factory=numpy_namespace)

    @property
    def node(self) -> Node:
        return self.case.node

    def operand(self, index: int) -> np.ndarray:
        return self.operands[index]

    def output(self, index: int = 0) -> np.ndarray:
        return self.result if index == 0 else self.case.run([self.operands[i] for i in self.case.variables])[index]

    def operand_shape(self, index: int) -> tuple[int, ...]:
        return self.operands[index].shape

    def output_shape(self) -> tuple[int, ...]:
        return self.result.shape

    def constant(self, index: int) -> np.ndarray | None:
        return self.operands[index] if index not in self.case.variables else None

    def integers(self, index: int) -> list[int] | None:
        return [int(item) for item in self.operands[index].reshape(-1)] if index in self.operands else None

    def number(self, size: int) -> int:
        return size

    def full(self, g: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
        return np.broadcast_to(g, self.result.shape)

    def picked(self, weights: np.ndarray, axis: int, g: np.ndarray) -> None:
        return None


def slopes_are_differences(operation: Operation, case: AnyCase) -> None:
    """The adjoint is the slope of a weighted sum of the outputs, by central differences.

    Operations that quantise are left out: their adjoint passes straight through, and is no slope.
    """
    if operation.adjoint is None or operation.quantises:
        return
    arrays, axis = case.arrays(0), case.node.attributes.get("axis", -1)

    def output(operands: Arrays) -> np.ndarray:
        results = case.run(operands)
        return np.concatenate(results, axis) if operation.splits else results[0]

    result = output(arrays)
    inputs = dict(zip(case.variables, arrays, strict=True))
    operands = {i: inputs[i] if i in inputs else case.graph.constant(value) for i, value in case.node.operands}
    g = np.random.default_rng(7).normal(0, 1, result.shape)
    step = ArrayStep(case, operands, result)
    for (index,) in (
        subset for subset in _subsets(case, operation) if len(subset) == 1 and subset[0] not in operation.selectors
    ):
        try:
            adjoint = operation.adjoint(step, index, g)
        except PlanError:  # a rule may refuse an operand
            continue
        place = case.variables.index(index)
        slope = np.zeros_like(arrays[place])
        for at in np.ndindex(slope.shape):
            ends = []
            for sign in (1, -1):
                moved = [array.copy() for array in arrays]
                moved[place][at] += sign * 1e-6
                ends.append(float((g * output(moved)).sum()))
            slope[at] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(
            np.broadcast_to(adjoint, slope.shape), slope, rtol=1e-6, atol=1e-6, err_msg=f"{operation.name}: operand {index}"
        )


def steps_are_flat(operation: Operation, case: AnyCase) -> None:
    """What is stepwise is the same for operands that are moved by less than its steps are apart."""
    if not operation.stepwise:
        return
    arrays = case.arrays(0)
    moved = [array + 1e-9 if array.dtype == np.float64 else array for array in arrays]
    for before, after in zip(case.run(arrays), case.run(moved), strict=True):
        np.testing.assert_array_equal(before, after)


LAWS = {
    law.__name__: law
    for law in (
        zeros_stay,
        lines_stay,
        elements_stand_alone,
        slices_are_treated_alike,
        reductions_have_closed_forms,
        elements_move,
        centres_are_in_the_middle,
        costs_are_counted,
        contents_are_computed,
        shapes_are_told,
        parts_make_the_whole,
        operands_are_what_they_are_called,
        levels_and_scales,
        slopes_are_differences,
        steps_are_flat,
    )
}
