"""Formats of boxes against loops over rows, in NumPy, in f64; and as graphs compute them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, in_dialect

from openvino_xai.boxes.decoding import FORMATS, Grid
from openvino_xai.dialects.open import open_model
from openvino_xai.graph.trace import Trace
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan

XP: Any = numpy_namespace()
WIDTH, HEIGHT = 64, 48
BINS = 9
CELLS = [(8 * x, 8 * y, 8) for y in range(6) for x in range(8)] + [(16 * x, 16 * y, 16) for y in range(3) for x in range(4)]
CORNERS, STRIDES = np.array([cell[:2] for cell in CELLS], float), np.array([[cell[2]] * 2 for cell in CELLS], float)
GRID = Grid((WIDTH, HEIGHT), CORNERS + STRIDES / 2, STRIDES)

Decode = Callable[[Any, float, float, float], tuple[float, float, float, float]]


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def centred(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def mean_bin(scores: np.ndarray) -> float:
    total = sum(np.exp(score) for score in scores)
    return float(sum(i * np.exp(score) / total for i, score in enumerate(scores)))


def distributed(v: np.ndarray, x: float, y: float, s: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = (mean_bin(side) for side in v.reshape(4, BINS))
    return x - left * s, y - top * s, x + right * s, y + bottom * s


SLOW: dict[str, Decode] = {  # of a row's numbers, the corner of its cell, and its stride
    "xyxy": lambda v, x, y, s: tuple(v),
    "xywh": lambda v, x, y, s: centred(*v),
    "xyxy01": lambda v, x, y, s: (v[0] * WIDTH, v[1] * HEIGHT, v[2] * WIDTH, v[3] * HEIGHT),
    "xywh01": lambda v, x, y, s: centred(v[0] * WIDTH, v[1] * HEIGHT, v[2] * WIDTH, v[3] * HEIGHT),
    "yxyx": lambda v, x, y, s: (v[1], v[0], v[3], v[2]),
    "yxyx01": lambda v, x, y, s: (v[1] * WIDTH, v[0] * HEIGHT, v[3] * WIDTH, v[2] * HEIGHT),
    "yolox": lambda v, x, y, s: centred(x + v[0] * s, y + v[1] * s, np.exp(v[2]) * s, np.exp(v[3]) * s),
    "fastestdet": lambda v, x, y, s: centred(
        x + np.tanh(v[0]) * s, y + np.tanh(v[1]) * s, sigmoid(v[2]) * WIDTH, sigmoid(v[3]) * HEIGHT
    ),
    "offsets": lambda v, x, y, s: centred(x + s / 2 + v[0], y + s / 2 + v[1], v[2], v[3]),
    "distances": lambda v, x, y, s: (x + s / 2 - v[0] * s, y + s / 2 - v[1] * s, x + s / 2 + v[2] * s, y + s / 2 + v[3] * s),
    "distances_pixels": lambda v, x, y, s: (x + s / 2 - v[0], y + s / 2 - v[1], x + s / 2 + v[2], y + s / 2 + v[3]),
    "dfl": lambda v, x, y, s: distributed(v, x + s / 2, y + s / 2, s),
    "dfl_corner": distributed,
}


def numbers(name: str, dtype: Any = np.float64) -> np.ndarray:
    width = 4 * BINS if FORMATS[name].distributed else 4
    return np.random.default_rng(7).normal(0, 1, (2, len(CELLS), width)).astype(dtype)


def hold(name: str, boxes: np.ndarray, tolerance: float = 1e-6) -> None:
    rows = [[SLOW[name](row, *cell) for row, cell in zip(image, CELLS, strict=True)] for image in numbers(name)]
    np.testing.assert_allclose(boxes, np.array(rows), rtol=tolerance, atol=tolerance * WIDTH)


def test_every_format_has_its_loop() -> None:
    assert set(SLOW) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_its_loop(name: str) -> None:
    hold(name, FORMATS[name].decode(XP, numbers(name), GRID))


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_is_seen(name: str) -> None:
    for other, entry in FORMATS.items():
        if other != name and entry.distributed == FORMATS[name].distributed:
            with pytest.raises(AssertionError, match="Not equal to tolerance"):
                hold(name, entry.decode(XP, numbers(name), GRID))


@pytest.mark.parametrize("word", "add subtract multiply exp tanh sigmoid softmax sum take concat".split())
def test_a_broken_word_is_seen(word: str) -> None:
    real = getattr(XP, word)
    broken = SimpleNamespace(**{**vars(XP), word: lambda *operands, **options: real(*operands, **options) * 1.01})
    boxes_read = 0
    for name, entry in FORMATS.items():
        try:
            hold(name, entry.decode(broken, numbers(name), GRID))
        except AssertionError:
            boxes_read += 1
    assert boxes_read


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_graph_gives_the_same(dialect: str, name: str) -> None:
    helper, f32, width = onnx.helper, onnx.TensorProto.FLOAT, numbers(name).shape[2]
    shape = ["batch", len(CELLS), width]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["numbers"], ["again"])],
        "numbers",
        [helper.make_tensor_value_info("numbers", f32, shape)],
        [helper.make_tensor_value_info("again", f32, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    deployed, trace = open_model(in_dialect(model, dialect)).twin(), Trace()
    boxes = FORMATS[name].decode(trace, deployed.graph.inputs[0], GRID)
    copies = trace.add(boxes, 0.0)  # what is an input already is no output
    emit(Plan(deployed.graph, tuple(trace.nodes), {"boxes": copies}), deployed)
    result = deployed.compile()({"numbers": numbers(name, np.float32)})["boxes"]
    assert str(result.dtype) == "float32"
    hold(name, result, 1e-5)


@pytest.mark.parametrize(("width", "format_", "taken"), [(4, "xyxy", 4), (85, "xywh", 4), (3, "xyxy", None), (64, "dfl", 64)])
def test_a_format_takes_some_of_the_numbers(width: int, format_: str, taken: int | None) -> None:
    assert FORMATS[format_].width(width) == taken


@pytest.mark.parametrize("width", [4, 16, 33, 140])
def test_distributions_have_a_number_of_bins(width: int) -> None:
    assert FORMATS["dfl"].width(width) is None
