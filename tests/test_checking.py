"""Maps that are checked by covering what they show, on networks whose answers are known by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from results import classes as explanation_of_classes

from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation, Prediction, checking, emptiness
from openvino_xai.explanation.map_check import MapCheck
from openvino_xai.render.sheet import with_lines

SIDE = 32
LEFT = np.linspace(0.1, 0.2, 16, dtype=np.float32).reshape(4, 4)
LEFT[:, 0] = 1, 0.9, 0.8, 0.7


@dataclass
class Edge:
    """Class 0 is as probable as the left quarter of the image is bright; `others` are the maps of the other classes."""

    others: np.ndarray | None = None

    def prepare(self, photo: np.ndarray) -> np.ndarray:
        return photo.transpose(2, 0, 1)[None].astype(np.float32) / 255

    def predict(self, images: np.ndarray) -> np.ndarray:
        score = images[..., : SIDE // 4].mean(axis=(1, 2, 3))
        return np.stack([score, 1 - score], axis=1).astype(np.float64)

    def maps(self, images: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.others is None:
            raise InputError("class 1 is not explained")
        return self.predict(images), self.others[None]

    def label(self, k: int) -> str:
        return f"class {k}"


def explained(saliency: np.ndarray) -> Explanation:
    photo = np.full((SIDE, SIDE, 3), 204, np.uint8)
    best = Prediction(0, "class 0", 0.8)
    return Explanation(photo, (best,), (best,), saliency[None], (0.0, 0.0, float(SIDE), float(SIDE)), {"method": "test"})


def check_of(saliency: np.ndarray, others: np.ndarray | None = None) -> MapCheck:
    result = checking.checked(Edge(others), explained(saliency))
    assert result.checks is not None
    (check,) = result.checks
    return check


def test_what_matters_is_covered() -> None:
    """Three of sixteen cells: of the column that counts all but one are covered."""
    check = check_of(LEFT)
    assert (check.share, check.score) == (3 / 16, pytest.approx(0.8))
    assert check.covered == pytest.approx(0.8 / 4)
    assert 0.4 < check.random < 0.8  # by chance each cell of the column is covered three times of sixteen
    assert check.notes == ()


def test_a_map_of_the_wrong_place_is_told() -> None:
    check = check_of(LEFT[:, ::-1].copy())
    assert check.covered == pytest.approx(check.score) and check.notes == (checking.NO_REASON,)


@pytest.mark.parametrize("value", [0, 1])
def test_a_map_of_nothing_is_told(value: float) -> None:
    assert check_of(np.full((4, 4), value, np.float32)).notes == (checking.NOTHING,)


def test_maps_that_tell_little_are_told() -> None:
    saturated = np.ones((4, 4), np.float32)
    saturated[:, 3] = np.arange(4) / 10
    assert emptiness.SATURATED in check_of(saturated).notes
    steps = np.where(LEFT > 0.5, 1, 0).astype(np.float32)
    assert emptiness.COARSE_VALUES.format(2) in check_of(steps).notes


def test_a_map_of_any_class_is_told() -> None:
    alike, another = LEFT * 3 + 1, np.random.default_rng(0).random((4, 4)).astype(np.float32)
    assert check_of(LEFT, alike).notes == (checking.NO_CLASS.format("class 1"),)
    assert check_of(LEFT, another).notes == check_of(LEFT, np.ones_like(LEFT)).notes == ()


def test_pixels_are_covered_in_blocks() -> None:
    """A map of pixels covers places of the size that a network looks at, and not pixels here and there."""
    saliency = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    covers = checking._covers(saliency, {}, (SIDE, SIDE), np.random.default_rng(0))
    changes = np.abs(np.diff(covers[0, 0].astype(int), axis=1)).sum()
    assert changes < np.abs(np.diff((saliency > 0.8).astype(int), axis=1)).sum()
    assert covers.mean() == pytest.approx(checking.SHARE, abs=0.03)


def test_a_check_is_saved_and_read_again(tmp_path: Path) -> None:
    result = checking.checked(Edge(), explained(LEFT))
    (files,) = result.save(tmp_path, "photo")
    assert Explanation.load(tmp_path) == result != explained(LEFT)
    assert cv2.imread(files["overlay"]).shape[1] == SIDE
    entry = result.to_dict()["targets"][0]["check"]
    assert entry.keys() == {"share", "score", "covered", "random", "notes"}
    assert "check" not in explained(LEFT).to_dict()["targets"][0]


def test_a_check_that_is_none_is_refused() -> None:
    good = explained(LEFT)
    for checks in ((), ("good",), [MapCheck(0.2, 1, 0, 1)], (MapCheck(0.2, 1, 0, 1),) * 2):
        with pytest.raises(InputError, match="a check of an explanation is not what is expected"):
            replace(good, checks=checks)  # type: ignore[arg-type]
    for parts in ((float("nan"), 1, 0, 1), (0.2, "1", 0, 1), (0.2, 1, 0, 1, ["note"]), (0.2, 1, 0, 1, (1,))):
        with pytest.raises(InputError):
            MapCheck(*parts)  # type: ignore[arg-type]


def test_what_is_told_in_a_picture() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    check = MapCheck(0.2, 0.91, 0.12, 0.88, ("a note that is longer than a line has letters for, and goes on",))
    lettered = with_lines(picture, ("label", *check.lines))
    assert lettered.shape[1] == 400 and lettered.shape[0] > 400
    assert np.array_equal(lettered[:300], picture) and (lettered[300:, -8:] == 255).all()
    strange = with_lines(picture, ("a\nb\x1b[31m" + "x" * 500, "\u00e9\u4f60"))
    assert strange.shape[1] == 400 and (strange[300:] < 128).any()
    assert str(check).startswith(
        "covering the most salient 20% takes the score from 0.91 to 0.12, random cells to 0.88; a note"
    )
    tiny = np.zeros((40, 60, 3), np.uint8)
    assert with_lines(tiny, ("label",)) is tiny  # nobody could read it


def test_other_results_are_not_checked() -> None:
    from colours import colour_model

    import openvino_xai as xai

    network = xai.load(xai.insert(colour_model()))
    with pytest.raises(InputError, match="is no explanation of classes of an image"):
        network.checked("photo.png")  # type: ignore[arg-type]
    result = network.checked(network.explain(np.full((9, 9, 3), (255, 0, 0), np.uint8)))
    assert result.checks is not None and result.checks[0].notes == (checking.NOTHING,)
    assert explanation_of_classes().checks is None
