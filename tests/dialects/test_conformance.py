"""What every dialect must do: emit each word as NumPy computes it, and read each node as its runtime computes it.

A new dialect is a row of `tiny.DIALECTS`. Its package has the tables `EMIT` in `emit.py` and `KINDS` in `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import onnx
import pytest
from dialects.meanings import MEANINGS, UNREAD, Meaning, meant
from dialects.samples import NATIVE, SAMPLES
from operations.law_cases import CASES as LAWS
from tails import SHAPE
from tiny import CLASSES, DIALECTS, FEATURES, HEAD, in_dialect, tiny

from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace, as_value
from openvino_xai.graph.vocabulary import WORDS, numpy_namespace
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan

RNG = np.random.default_rng(3)
A, ROW, COLUMN = (RNG.uniform(0.5, 2, shape).astype(np.float32) for shape in ((2, 3, 4), (4,), (3, 1)))
TIED = RNG.integers(0, 4, (2, 3, 8)).astype(np.float32)
HALVES = np.arange(-2.5, 3.5, 0.25, np.float32).reshape(2, 3, 4)
EVEN = np.indices(A.shape).sum(axis=0) % 2 == 0
IMAGE, KERNEL, GROUPED = (RNG.normal(0, 1, shape).astype(np.float32) for shape in ((2, 4, 3, 5), (4, 3, 2, 3), (4, 3, 3, 3)))
BESIDE = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "groups": 1, "output_padding": [0, 0]}
STRIDED = {"strides": [2, 1], "pads": [1, 0, 0, 1], "dilations": [1, 2], "groups": 1, "output_padding": [1, 0]}

CONV_BESIDE, CONV_STRIDED = (
    {name: value for name, value in options.items() if name != "output_padding"} for options in (BESIDE, STRIDED)
)

WAVES = (("sin", 0), ("cos", 0))
Call = tuple[Callable[..., Any], tuple[np.ndarray, ...]]
CALLS: dict[str, list[Call]] = {  # each word with its operands
    **{
        word: [(lambda xp, a, b, word=word: getattr(xp, word)(a, b), operands) for operands in ((A, ROW), (COLUMN, A), (A, A))]
        for word in "add subtract multiply divide equal greater maximum minimum".split()
    },
    **{
        word: [(lambda xp, x, word=word: getattr(xp, word)(x), (HALVES + shift,))]
        for word, shift in (("exp", 0), ("log", 3), ("sqrt", 3), ("tanh", 0), ("round", 0), ("sigmoid", 0), ("erf", 0), *WAVES)
    },
    **{
        word: [
            (lambda xp, x, word=word: getattr(xp, word)(x, axis=1), (A,)),
            (lambda xp, x, word=word: getattr(xp, word)(x, axis=(-1, 1), keepdims=True), (HALVES,)),
        ]
        for word in "max min mean sum".split()
    },
    "where": [
        (lambda xp, c, a, b: xp.where(xp.greater(c, 0.0), a, b), (HALVES, ROW, COLUMN)),
        (lambda xp, c, a: xp.where(xp.greater(0.0, c), a, 0.5), (HALVES, A)),
    ],
    "astype": [
        (lambda xp, x: xp.astype(x, "uint8"), (np.rint(A * 60),)),
        (lambda xp, x: xp.astype(x, "float32"), (EVEN,)),
        (lambda xp, x: xp.astype(x, "int64"), (np.rint(HALVES),)),
    ],
    "matmul": [
        (lambda xp, a, b: xp.matmul(a, b), (A, ROW.reshape(4, 1))),
        (lambda xp, a, b: xp.matmul(a, b), (A, HALVES.reshape(2, 4, 3))),
    ],
    "reshape": [(lambda xp, x: xp.reshape(x, (2, 12)), (A,)), (lambda xp, x: xp.reshape(x, (2, 1, 2, 6)), (A,))],
    "permute_dims": [(lambda xp, x: xp.permute_dims(x, (1, 2, 0)), (A,))],
    "broadcast_to": [(lambda xp, x: xp.broadcast_to(x, (5, 3, 4)), (COLUMN,))],
    "concat": [(lambda xp, a, b: xp.concat([a, b, a], axis=-1), (A, HALVES))],
    "take": [
        (lambda xp, x: xp.take(x, np.array([2, 0, 2]), axis=1), (A,)),
        (lambda xp, x: xp.take(x, np.array([[3], [1]]), axis=-1), (A,)),
        (lambda xp, x, i: xp.take(x, i, axis=1), (A, np.array([1, 2]))),
    ],
    "take_along_axis": [(lambda xp, x, i: xp.take_along_axis(x, i, axis=2), (A, RNG.integers(0, 4, (2, 3, 6))))],
    "scatter_add": [
        (
            lambda xp, x, i, u: xp.scatter_add(x, i, u, axis=2),
            (A, RNG.integers(0, 4, (2, 3, 8)), TIED),
        )
    ],
    "softmax": [(lambda xp, x, axis=axis: xp.softmax(x, axis=axis), (HALVES,)) for axis in (1, -1)],
    "top_k": [
        (lambda xp, x: xp.top_k(x, 2, axis=1), (HALVES,)),
        (lambda xp, x: xp.top_k(xp.multiply(x, -1.0), 3, axis=2), (HALVES,)),
        (lambda xp, x: xp.take_along_axis(x, xp.top_k(x, 3, axis=2), axis=2), (TIED,)),
    ],
    "conv": [
        (lambda xp, x, w: xp.conv(x, w, **CONV_BESIDE), (IMAGE, KERNEL.swapaxes(0, 1))),
        (lambda xp, x, w: xp.conv(x, w, **CONV_STRIDED), (IMAGE, KERNEL.swapaxes(0, 1))),
    ],
    "conv_transpose": [
        (lambda xp, x, w: xp.conv_transpose(x, w, **BESIDE), (IMAGE, KERNEL)),
        (lambda xp, x, w: xp.conv_transpose(x, w, **STRIDED), (IMAGE, KERNEL)),
    ],
}
TRIED = [(word, index) for word, calls in CALLS.items() for index in range(len(calls))]


def by_law(kind: str) -> Meaning:
    """The function that the kind's first case for the laws of operations computes."""
    return lambda a, shapes, *xs: LAWS[kind][0].run(list(xs))


