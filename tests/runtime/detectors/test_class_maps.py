"""How probable a class is, by the rows of a detector."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.errors import ModelError
from openvino_xai.runtime.detectors.class_maps import best_of_rows

ROWS, CLASSES = 6, 2
SCORES = np.random.default_rng(0).random((1, ROWS, CLASSES))
BEST = SCORES.max(axis=1)


def test_rows_and_classes_in_any_order() -> None:
    np.testing.assert_allclose(best_of_rows(SCORES, rows=ROWS, classes=CLASSES), BEST)
    np.testing.assert_allclose(best_of_rows(SCORES.transpose(0, 2, 1), rows=ROWS, classes=CLASSES), BEST)


def test_boxes_stand_before_classes() -> None:
    boxes = np.full((1, ROWS, 4), 300.0)
    np.testing.assert_allclose(best_of_rows(np.concatenate([boxes, SCORES], axis=2), rows=ROWS, classes=CLASSES), BEST)
    objects = np.linspace(0, 1, ROWS).reshape(1, ROWS, 1)
    joined = np.concatenate([boxes, objects, SCORES], axis=2)
    np.testing.assert_allclose(best_of_rows(joined, rows=ROWS, classes=CLASSES), (SCORES * objects).max(axis=1))


def test_levels_in_outputs_of_their_own() -> None:
    parts = SCORES[:, :4], SCORES[:, 4:]
    np.testing.assert_allclose(best_of_rows(*parts, rows=ROWS, classes=CLASSES), BEST)


def test_an_objectness_in_outputs_of_its_own() -> None:
    objects = np.linspace(0.1, 0.9, ROWS).reshape(1, ROWS, 1)
    best = (SCORES * objects).max(axis=1)
    np.testing.assert_allclose(best_of_rows(SCORES, objects, rows=ROWS, classes=CLASSES), best)
    raw = [np.log(part / (1 - part)) for part in (SCORES[:, :4], SCORES[:, 4:], objects[:, :4], objects[:, 4:])]
    np.testing.assert_allclose(best_of_rows(*raw, rows=ROWS, classes=CLASSES), best)


def test_log_odds() -> None:
    np.testing.assert_allclose(best_of_rows(np.log(SCORES / (1 - SCORES)), rows=ROWS, classes=CLASSES), BEST)


@pytest.mark.parametrize("shape", [(1, ROWS, CLASSES + 1), (1, CLASSES), (1, ROWS + 1, CLASSES), (1, ROWS, CLASSES, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="are not understood"):
        best_of_rows(np.zeros(shape), rows=ROWS, classes=CLASSES)
