"""Detectors without a hook, explained by asking them: with rows that are followed, and with lists of detections."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from greedy import greedy
from onnx.reference import ReferenceEvaluator
from plain_detectors import HEIGHT, WIDTH, decoding, returning
from tiny import CASES, DIALECTS, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.contract import BOX, CLASS, INDEX, MAP, SCORE
from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import InputError, ModelError
from openvino_xai.probes import Settings
from openvino_xai.runtime.detectors.probed import ProbedDetector

SETTINGS = Settings(masks=6, evaluations=6, segments=4)
PHOTO = np.random.default_rng(0).integers(0, 255, (2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
BOXES = np.array([[1, 2, 9, 10], [4, 4, 20, 12], [0, 0, 8, 8]], np.float32)
LISTS = {  # how detections are listed
    "boxes, scores and labels": "float[3,4] boxes, float[3] scores, int64[3] labels",
    "boxes with scores, and labels": "float[1,3,5] dets, int64[1,3] labels",
    "rows of corners, score and label": "float[1,3,6] dets",
    "rows of label, score and corners": "float[3,6] dets",
    "DetectionOutput": "float[1,1,3,7] dets",
}


def probed(model: Any, method: str = "d_rise", **options: Any) -> ProbedDetector:
    network = xai.probe(model, method, settings=SETTINGS, **options)
    assert isinstance(network, ProbedDetector)
    return network


def explained(network: ProbedDetector, **options: Any) -> DetectionExplanation:
    explanation = network.explain(PHOTO, **options)
    assert isinstance(explanation, DetectionExplanation)
    return explanation


def listing(kind: str, *, shares: bool = False, scores: tuple[float, ...] = (0.9, 0.6, 0)) -> onnx.ModelProto:
    """A detector that lists the same detections of any image: a third one is there to fill up."""
    boxes = BOXES / np.float32([WIDTH, HEIGHT, WIDTH, HEIGHT]) if shares else BOXES
    score, label = np.array(scores, np.float32), np.array([2, 0, -1])
    columns = [boxes, score[:, None], label[:, None].astype(np.float32)]
    arrays: dict[str, np.ndarray] = {
        "boxes, scores and labels": {"boxes": boxes, "scores": score, "labels": label},
        "boxes with scores, and labels": {"dets": np.concatenate(columns[:2], axis=1)[None], "labels": label[None]},
        "rows of corners, score and label": {"dets": np.concatenate(columns, axis=1)[None]},
        "rows of label, score and corners": {"dets": np.concatenate(columns[::-1], axis=1)},
        "DetectionOutput": {"dets": np.concatenate([0 * columns[1], *columns[::-1]], axis=1)[None, None]},
    }[kind]
    body = "m = ReduceMean<keepdims = 0>(image) z = Mul(m, zero) i = Cast<to = 7>(z) "
    body += " ".join(f"{name} = Add({'i' if array.dtype == int else 'z'}, c_{name})" for name, array in arrays.items())
    constants = {f"c_{name}": array for name, array in arrays.items()} | {"zero": np.zeros((), np.float32)}
    return tiny(body, batch=1, image=(3, HEIGHT, WIDTH), output=LISTS[kind], **constants)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["d_rise", "aise", "occlusion", "lime", "kernel_shap"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_are_detections_as_suppression_keeps_them(dialect: str, method: str) -> None:
    model = decoding("xywh", beside=True)
    network = probed(in_dialect(model, dialect), method)
    network.configure(min_score=0.4)
    explanation = explained(network)
    image = network.prepare(PHOTO)
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    part = ReferenceEvaluator(extractor.extract_model(["image"], ["low", "high", "scores"]))
    low, high, scores = part.run(None, {"image": image})
    best = greedy(np.concatenate([low, high], axis=2)[0], scores[0], count=64, overlap=0.45, score=0.4)
    assert [(target.index, target.id) for target in explanation.targets] == [detection[:2] for detection in best]
    assert len(best) > 1
    np.testing.assert_allclose([target.probability for target in explanation.targets], [p for *_, p in best], rtol=1e-5)
    np.testing.assert_allclose(
        [target.box for target in explanation.targets],
        np.clip([[*low[0, row] * 2, *high[0, row] * 2] for row, *_ in best], 0, [2 * WIDTH, 2 * HEIGHT] * 2),
        atol=1e-3,
    )
    assert explanation.maps.shape == (len(best), HEIGHT, WIDTH)
    assert explanation.maps.min() >= 0 and explanation.maps.max() <= 1
    assert explanation.record["method"] == method


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_lists_of_detections_are_read(dialect: str, kind: str) -> None:
    network = probed(in_dialect(listing(kind), dialect))
    explanation = explained(network)
    assert [(target.id, round(target.probability, 6), target.index) for target in explanation.targets] == [
        (2, 0.9, 0),
        (0, 0.6, 1),
    ]
    np.testing.assert_allclose([target.box for target in explanation.targets], BOXES[:2] * 2)


@pytest.mark.parametrize("kind", ["boxes, scores and labels", "DetectionOutput"])
def test_boxes_that_are_shares_of_the_image(kind: str) -> None:
    explanation = explained(probed(listing(kind, shares=True)))
    np.testing.assert_allclose([target.box for target in explanation.targets], BOXES[:2] * 2, rtol=1e-5)


def test_tensorflows_detectors_say_y_first() -> None:
    model = listing("boxes, scores and labels", shares=True)
    model.graph.output[0].name = next(node for node in model.graph.node if node.output[0] == "boxes").output[0] = (
        "detection_boxes"
    )
    boxes = next(array for array in model.graph.initializer if array.name == "c_boxes")
    boxes.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(boxes)[:, [1, 0, 3, 2]], "c_boxes"))
    np.testing.assert_allclose([target.box for target in explained(probed(model)).targets], BOXES[:2] * 2, rtol=1e-5)


def test_what_is_no_number_is_not_there() -> None:
    network = probed(listing("rows of corners, score and label"))
    rows = np.array([[[0, 0, 8, 8, 0.5, 1], [0, 0, 8, 8, np.nan, 1], [0, 0, 8, 8, 0.5, np.nan], [0, 0, 8, 8, 0.5, 1e12]]])
    (proposals,) = network._proposing.proposals({"dets": rows})
    np.testing.assert_array_equal(proposals.probabilities, [[0, 0.5]])


def test_labels_say_how_many_classes_are_listed() -> None:
    network = probed(listing("boxes, scores and labels"))
    network.configure(labels=["cat", "dog", "old tree"])
    assert [target.label for target in explained(network).targets] == ["old tree", "cat"]
    assert [target.label for target in explained(network, targets="cat").targets] == ["cat"]
    with pytest.raises(InputError, match="target 'cow' is no class of the model"):
        explained(network, targets="cow")


def test_it_returns_what_a_hooked_detector_returns() -> None:
    network = probed(listing("boxes, scores and labels"))
    outputs = network(np.zeros((1, 3, HEIGHT, WIDTH), np.float32))
    assert {name: (array.shape, str(array.dtype)) for name, array in outputs.items()} == {
        MAP: ((1, 2, HEIGHT, WIDTH), "float32"),
        CLASS: ((1, 2), "int64"),
        INDEX: ((1, 2), "int64"),
        BOX: ((1, 2, 4), "float32"),
        SCORE: ((1, 2), "float32"),
    }


def test_a_photo_without_detections_has_no_maps() -> None:
    explanation = explained(probed(listing("boxes, scores and labels", scores=(0.1, 0.1, 0))))
    assert explanation.targets == () and explanation.maps.shape == (0, HEIGHT, WIDTH)


def test_boxes_of_two_formats_are_named() -> None:
    model = returning("boxes = Exp(raw) ", 4)
    with pytest.raises(ModelError, match="several formats: distances, distances_pixels; name the one"):
        probed(model)
    assert probed(model, boxes="distances").classes == 3
    with pytest.raises(InputError, match="format 'xxyy' of boxes is not known"):
        probed(model, boxes="xxyy")


def test_a_classifier_has_no_boxes() -> None:
    model = CASES["3x3 convolution after the layer"].build(1, 17)
    with pytest.raises(ModelError, match="nor do its outputs list boxes: "):
        probed(model)
    with pytest.raises(InputError, match="rise explains classes of images: leave the format 'xyxy' of boxes out"):
        xai.probe(model, "rise", boxes="xyxy")
    with pytest.raises(InputError, match="looks at no layer: leave layer 'f' out"):
        probed(decoding("xyxy"), layer="f")


def test_what_is_listed_has_to_be_boxes() -> None:
    model = listing("boxes, scores and labels")
    next(array for array in model.graph.initializer if array.name == "c_boxes").CopyFrom(
        onnx.numpy_helper.from_array(BOXES[:, [2, 3, 0, 1]], "c_boxes")
    )
    with pytest.raises(ModelError, match="100% of the boxes that are listed are no corners: name their format"):
        probed(model)
    nothing = listing("boxes, scores and labels", scores=(0, 0, 0))
    with pytest.raises(ModelError, match="no box is listed for random images: name the format"):
        probed(nothing)
    assert probed(nothing, boxes="xyxy01").classes > 3
    with pytest.raises(ModelError, match="boxes that are listed have no cells, and are not 'yolox'"):
        probed(nothing, boxes="yolox")
