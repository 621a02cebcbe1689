"""Suppression, all boxes at once, against the loop that everybody writes; in NumPy and as it runs in graphs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import greedy as loop
import numpy as np
import onnx
import pytest
from greedy import greedy
from hypothesis import given
from hypothesis import strategies as st
from tiny import DIALECTS, in_dialect

from openvino_xai.boxes import suppression
from openvino_xai.boxes.suppression import Threshold, suppressed
from openvino_xai.dialects.open import open_model
from openvino_xai.graph.trace import Trace
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan

XP: Any = numpy_namespace()
OVERLAP, SCORE = 0.45, 0.25


def scene(seed: int, rows: int, classes: int, batch: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [B, A, 4] on a coarse grid, so that many overlap, and probabilities [B, A, C], no two of which are the same."""
    rng = np.random.default_rng(seed)
    corner, size = rng.integers(0, 5, (batch, rows, 2)), rng.integers(0, 7, (batch, rows, 2))
    probabilities = rng.permutation(batch * rows * classes).reshape(batch, rows, classes) / (batch * rows * classes)
    return np.concatenate([corner, corner + size], axis=2).astype(np.float32), probabilities.astype(np.float32)


def hold_to_loop(boxes: np.ndarray, probabilities: np.ndarray, count: int, background: int | None, result: Any) -> None:
    for image in range(len(boxes)):
        standing = greedy(boxes[image], probabilities[image], count=count, overlap=OVERLAP, score=SCORE, background=background)
        index, classes, scores = (
            (np.array(column) for column in zip(*standing, strict=True)) if standing else (np.zeros(0),) * 3
        )
        there = result.index[image] >= 0
        assert there.tolist() == [True] * len(standing) + [False] * (count - len(standing))
        np.testing.assert_array_equal(result.index[image][there], index)
        np.testing.assert_array_equal(result.classes[image][there], classes)
        np.testing.assert_array_equal(result.scores[image][there], np.float32(scores))
        np.testing.assert_array_equal(result.boxes[image][there], boxes[image][index.astype(int)])
        assert (result.index[image][~there] == -1).all()
        assert (result.classes[image][~there] == -1).all()
        assert not result.scores[image][~there].any()
        assert not result.boxes[image][~there].any()


def run(boxes: np.ndarray, probabilities: np.ndarray, count: int, background: int | None, xp: Any = XP) -> Any:
    threshold = Threshold(overlap=OVERLAP, score=SCORE)
    return suppressed(xp, boxes, probabilities, count=count, threshold=threshold, background=background)


@pytest.mark.slow
@given(
    st.integers(0, 10**6),
    st.integers(1, 11),
    st.integers(2, 4),
    st.integers(1, 3),
    st.integers(1, 14),
    st.sampled_from([None, 0, 1]),
)
def test_it_is_the_greedy_loop(seed: int, rows: int, classes: int, batch: int, count: int, background: int | None) -> None:
    boxes, probabilities = scene(seed, rows, classes, batch)  # of 11 boxes no chain of drops is longer than 10
    hold_to_loop(boxes, probabilities, count, background, run(boxes, probabilities, count, background))


def test_many_boxes_are_the_greedy_loop() -> None:
    boxes, probabilities = scene(3, 300, 3)
    hold_to_loop(boxes, probabilities, 16, None, run(boxes, probabilities, 16, None))


def test_of_more_rows_the_best_are_looked_at() -> None:
    boxes, probabilities = scene(4, 400, 2)
    best = np.argsort(-probabilities[0].max(axis=1))[:300]
    result = run(boxes, probabilities, 8, None)
    expected = run(boxes[:, best], probabilities[:, best], 8, None)
    np.testing.assert_array_equal(result.index, np.where(expected.index < 0, -1, best[expected.index]))


@pytest.mark.parametrize(
    "word", "add subtract multiply equal greater maximum minimum where max take top_k take_along_axis".split()
)
def test_a_broken_word_is_seen(word: str) -> None:
    real = getattr(XP, word)
    wrong = {"greater": np.less, "maximum": np.minimum, "minimum": np.maximum, "add": np.subtract, "subtract": np.add}
    other = {
        "equal": np.not_equal,
        "multiply": np.add,
        "where": lambda condition, a, b: real(condition, b, a),
        "max": lambda x, axis: x.min(axis=axis),
        "take": lambda x, index, axis: real(x, (index + 1) % x.shape[axis], axis=axis),
        "top_k": lambda x, k, axis: real(-x, k, axis=axis),
        "take_along_axis": lambda x, index, axis: real(x, index * 0, axis=axis),
    }
    broken = SimpleNamespace(**{**vars(XP), word: {**wrong, **other}[word]})
    noticed = 0
    for seed in range(5):
        boxes, probabilities = scene(seed, 11, 3)
        try:
            hold_to_loop(boxes, probabilities, 6, 0, run(boxes, probabilities, 6, 0, broken))
        except AssertionError:
            noticed += 1
    assert noticed


