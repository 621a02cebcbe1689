"""The rows of tiny detectors are where they were put: level, cell, channels, objectness and background, in every dialect."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES as CLASSIFIERS
from tiny import DIALECTS, in_dialect, with_open_sizes
from tiny_detectors import CASES, Net, Tiny, Truth, backbone, columns_first, one_convolution, two_outputs

from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where
from openvino_xai.locate.rows.table import HeadTable, RowTable


def located(model: Any, dialect: str = "onnx", **where: str) -> Detector:
    return Detector.of(open_model(in_dialect(model, dialect)), Where(**where))


def channels(head: HeadTable) -> np.ndarray:
    """[A, C] or [A, 1]: the channels of each row, of the one head."""
    return np.asarray(head.channels[head.slot])


def hold(detector: Detector, truth: Truth) -> None:
    """Hold rows to what they are by construction."""
    rows, table = detector.rows, RowTable.of(detector.rows)
    expected = np.array(list(truth.rows()))
    assert (rows.count, rows.classes, rows.background) == (len(expected), truth.classes, truth.background)
    assert set(rows.name.split(",")) == set(truth.scores)
    grids = [level.grid for level in table.levels]
    np.testing.assert_array_equal([grids[level] for level in table.level], [truth.grids[level] for level in expected[:, 0]])
    np.testing.assert_array_equal(np.stack([table.row, table.column], axis=1), expected[:, 1:3])
    squashes = [truth.squash] if truth.objectness is None else [truth.squash, "sigmoid"]
    assert [factor.squash for factor in rows.factors] == squashes
    for index, level in enumerate(table.levels):
        there = table.level == index
        anchors = expected[there, 3]
        wanted = [[truth.channel(anchor, label) for label in range(truth.classes)] for anchor in anchors]
        np.testing.assert_array_equal(channels(level.heads[0])[there], wanted)
        if truth.objectness is not None:
            np.testing.assert_array_equal(channels(level.heads[1])[there, 0], [truth.objectness(anchor) for anchor in anchors])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", CASES)
def test_rows_are_where_they_were_put(name: str, dialect: str) -> None:
    tiny = CASES[name]("B")
    hold(located(tiny.model, dialect), tiny.truth)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["one convolution a level", "priors with a background", "outputs by level"])
def test_rows_are_those_of_one_image(name: str, batch: int) -> None:
    tiny = CASES[name](batch)
    hold(located(tiny.model), tiny.truth)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_scores_are_the_squashed_elements_of_heads(name: str) -> None:
    """What a model returns for an image is what its heads hold at the elements that are found, squashed."""
    tiny = CASES[name](2)
    detector = located(tiny.model)
    rows = detector.rows
    heads = {f"head {f} {i}": head.value for f, factor in enumerate(rows.factors) for i, head in enumerate(factor.heads)}
    run = detector.deployed.probing(read={**{f"rows {n}": v for n, v in rows.read.items()}, **heads}, inputs={}).compile()
    arrays = run({"image": np.random.default_rng(1).random((2, *detector.image.shape[1:]), np.float32)})  # type: ignore[index]
    everything = np.concatenate([arrays[f"rows {n}"].reshape(2, -1) for n in rows.read], axis=1)
    p = everything[:, rows.places]
    logits = []
    for f, factor in enumerate(rows.factors):
        element = np.stack(
            [arrays[f"head {f} {i}"].reshape(2, -1)[:, e] for i, e in zip(factor.level, factor.element, strict=True)], axis=1
        )
        logits.append(element)
    expected = 1 / (1 + np.exp(-logits[0]))
    if rows.of_classes.squash == "softmax":
        expected = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(p, expected, atol=1e-5)
    if rows.objectness is not None:
        np.testing.assert_allclose(everything[:, rows.objectness], 1 / (1 + np.exp(-logits[1][:, :, 0])), atol=1e-5)


def test_a_size_that_is_open_is_refused() -> None:
    model = with_open_sizes(CASES["two outputs"]("B").model)
    with pytest.raises(
        ModelError,
        match=r"the image's height and width, which are open \('image' \[B, 3, height, width\]\): give the model fixed",
    ):
        located(model)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_classifier_has_no_rows(dialect: str) -> None:
    with pytest.raises(ModelError, match=r"no output holds scores of rows that a detector gives: 'logits'"):
        located(CLASSIFIERS["max pool, flatten, linear"].build("B", 17), dialect)


@pytest.mark.slow
def test_outputs_are_named() -> None:
    tiny = CASES["two outputs"]("B")
    hold(located(tiny.model, scores="scores"), tiny.truth)
    with pytest.raises(ModelError, match="the model has no output 'score'; its outputs are 'boxes', 'scores'"):
        located(tiny.model, scores="score")


def test_several_outputs_that_may_be_scores_are_refused_until_one_is_named() -> None:
    net = Net("B")
    level = backbone(net)[1]
    for name, classes in (("animals", 3), ("colours", 5)):
        net.node("Transpose", net.flat(net.node("Sigmoid", net.conv(level, classes)), classes, 24), name=name, perm=[0, 2, 1])
    model = net.model({"animals": (24, 3), "colours": (24, 5)})
    with pytest.raises(ModelError, match=r"several outputs can be scores of rows: 'animals' .*name those that are"):
        located(model)
    assert located(model, scores="colours").rows.classes == 5


def test_rows_that_are_scaled_are_no_scores() -> None:
    """Twice an element is a whole number, too, where elements are counted."""
    net = Net("B")
    tiny = one_convolution(net, backbone(net)[:2])
    doubled = onnx.ModelProto()
    doubled.CopyFrom(tiny.model)
    doubled.graph.node[-1].output[0] = "before"
    doubled.graph.initializer.append(onnx.numpy_helper.from_array(np.array(2, np.float32), "two"))
    doubled.graph.node.append(onnx.helper.make_node("Mul", ["before", "two"], ["scores"]))
    with pytest.raises(ModelError, match="no output holds scores"):
        located(doubled)


def test_one_cell_is_told_from_one_class() -> None:
    net = Net(1, image=(3, 8, 8))
    tiny: Tiny = columns_first(net, backbone(net)[1:2])
    assert tiny.truth.grids == ((1, 1),)
    hold(located(tiny.model), tiny.truth)


def test_an_image_of_one_row() -> None:
    net = Net("B", image=(3, 4, 64))
    tiny = two_outputs(net, backbone(net)[:2])
    assert tiny.truth.grids == ((1, 16), (1, 8))
    hold(located(tiny.model), tiny.truth)
