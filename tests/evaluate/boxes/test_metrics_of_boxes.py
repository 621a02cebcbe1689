"""Metrics of boxes on detectors whose answers are known by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.boxes.baselines import BASELINES, gaussian, random
from openvino_xai.evaluate.boxes.case import BoxCase, Scene
from openvino_xai.evaluate.boxes.causal import box_deletion, box_insertion, deletion, insertion
from openvino_xai.evaluate.boxes.metrics import BOX_METRICS, box_metric_names, measured, overall
from openvino_xai.evaluate.boxes.pointing import energy, object_discrimination, pointing_game
from openvino_xai.evaluate.boxes.run import boxes_of
from openvino_xai.probes.d_rise import Proposals

HEIGHT, WIDTH = 20, 40
LEFT = np.zeros((HEIGHT, WIDTH), np.float32)
LEFT[:, : WIDTH // 2] = 1
BOX = (0.0, 0.0, 20.0, 20.0)
PHOTO = (0.0, 0.0, float(WIDTH), float(HEIGHT))


def halves(images: np.ndarray) -> list[Proposals]:
    """Two boxes, the halves of the image: of class 1, and as probable as the half is bright."""
    boxes = np.array([[0, 0, 20, 20], [20, 0, 40, 20]], np.float32)
    wide = images.shape[3] // 2
    shares = [[image[:, :, :wide].mean(), image[:, :, wide:].mean()] for image in images]
    return [Proposals(boxes, np.array([[0, left], [0, right]])) for left, right in shares]


def case(saliency: np.ndarray = LEFT, box: Any = BOX, propose: Any = halves, **changes: Any) -> BoxCase:
    image = np.ones((1, 3, HEIGHT, WIDTH), np.float32)
    fields = {"image": image, "cover": np.zeros_like(image), "size": (HEIGHT, WIDTH), "view": PHOTO}
    scene = Scene(propose, **{**fields, **{name: changes.pop(name) for name in fields if name in changes}})
    return BoxCase(scene, box, 1, saliency, **changes)


def peak(row: int, column: int) -> np.ndarray:
    saliency = np.zeros((HEIGHT, WIDTH), np.float32)
    saliency[row, column] = 1
    return saliency


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        ((10.0, 5.0, 20.0, 10.0), 1.0),
        ((12.5, 5.0, 20.0, 10.0), 0.0),  # the centre of the pixel is on the edge
        ((12.4, 5.0, 20.0, 10.0), 1.0),
        ((10.0, 5.0, 12.5, 10.0), 0.0),
        ((10.0, 7.5, 20.0, 10.0), 0.0),
        ((13.0, 5.0, 20.0, 10.0), 0.0),
    ],
)
def test_pointing_is_strictly_inside(box: Any, hit: float) -> None:
    assert pointing_game(case(peak(7, 12), box)) == hit


def test_energy_is_a_share() -> None:
    saliency = LEFT.copy()
    saliency[:, WIDTH // 2 : 30] = 0.5
    assert energy(case(saliency)) == pytest.approx(20 / 25)
    assert energy(case(saliency, (10.0, 0.0, 30.0, 20.0))) == pytest.approx(15 / 25)


def test_discrimination_is_the_share_in_other_objects() -> None:
    assert object_discrimination(case()) is None
    others = ((10.0, 0.0, 15.0, 20.0), (12.0, 0.0, 20.0, 20.0))  # what two cover counts once
    assert object_discrimination(case(others=others)) == pytest.approx(0.5)
    assert object_discrimination(case(others=((20.0, 0.0, 40.0, 20.0),))) == 0


def test_a_constant_map_points_nowhere() -> None:
    flat = case(np.ones((4, 4), np.float32), others=(BOX,))
    assert (pointing_game(flat), energy(flat), object_discrimination(flat)) == (0, 0, 0)


def test_a_box_falls_evenly_where_its_pixels_go() -> None:
    """A tenth of its area at a time: 0.9, 0.8, ... 0; where others go, nothing falls."""
    assert box_deletion(case()) == pytest.approx(0.45, abs=1e-6)
    assert box_deletion(case(1 - LEFT)) == pytest.approx(1)
    assert box_insertion(case()) == pytest.approx(0.55, abs=1e-6)
    assert box_insertion(case(1 - LEFT)) == pytest.approx(0)


def test_as_many_pixels_go_as_the_box_has() -> None:
    small = case(LEFT, (0.0, 0.0, 20.0, 18.0))  # the box that is proposed has an IoU of 0.9 with it
    assert box_deletion(small) == pytest.approx(1 - 0.9 * 0.55, abs=1e-6)


def test_a_photo_falls_evenly_and_then_stays() -> None:
    """The probability is gone when half of the pixels are."""
    assert deletion(case()) == pytest.approx(0.25, abs=1e-6)
    assert deletion(case(1 - LEFT)) == pytest.approx(0.75, abs=1e-6)
    assert insertion(case()) == pytest.approx(0.75, abs=1e-6)
    assert insertion(case(1 - LEFT)) == pytest.approx(0.25, abs=1e-6)


def test_scores_are_over_that_of_the_photo() -> None:
    image = np.full((1, 3, HEIGHT, WIDTH), 0.4, np.float32)
    assert deletion(case(image=image)) == pytest.approx(0.25, abs=1e-6)
    assert box_insertion(case(image=image)) == pytest.approx(0.55, abs=1e-6)


def moving(images: np.ndarray) -> list[Proposals]:
    """One box, always as probable; it is as wide as the image is bright."""
    return [Proposals(np.array([[0, 0, 40 * image.mean(), 20]], np.float32), np.array([[0, 0.8]])) for image in images]


def test_a_box_that_moves_away_is_gone() -> None:
    """The IoU falls with the pixels: to 0.5 with half of them, where the box is no more the same."""
    sample = case(LEFT, PHOTO, moving)
    assert box_deletion(sample) == pytest.approx(0.4)  # four of ten steps have an IoU above 0.5
    assert deletion(sample) == pytest.approx(0.5, abs=1e-6)


def test_other_classes_are_no_predictions() -> None:
    def other(images: np.ndarray) -> list[Proposals]:
        boxes = np.array([BOX, BOX], np.float32)
        return [Proposals(boxes, np.array([[0.9, 0.0], [0.0, image[:, :, :20].mean()]])) for image in images]

    assert box_deletion(case(propose=other)) == pytest.approx(0.45, abs=1e-6)


def test_padding_stays_as_it_is() -> None:
    """The image shows the photo in its upper half: what is below is never replaced, and no pixel of the photo's."""
    seen_below: list[float] = []

    def propose(images: np.ndarray) -> list[Proposals]:
        seen_below.extend(images[:, :, HEIGHT:].mean(axis=(1, 2, 3)).tolist())
        return halves(images[:, :, :HEIGHT])

    image = np.ones((1, 3, 2 * HEIGHT, WIDTH), np.float32)
    image[:, :, HEIGHT:] = 0.7
    view = (0.0, 0.0, float(WIDTH), 2.0 * HEIGHT)
    tall = np.concatenate([LEFT, np.ones_like(LEFT)])  # most of the map is on the padding
    sample = case(tall, image=image, cover=np.zeros_like(image), view=view, propose=propose)
    assert deletion(sample) == pytest.approx(0.25, abs=1e-6) and insertion(sample) == pytest.approx(0.75, abs=1e-6)
    assert seen_below == pytest.approx([0.7] * len(seen_below))