def test_a_loop_that_drops_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "same_object", lambda a, b, overlap: False)
    boxes, probabilities = scene(3, 60, 2)
    with pytest.raises(AssertionError):
        hold_to_loop(boxes, probabilities, 8, None, run(boxes, probabilities, 8, None))


def test_too_few_rounds_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    row = np.arange(11)[:, None] * np.array([1.0, 0, 1, 0]) + np.array([0, 0, 4.0, 1])  # each overlaps the next
    boxes, probabilities = row[None].astype(np.float32), np.linspace(0.9, 0.5, 11, dtype=np.float32).reshape(1, 11, 1)
    hold_to_loop(boxes, probabilities, 11, None, run(boxes, probabilities, 11, None))
    monkeypatch.setattr(suppression, "ROUNDS", 3)
    with pytest.raises(AssertionError):
        hold_to_loop(boxes, probabilities, 11, None, run(boxes, probabilities, 11, None))


def passing(boxes: np.ndarray, probabilities: np.ndarray, batch: int | str) -> onnx.ModelProto:
    """A model that returns the boxes and the probabilities that it is given."""
    helper, names = onnx.helper, {"boxes": boxes, "probabilities": probabilities}
    f32 = onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info(name, f32, [batch, *array.shape[1:]]) for name, array in names.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_again", f32, [batch, *array.shape[1:]]) for name, array in names.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_again"]) for name in names]
    graph = helper.make_graph(nodes, "rows", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_graph_gives_the_same(dialect: str, batch: int | str) -> None:
    boxes, probabilities = scene(5, 12, 3, 2)
    deployed, trace = open_model(in_dialect(passing(boxes, probabilities, batch), dialect)).twin(), Trace()
    if batch == "batch":  # two inputs of open batches that go by two names are not of one
        deployed.graph.inputs[1].shape = (deployed.graph.inputs[0].shape or ())[:1] + (deployed.graph.inputs[1].shape or ())[1:]
    result = run(*deployed.graph.inputs, 14, 0, trace)
    emit(Plan(deployed.graph, tuple(trace.nodes), {f"nms_{name}": value for name, value in vars(result).items()}), deployed)
    outputs = deployed.compile()({"boxes": boxes, "probabilities": probabilities})
    names = ("index", "classes", "boxes", "scores")
    assert [str(outputs[f"nms_{name}"].dtype) for name in names] == ["int64", "int64", "float32", "float32"]
    hold_to_loop(boxes, probabilities, 14, 0, SimpleNamespace(**{name: outputs[f"nms_{name}"] for name in names}))


def test_it_leaves_the_bits_of_boxes_that_are_means_of_distributions() -> None:
    """ONNX Runtime undoes a transposition of the model's where one of the hook's follows, and sums in another order."""
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        distances (float[1,68,200] image, float[1,200,3] probabilities) => (float[1,200,4] boxes) {
            r = Reshape(image, apart) t = Transpose<perm=[0,3,1,2]>(r) s = Softmax<axis=3>(t)
            m = Mul(s, bins) d = ReduceSum<keepdims=0>(m, last) boxes = Mul(d, stride)
        }""")
    constants = {"apart": [1, 4, 17, 200], "bins": np.arange(17, dtype=np.float32), "last": [3], "stride": np.float32(31.7)}
    for name, content in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(content), name))
    rng = np.random.default_rng(0)
    inputs = {"image": rng.normal(size=(1, 68, 200)), "probabilities": rng.random((1, 200, 3))}
    feeds = {name: array.astype(np.float32) for name, array in inputs.items()}
    deployed, trace = open_model(model).twin(), Trace()
    plain = deployed.compile()(feeds)["boxes"]
    result = run(deployed.graph.outputs["boxes"], deployed.graph.inputs[1], 8, None, trace)
    emit(Plan(deployed.graph, tuple(trace.nodes), {"nms_boxes": result.boxes}), deployed)
    np.testing.assert_array_equal(deployed.compile()(feeds)["boxes"], plain)
