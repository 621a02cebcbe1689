"""Which numbers of a detector are its boxes, and in which format: by the values that a decoder gives for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from plain_detectors import CENTRES, FORMATS, HEIGHT, QUERIES, ROWS, STRIDES, WIDTH, decoding, queries, returning
from tiny import DIALECTS, in_dialect

from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.boxes import Boxes, find_boxes
from openvino_xai.locate.image import find_image
from openvino_xai.locate.positions import places
from openvino_xai.locate.rows import find_rows

XP: Any = numpy_namespace()
IMAGE = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH)).astype(np.float32)


def boxes_of(model: onnx.ModelProto, dialect: str, format_name: str | None = None) -> Boxes:
    deployed = open_model(in_dialect(model, dialect))
    image, place = find_image(deployed.graph)
    rows = find_rows(deployed, places(deployed.graph, image, place))
    return find_boxes(deployed, rows, image, place, format_name=format_name)


def output(model: onnx.ModelProto, name: str) -> np.ndarray:
    """What onnx's reference implementation computes for a value."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    return ReferenceEvaluator(extractor.extract_model(["image"], [name])).run(None, {"image": IMAGE})[0]


def hold(model: onnx.ModelProto, boxes: Boxes, true: np.ndarray) -> None:
    decoded = boxes.decoded(XP, [output(model, name) for name in boxes.read])
    assert decoded.shape == (1, ROWS, 4)
    np.testing.assert_allclose(decoded, true, rtol=1e-4, atol=1e-3)


def corners(model: onnx.ModelProto) -> np.ndarray:
    return np.concatenate([output(model, "low"), output(model, "high")], axis=2)


@pytest.mark.parametrize("beside", [False, True], ids=["output", "columns"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_boxes_that_a_file_decodes_are_found(dialect: str, name: str, beside: bool) -> None:
    model = decoding(name, beside=beside)
    boxes = boxes_of(model, dialect)
    assert boxes.format.name == name
    assert boxes.name == ("joined" if beside else "boxes")
    hold(model, boxes, corners(model))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_offsets_beside_an_objectness_are_those_of_yolox(dialect: str) -> None:
    model = returning("boxes = Identity(raw) ", 4, objectness=True)
    boxes = boxes_of(model, dialect)
    assert boxes.format.name == "yolox"
    raw = output(model, "raw")
    middle, size = CENTRES + (raw[..., :2] - 0.5) * STRIDES, np.exp(raw[..., 2:]) * STRIDES
    hold(model, boxes, np.concatenate([middle - size / 2, middle + size / 2], axis=2))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_distributions_are_told_by_their_number(dialect: str) -> None:
    model = returning("boxes = Identity(raw) ", 32)
    boxes = boxes_of(model, dialect)
    assert boxes.format.name == "dfl"
    sides = XP.softmax(output(model, "raw").reshape(1, ROWS, 4, 8), axis=3) @ np.arange(8.0) * STRIDES
    hold(model, boxes, np.concatenate([CENTRES - sides[..., :2], CENTRES + sides[..., 2:]], axis=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_boxes_of_queries_are_told_by_the_image_that_they_lie_in(dialect: str, name: str) -> None:
    model = queries(QUERIES[name])
    boxes = boxes_of(model, dialect)
    assert boxes.grid.centres is None
    assert boxes.format.name == name
    numbers = output(model, "boxes") * (np.tile([WIDTH, HEIGHT], 2) if name.endswith("01") else 1)
    if name.startswith("xywh"):
        numbers = np.concatenate([numbers[..., :2] - numbers[..., 2:] / 2, numbers[..., :2] + numbers[..., 2:] / 2], axis=2)
    hold(model, boxes, numbers)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_boxes_that_are_squashed_are_no_scores(dialect: str) -> None:
    """DETR squashes its boxes, and leaves its scores as they are."""
    model = queries(QUERIES["xywh01"])
    scores = next(node for node in model.graph.node if node.output[0] == "scores")
    scores.op_type = "Identity"
    assert boxes_of(model, dialect).name == "boxes"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_of_two_formats_one_is_named(dialect: str) -> None:
    model = returning("boxes = Exp(raw) ", 4)
    with pytest.raises(ModelError, match="several formats: distances, distances_pixels; name the one") as raised:
        boxes_of(model, dialect)
    assert raised.value.options == ("boxes",)
    boxes = boxes_of(model, dialect, "distances_pixels")
    sides = np.exp(output(model, "raw"))
    hold(model, boxes, np.concatenate([CENTRES - sides[..., :2], CENTRES + sides[..., 2:]], axis=2))


def test_offsets_from_anchors_that_are_not_in_the_file_are_refused() -> None:
    with pytest.raises(ModelError, match="no numbers of the outputs are boxes .* not xyxy.*; ask for rows by their index"):
        boxes_of(returning("boxes = Identity(raw) ", 4), "onnx")


def test_a_format_that_is_named_is_taken() -> None:
    model = returning("boxes = Identity(raw) ", 4)
    boxes = boxes_of(model, "onnx", "yolox")
    assert (boxes.name, boxes.format.name) == ("boxes", "yolox")


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="format 'xxyy' of boxes is not known: one of xyxy, xywh, .* is expected"):
        boxes_of(decoding("xyxy"), "onnx", "xxyy")


def test_another_format_is_seen() -> None:
    model = decoding("xyxy")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold(model, boxes_of(model, "onnx", "yxyx"), corners(model))
