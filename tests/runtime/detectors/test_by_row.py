"""Hooks that are told which rows of a detector to explain: any rows, or those of the boxes that the detector sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plain_detectors import HEIGHT, ROWS, WIDTH, decoding
from tiny import DIALECTS

import openvino_xai as xai
from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import InputError

PHOTO = np.random.default_rng(0).integers(0, 256, (2 * HEIGHT, WIDTH, 3), dtype=np.uint8)
BATCH = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)


@pytest.fixture(scope="module", params=DIALECTS)
def networks(request: Any) -> tuple[Any, Any]:
    """A detector whose hook is told 3 rows, and the same detector whose hook chooses 30 boxes."""
    model = DIALECTS[request.param](decoding("xyxy"))
    networks = tuple(xai.load(xai.insert(model, targets=targets)) for targets in ("asked:3", "boxes:30"))
    for network in networks:
        network.configure(preprocessing={"scale_values": "255"})
    return networks


def explained(network: Any, **options: Any) -> DetectionExplanation:
    explanation = network.explain(PHOTO, **options)
    assert isinstance(explanation, DetectionExplanation)
    return explanation


@pytest.mark.parametrize("targets", [None, "boxes:2", "1,2"])
@pytest.mark.slow
def test_boxes_are_explained_as_by_a_hook_that_chooses_them(networks: tuple[Any, Any], targets: str | None) -> None:
    by_row, by_score = (explained(network, targets=targets) for network in networks)
    assert len(by_row.targets) > 1
    for a, b in zip(by_row.targets, by_score.targets, strict=True):
        assert (a.id, a.index) == (b.id, b.index)
        np.testing.assert_allclose([a.probability, *a.box], [b.probability, *b.box], rtol=1e-5)
    np.testing.assert_allclose(by_row.maps, by_score.maps, atol=1e-5)


@pytest.mark.slow
def test_any_number_of_rows_is_explained_whatever_their_scores(networks: tuple[Any, Any]) -> None:
    network = networks[0]
    network.configure(min_score=1)
    try:
        assert explained(network).targets == () and explained(network).maps.shape == (0, 4, 6)
        several = explained(network, targets="7:1,28:0,3:2,7:0,0:0")
    finally:
        network.configure(min_score=0.25)
    assert [(target.index, target.id) for target in several.targets] == [(7, 1), (28, 0), (3, 2), (7, 0), (0, 0)]
    np.testing.assert_array_equal(several.maps[3], explained(network, targets="7:0").maps[0])
    sample = network.prepare(PHOTO)
    returned = network(sample, rows=np.array([[7, 28, 3]]), classes=np.array([[1, 0, 2]]))
    np.testing.assert_array_equal(several.maps[:3], returned["saliency_map"][0])
    scores = [returned["scores"][0, target.index, target.id] for target in several.targets]
    np.testing.assert_allclose([target.probability for target in several.targets], scores, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda network: network.explain(PHOTO, targets=f"{ROWS}:0"),
            f"row {ROWS} is not there: the model has {ROWS}, 0 to 29",
        ),
        (lambda network: network.explain(PHOTO, targets="0:3"), "class 3 is not there: the model has 3, 0 to 2"),
        (lambda network: network(BATCH, classes=np.zeros((1, 3))), "rows and classes go together"),
        (
            lambda network: network(BATCH, rows=np.zeros(3), classes=np.zeros(3)),
            r"'explain_index' is \[3\]; \[1, 3\] is expected",
        ),
        (
            lambda network: network(BATCH, rows=np.full((1, 3), -1), classes=np.zeros((1, 3))),
            "'explain_index' holds -1 to -1; 0 to 29 are expected",
        ),
    ],
)
def test_rows_that_are_not_there(networks: tuple[Any, Any], call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(networks[0])