def test_a_detector_that_does_not_propose_the_box_is_an_error() -> None:
    with pytest.raises(ImageError, match="proposals hold no box like the one that is explained"):
        box_deletion(case(LEFT, (0.0, 0.0, 5.0, 5.0)))
    with pytest.raises(ImageError, match="proposals hold no box"):
        deletion(replace(case(), label=2))
    nothing = Proposals(np.zeros((0, 4)), np.zeros((0, 2)))
    with pytest.raises(ImageError, match="proposals hold no box"):
        insertion(case(propose=lambda images: [nothing] * len(images)))


def test_the_gaussian_has_sigmas_of_a_quarter() -> None:
    sample = case(LEFT, (10.0, 4.0, 27.0, 17.0))
    values = gaussian(sample, np.random.default_rng(0))
    assert values.shape == (HEIGHT, WIDTH)
    assert values[10, 18] == values.max() == pytest.approx(1)  # pixels' centres: the box's is at (18.5, 10.5)
    assert values[10, 18 + 8] == pytest.approx(np.exp(-((8 / 4.25) ** 2) / 2))
    assert values[10 - 6, 18] == pytest.approx(np.exp(-((6 / 3.25) ** 2) / 2))
    assert pointing_game(replace(sample, saliency=values)) == 1


def test_the_random_map_has_the_cells_of_the_method() -> None:
    sample = case(np.zeros((3, 5), np.float32))
    first, again, other = (random(sample, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (3, 5) and (first == again).all() and (first != other).any()


def test_metrics_are_named() -> None:
    assert box_metric_names([]) == list(BOX_METRICS) == list(measured(case(), list(BOX_METRICS)))
    assert box_metric_names(["energy", "energy"]) == ["energy"]
    with pytest.raises(InputError, match="metric 'adcc' is not known of boxes: one of pointing_game"):
        box_metric_names(["adcc"])


def row(group: str, value: float | None, others: int = 0) -> dict[str, Any]:
    return {"group": group, "others": others, "metrics": {name: {"energy": value} for name in ("layer_cam", *BASELINES)}}


def test_groups_are_told_apart() -> None:
    groups = overall([row("true_positive", 1.0, 2), row("true_positive", None), row("false_positive", 0.5)])
    assert {name: group["n"] for name, group in groups.items()} == {"true_positive": 2, "false_positive": 1, "all": 3}
    assert [group["n_others"] for group in groups.values()] == [1, 0, 1]
    assert [group["metrics"]["layer_cam"]["energy"] for group in groups.values()] == [1, 0.5, 0.75]
    assert list(overall([row("detected", None)])) == ["detected"]
    assert overall([row("detected", None)])["detected"]["metrics"]["gaussian"] == {"energy": None}


def test_photos_without_boxes() -> None:
    boxes: list[dict[str, Any]] = [{"id": 1}, {"id": 2}]
    assert boxes_of([{"boxes": boxes[:1]}, {"boxes": []}, {"boxes": boxes[1:]}]) == boxes
    with pytest.raises(InputError, match="no box is found in any of the images: a lower score may show some"):
        boxes_of([{"boxes": []}])