def of_inputs(arrays: tuple[np.ndarray, ...], batch: str | None) -> onnx.ModelProto:
    """A model that returns its inputs; `batch` is the name of an open first axis of the first of them."""
    helper = onnx.helper
    inputs, outputs = [], []
    for index, array in enumerate(arrays):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        shape = [batch, *array.shape[1:]] if batch and not index else array.shape
        inputs.append(helper.make_tensor_value_info(f"x{index}", kind, shape))
        outputs.append(helper.make_tensor_value_info(f"same{index}", kind, shape))
    nodes = [helper.make_node("Identity", [f"x{index}"], [f"same{index}"]) for index in range(len(arrays))]
    graph = helper.make_graph(nodes, "inputs", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def emitted(dialect: str, call: Callable[..., Any], arrays: tuple[np.ndarray, ...], batch: str | None = None) -> np.ndarray:
    """What the dialect's own runtime computes for a word. With an open batch, all operands but the first are constants."""
    inputs = arrays[:1] if batch else arrays
    deployed, trace = open_model(in_dialect(of_inputs(inputs, batch), dialect)).twin(), Trace()
    constants = [as_value(array, []) for array in arrays[len(inputs) :]]
    output = call(trace, *deployed.graph.inputs, *constants)
    emit(Plan(deployed.graph, tuple(trace.nodes), {"output": output}), deployed)
    return deployed.compile()({f"x{index}": array for index, array in enumerate(inputs)})["output"]


def hold_to_numpy(result: np.ndarray, call: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    true = np.asarray(call(numpy_namespace(), *(x.astype(np.float64) if x.dtype == np.float32 else x for x in arrays)))
    assert result.shape == true.shape
    assert result.dtype == (np.float32 if true.dtype == np.float64 else true.dtype)
    np.testing.assert_allclose(result.astype(np.float64), true.astype(np.float64), rtol=2e-6, atol=2e-6)


def test_every_word_is_tried() -> None:
    assert set(CALLS) == set(WORDS)


@pytest.mark.parametrize(("word", "index"), TRIED)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_word_is_emitted(dialect: str, word: str, index: int) -> None:
    call, arrays = CALLS[word][index]
    hold_to_numpy(emitted(dialect, call, arrays), call, arrays)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("word", [word for word, calls in CALLS.items() if calls[0][1][0].shape[0] == 2])
def test_a_word_is_emitted_behind_an_open_batch(dialect: str, word: str) -> None:
    (call, arrays), batch = CALLS[word][0], "B"
    if word == "reshape":  # the call must name the open size
        hold_to_numpy(emitted(dialect, lambda xp, x: xp.reshape(x, (x.shape[0], 12)), arrays, batch), call, arrays)
    else:
        hold_to_numpy(emitted(dialect, call, arrays, batch), call, arrays)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_groups_are_laid_out_as_the_dialect_reads_them(dialect: str) -> None:
    model = tiny(
        "y = Conv<group=2>(image, k) r = Relu(y) " + HEAD.format("r"),
        image=(6, 5, 5),
        k=GROUPED,
        w=(CLASSES, FEATURES),
        b=(CLASSES,),
    )
    node = next(node for node in open_model(in_dialect(model, dialect)).graph.nodes if node.kind == "conv")
    weights = GROUPED.reshape([int(str(size)) for size in node.operand(1).shape or ()])
    grouped, convolved = {**STRIDED, "groups": 2}, {**CONV_STRIDED, "groups": 2}

    def call(xp: Any, x: Any, w: Any) -> Any:
        return xp.conv(xp.conv_transpose(x, w, **grouped), w, **convolved)

    hold_to_numpy(emitted(dialect, call, (IMAGE, weights)), call, (IMAGE, weights))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_are_picked_and_put_back(dialect: str) -> None:
    """The two operations that a gate is made of, and that are no words."""
    wanted = np.array([False, True, True, False, True])

    def call(trace: Trace, flags: Any, rows: Any) -> Any:
        places = trace.record("non_zero", [flags], (1, 3), np.int64)
        zeros = np.zeros((5, 4), np.float32)
        return trace.record("scatter_rows", [zeros, trace.permute_dims(places, (1, 0)), rows], (5, 4), np.float32)

    expected = np.zeros((5, 4), np.float32)
    expected[wanted] = A[0]
    np.testing.assert_array_equal(emitted(dialect, call, (wanted, A[0])), expected)


def test_dialects_emit_the_same_kinds() -> None:
    tables = [set(import_module(f"openvino_xai.dialects.{dialect}.emit").EMIT) for dialect in DIALECTS]
    assert all(table == tables[0] for table in tables)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_another_operation_is_seen(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = import_module(f"openvino_xai.dialects.{dialect}.emit").EMIT
    monkeypatch.setitem(table, "maximum", table["minimum"])
    (call, arrays) = CALLS["maximum"][0]
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold_to_numpy(emitted(dialect, call, arrays), call, arrays)


def values_of(deployed: Deployed, inputs: dict[str, np.ndarray]) -> dict[Value, np.ndarray]:
    """Every value of a model, as the dialect's own runtime computes it."""
    graph = deployed.graph
    varying = [value for node in graph.nodes for value in node.outputs if not graph.is_constant(value)]
    read = {f"value{index}": value for index, value in enumerate(varying)}
    result = deployed.probing(read=read, inputs={}).compile()(inputs)
    return {value: inputs[value.name] for value in graph.inputs} | {value: result[name] for name, value in read.items()}


def hold_to_nodes(deployed: Deployed, inputs: dict[str, np.ndarray]) -> None:
    """Asserts that the runtime computes every node of a model as `meanings` says."""
    values = values_of(deployed, inputs)
    for node in deployed.graph.nodes:
        if not node.kind or node.kind in UNREAD or node.outputs[0] not in values:
            continue
        operands = [values.get(v, deployed.graph.constant(v)) if v is not None else None for v in node.inputs]
        outputs = [values[value] for value in node.outputs]
        for result, true in zip(
            outputs,
            meant(MEANINGS.get(node.kind, by_law(node.kind)), node, [array.shape for array in outputs], operands),
            strict=node.kind != "max_pool",
        ):
            assert result.shape == true.shape, str(node)
            np.testing.assert_allclose(result, true.astype(result.dtype), rtol=1e-4, atol=2e-5, err_msg=str(node))


def models(dialect: str) -> dict[str, Callable[[], Any]]:
    written = {name: lambda case=case: in_dialect(case.model(), dialect) for name, case in SAMPLES.items()}
    return written | NATIVE.get(dialect, {})


MODELS = [(dialect, name) for dialect in DIALECTS for name in models(dialect)]
PHOTO = {"image": np.random.default_rng(3).normal(0, 1, (2, *SHAPE)).astype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "name"), MODELS)
def test_what_is_read_is_what_runs(dialect: str, name: str) -> None:
    hold_to_nodes(open_model(models(dialect)[name]()), PHOTO)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_operation_that_is_read_is_tried(dialect: str) -> None:
    graphs = [open_model(model()).graph for model in models(dialect).values()]
    tried = {node.op for graph in graphs for node in graph.nodes if node.kind and not graph.is_constant(node.outputs[0])}
    assert tried == set(import_module(f"openvino_xai.dialects.{dialect}.kinds").KINDS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_operation_that_is_misread_is_seen(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = import_module(f"openvino_xai.dialects.{dialect}.kinds").KINDS
    monkeypatch.setitem(table, next(op for op, (kind, _) in table.items() if kind == "relu"), ("abs", None))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold_to_nodes(open_model(models(dialect)["relu"]()), PHOTO)
