"""Networks that explain a detector: boxes in the photo's pixels, each with its map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from tiny_detector import CELLS, SIDES, as_ir, class_maps, detector, maps_of

import openvino_xai as xai
from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import ImageError, InputError, ModelError

HEIGHT, WIDTH = SIDES
PHOTO = np.full((2 * HEIGHT, 4 * WIDTH, 3), 128, np.uint8)
BOXES = [[4, 4, 20, 12], [0, 0, 40, 32], [-9, 8, 99, 99], [0, 0, 0, 0]]
LABELS = {"labels": "cat dog old_tree"}


def sample(**changed: Any) -> onnx.ModelProto:
    return detector(BOXES, [1, 0, 1, -1], [0.9, 0.4, 0.25, 0], index=[2, 5, 6, -1], **{"info": LABELS, **changed})


def explained(model: Any, **options: Any) -> DetectionExplanation:
    explanation = xai.load(model).explain(PHOTO, **options)
    assert isinstance(explanation, DetectionExplanation)
    return explanation


@pytest.mark.parametrize("dialect", [lambda model: model, as_ir])
@pytest.mark.parametrize("batch", [1, 2, "B"])
def test_boxes_have_their_own_maps(dialect: Callable[[onnx.ModelProto], Any], batch: int | str) -> None:
    explanation = explained(dialect(sample(batch=batch)))
    facts = [(target.id, target.label, target.index, round(target.probability, 6)) for target in explanation.targets]
    assert facts == [(1, "dog", 2, 0.9), (0, "cat", 5, 0.4), (1, "dog", 6, 0.25)]
    assert explanation.targets == explanation.predictions
    np.testing.assert_array_equal(explanation.maps, maps_of(4)[0, :3])


@pytest.mark.parametrize(
    ("resize", "boxes"),
    [  # the photo is twice as high and four times as wide as the input
        ("standard", [[16, 8, 80, 24], [0, 0, 160, 64], [0, 16, 160, 64]]),
        ("crop", [[48, 8, 80, 24], [40, 0, 120, 64], [22, 16, 160, 64]]),
        ("fit_to_window", [[16, 16, 80, 48], [0, 0, 160, 64], [0, 32, 160, 64]]),
        ("fit_to_window_letterbox", [[16, 0, 80, 16], [0, 0, 160, 64], [0, 0, 160, 64]]),
    ],
)
def test_boxes_and_maps_come_back_to_the_photo(resize: str, boxes: list[list[float]]) -> None:
    explanation = explained(sample(info={"resize_type": resize, "pad_value": "114"}))
    assert [list(target.box) for target in explanation.targets] == boxes
    assert explanation.overview().shape == explanation.overlay(2).shape == PHOTO.shape


def test_an_input_is_padded_as_the_model_says() -> None:
    network = xai.load(sample(info={"resize_type": "fit_to_window", "pad_value": "114"}))
    assert (network.prepare(PHOTO)[0, :, HEIGHT // 2 :] == 114).all()


def test_the_least_score_of_the_model_and_of_the_caller() -> None:
    assert len(explained(sample(info={"confidence_threshold": "0.3"})).targets) == 2
    network = xai.load(sample(info={"confidence_threshold": "0.3"}))
    network.configure(min_score=0.5)
    explanation = network.explain(PHOTO)
    assert len(explanation.targets) == 1 and explanation.to_dict()["min_score"] == 0.5
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="min_score is .* in the options; a number from 0 to 1 is expected"):
            network.configure(min_score=wrong)
    for text in ("high", "nan", "1.5"):
        with pytest.raises(InputError, match=r"confidence_threshold is .* in the model's model_info"):
            xai.load(sample(info={"confidence_threshold": text}))


def test_a_photo_without_boxes() -> None:
    explanation = explained(detector([[0, 0, 9, 9]] * 2, [1, -1], [0.2, 0], index=[3, -1]))
    assert explanation.targets == () and explanation.maps.shape == (0, *CELLS)
    np.testing.assert_array_equal(explanation.overview(), PHOTO)
    assert explanation.grid().ndim == 3
    assert explanation.to_dict()["boxes"] == []


@pytest.mark.parametrize(
    ("targets", "indices"),
    [
        (None, [2, 5, 6]),
        ("all", [2, 5, 6]),
        ("boxes:1", [2]),
        ("boxes:99", [2, 5, 6]),
        ("dog", [2, 6]),
        ("1", [2, 6]),
        ("Dog, cat", [2, 5, 6]),
        ("old tree", []),
        ([0], [5]),
    ],
)
def test_targets_select_boxes(targets: Any, indices: list[int]) -> None:
    explanation = explained(sample(), targets=targets)
    assert [target.index for target in explanation.targets] == indices
    assert len(explanation.predictions) == 3
    np.testing.assert_array_equal(explanation.maps, maps_of(4)[0, [[2, 5, 6].index(index) for index in indices]])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("top:1", "targets 'top:1' are not understood: a detector explains all, boxes:N, or classes by ids or labels"),
        ("boxes:0", "targets 'boxes:0' are not understood"),
        (
            "wolf",
            "target 'wolf' is no class of the model: an id from 0 to 2, or a label as 'cat', 'dog', 'old tree'",
        ),
        ("3", "target '3' is no class"),
        ("9" * 5000, "is no class"),
        ("", "target '' is no class"),
        ([7], "target '7' is no class"),
        ("2:1", "the model explains the boxes that it chooses, and no rows by their numbers"),
    ],
)
def test_targets_that_are_none(targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explained(sample(), targets=targets)


def test_a_hook_that_chooses_boxes_is_not_told_rows() -> None:
    network = xai.load(sample())
    with pytest.raises(InputError, match="the model is not asked for rows: it explains its own boxes"):
        network(np.zeros((3, 3, HEIGHT, WIDTH), np.float32), rows=np.zeros((3, 2)), classes=np.zeros((3, 2)))


def test_what_a_broken_hook_returns_is_no_explanation() -> None:
    with pytest.raises(ModelError, match="the hook returned class 3 of 3"):
        explained(detector([[0, 0, 9, 9]], [3], [0.9]))
    with pytest.raises(ModelError, match="the hook returned class -1 of 3"):
        explained(detector([[0, 0, 9, 9]], [-1], [0.9]))
    for box, score in (([0, 0, np.nan, 9], 0.9), ([0, 0, 9, 9], np.nan)):
        with pytest.raises(ImageError, match="not finite"):
            xai.load(detector([box], [0], [score])).explain(PHOTO)


def test_a_detector_has_no_scores_of_images() -> None:
    network = xai.load(sample())
    images = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    with pytest.raises(InputError, match="the model returns boxes, and no probabilities of an image's classes"):
        network.predict(images)
    with pytest.raises(InputError, match="the model returns boxes"):
        network.maps(images, [0])


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("targets", "top:2"), ("targets", "boxes:2"), ("targets", "boxes:"), ("targets", "asked"), ("scores", "absent"),
        ("layer", "f,absent"), ("rows", "many"), ("classes", "-1"), ("task", "segments"),
    ],
)  # fmt: skip
def test_records_that_are_not_true(entry: str, text: str) -> None:
    with pytest.raises(ModelError, match="the record of the model's hook is not true"):
        xai.load(sample(record={entry: text}))


def test_maps_of_classes() -> None:
    network = xai.load(class_maps())
    explanation = network.explain(PHOTO, targets="dog,0")
    assert [target.label for target in explanation.targets] == ["dog", "cat"]
    np.testing.assert_array_equal(explanation.maps, maps_of(3)[0, [1, 0]])
    assert [prediction.label for prediction in network.explain(PHOTO).predictions] == ["old tree", "dog", "cat"]


def test_a_threshold_is_for_boxes() -> None:
    with pytest.raises(InputError, match="a least score of 0.5 is for boxes"):
        xai.load(class_maps()).configure(min_score=0.5)
